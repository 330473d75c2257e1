import Glibc
import Networking

extension RelayConfiguration {
  /// Puts the path of systemd's credential into settings that say `credential:NAME` where a file's name is expected.
  ///
  /// - Throws: when there are no credentials, or the name is no name.
  mutating func findCredentials(in folder: String?) throws(ConfigurationError) {
    let prefix = "credential:"
    for setting in RelaySetting.all where setting.kind == .file || setting.kind == .secretFile {
      let value = setting.get(self)
      guard value.hasPrefix(prefix) else { continue }
      let name = value.dropFirst(prefix.count)
      guard let folder, !name.isEmpty, !name.contains("/"), name != "..", name != "." else {
        throw ConfigurationError("\(setting.name): there is no such credential (systemd's LoadCredential= gives them)")
      }
      _ = setting.set(&self, "\(folder)/\(name)")
    }
  }

  /// What the operator has to mend about the files that the settings name, each with its setting and never with its
  /// content; none if all is well.
  package var fileFindings: [String] {
    let outside = outsideFindings
    return outside.isEmpty ? insideFindings : outside
  }

  /// What is wrong inside files that can be read.
  private var insideFindings: [String] {
    var findings: [String] = []
    if let tlsCertificateFile, let tlsKeyFile {
      do { _ = try TLSServerContext(certificateFile: tlsCertificateFile, keyFile: tlsKeyFile) } catch {
        findings.append("tls-certificate and tls-key: \(error.text)")
      }
    }
    if let redisAuthoritiesFile {
      do { _ = try TLSClientContext(trustedCertificates: redisAuthoritiesFile) } catch {
        findings.append("redis-authorities: \(error.text)")
      }
    }
    if store == .postgres {
      do { _ = try postgresServer() } catch { findings.append("\(error.title)") }
    }
    return findings
  }

  private var outsideFindings: [String] {
    RelaySetting.all.compactMap { setting in
      let path = setting.get(self)
      guard !path.isEmpty else { return nil }
      let finding: String? =
        switch setting.kind {
        case .plain: nil
        case .file: Self.finding(file: path, isSecret: false)
        case .secretFile: Self.finding(file: path, isSecret: true)
        case .folder: Self.finding(folder: path)
        }
      return finding.map { "\(setting.name): \($0)" }
    }
  }

  private static func finding(file path: String, isSecret: Bool) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      return errno == ENOENT ? "there is no such file" : "the file cannot be reached"
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return "this is not a file" }
    guard access(path, R_OK) == 0 else { return "the file cannot be read" }
    // A group may be the point of it, as Debian's ssl-cert is.
    guard !isSecret || status.st_mode & 0o007 == 0 else { return "anybody can read this secret (chmod o= mends it)" }
    guard status.st_mode & 0o002 == 0 else { return "anybody can change this file (chmod o-w mends it)" }
    return nil
  }

  private static func finding(folder path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      guard errno == ENOENT else { return "the folder cannot be reached" }
      let parts = path.split(separator: "/", omittingEmptySubsequences: false)
      let parent = parts.dropLast().joined(separator: "/")
      let above = parts.count < 2 ? "." : parent.isEmpty ? "/" : parent
      return access(above, W_OK | X_OK) == 0 ? nil : "the folder does not exist and cannot be made"
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return "this is not a folder" }
    guard access(path, R_OK | W_OK | X_OK) == 0 else { return "the folder cannot be written" }
    guard status.st_mode & 0o002 == 0 else { return "anybody can write into the folder (chmod o= mends it)" }
    return nil
  }
}
