import Glibc

/// A folder that is gone after the test.
final class TemporaryFolder: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/kin-storage-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no temporary folder") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit {
    for name in files() { unlink(path + "/" + name) }
    rmdir(path)
  }

  func files() -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  func mode(of name: String) -> mode_t? {
    var status = stat()
    guard stat(path + "/" + name, &status) == 0 else { return nil }
    return status.st_mode & 0o777
  }

  func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o600) {
    let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, mode)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    chmod(path + "/" + name, mode)
  }
}
