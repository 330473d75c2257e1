import Glibc

/// The folder of one account: its encrypted store, and a note of its relay and of where the key file lies.
struct DataFolder: Sendable {
  var path: String

  init(arguments: Arguments) throws(Failure) {
    if let given = arguments["data"] ?? Self.environment("KIN_DATA") {
      path = given
    } else if let base = Self.environment("XDG_DATA_HOME") ?? Self.environment("HOME").map({ $0 + "/.local/share" }) {
      path = base + "/kin"
    } else {
      throw Failure.usage("no folder for the account is known", hint: "give one with --data DIR")
    }
  }

  var store: String { path + "/account.db" }
  private var notePath: String { path + "/account.conf" }

  /// What is needed to open the account and is no secret.
  struct Note: Sendable {
    var relay: String
    var keyFile: String?
    var certificates: String?
  }

  var hasAccount: Bool { access(store, F_OK) == 0 }

  /// Makes the folder, for its owner alone.
  func create() throws(Failure) {
    var made = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      made += (made.isEmpty && !part.isEmpty ? "" : "/") + part
      if made != "/" { mkdir(made, 0o700) }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure.usage("the data folder cannot be made")
    }
  }

  /// Reads the note; `nil` if there is none.
  func readNote() throws(Failure) -> Note? {
    let descriptor = open(notePath, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    var values: [String: String] = [:]
    for line in String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { values[parts[0]] = parts[1] }
    }
    guard let relay = values["relay"] else { throw Failure.usage("the data folder's note of its relay is damaged") }
    return Note(relay: relay, keyFile: values["key-file"], certificates: values["ca-file"])
  }

  func write(_ note: Note) throws(Failure) {
    let descriptor = open(notePath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure.usage("the data folder cannot be written to") }
    defer { close(descriptor) }
    var lines = "relay=\(note.relay)\n"
    if let keyFile = note.keyFile { lines += "key-file=\(keyFile)\n" }
    if let certificates = note.certificates { lines += "ca-file=\(certificates)\n" }
    Terminal.write(lines, to: descriptor)
  }

  /// An existing file's absolute path.
  static func absolute(_ path: String) throws(Failure) -> String {
    guard let resolved = realpath(path, nil) else { throw Failure.usage("a file that was named cannot be found") }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "Linux" }
    let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: name, as: UTF8.self)
  }

  private static func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }
}
