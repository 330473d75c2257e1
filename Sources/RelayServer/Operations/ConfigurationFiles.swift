import Glibc
import Networking

extension RelayConfiguration {
  /// Puts the path of systemd's credential into settings that say `credential:NAME` where a file's name is expected.
  /// Returns those for which there is none, and forgets them.
  mutating func findCredentials(in folder: String?) -> [ConfigurationError.Mistake] {
    let prefix = "credential:"
    var mistakes: [ConfigurationError.Mistake] = []
    for setting in RelaySetting.all where setting.kind == .file || setting.kind == .secretFile {
      let value = setting.get(self)
      guard value.hasPrefix(prefix) else { continue }
      let name = value.dropFirst(prefix.count)
      guard let folder, !name.isEmpty, !name.contains("/"), name != "..", name != "." else {
        mistakes.append(
          ConfigurationError.Mistake(
            "\(place(of: setting.name)): there is no such credential",
            hint: "systemd gives it to a unit with LoadCredential=NAME:FILE, and it is named as credential:NAME"))
        _ = setting.set(&self, "")
        continue
      }
      _ = setting.set(&self, "\(folder)/\(name)")
    }
    return mistakes
  }

  /// What the operator has to mend about the files that the settings name, each with its setting and never with its
  /// content; none if all is well.
  package var fileFindings: [ConfigurationError.Mistake] {
    let outside = outsideFindings
    let closed = outside.reduce(into: Set<String>()) { $0.formUnion($1.keys) }
    // What is inside those that can be read.
    return outside + insideFindings.filter { $0.keys.isDisjoint(with: closed) }
  }

  private var insideFindings: [ConfigurationError.Mistake] {
    var findings: [ConfigurationError.Mistake] = []
    if let tlsCertificateFile, let tlsKeyFile {
      do { _ = try TLSServerContext(certificateFile: tlsCertificateFile, keyFile: tlsKeyFile) } catch {
        findings.append(
          mistake(
            ["tls-certificate", "tls-key"], "tls-certificate and tls-key: \(error.text)",
            hint: "both are PEM: the relay's own certificate first, then its issuers', and the key of the first one"))
      }
    }
    for (name, file) in [
      ("redis-authorities", redisAuthoritiesFile), ("external-jwks-authorities", externalAuthoritiesFile),
    ] {
      guard let file else { continue }
      do { _ = try TLSClientContext(trustedCertificates: file) } catch {
        findings.append(
          mistake([name], "\(name): \(error.text)", hint: "it is a PEM file with the certificates of the authorities"))
      }
    }
    if store == .postgres {
      do { _ = try postgresServer() } catch {
        findings.append(
          mistake(
            ["postgres-url-file"], "\(error.title)",
            hint: error.remedy.map { "\($0)" } ?? "its first line says where the database is"))
      }
    }
    if let redisPasswordFile, Neighbours.redisPassword(file: redisPasswordFile) == nil {
      findings.append(
        mistake(
          ["redis-password-file"], "redis-password-file cannot be read, or is empty",
          hint: "its first line is the password"))
    }
    if let externalJWKSFile, case .failure = KeySetSource.read(externalJWKSFile) {
      findings.append(
        mistake(
          ["external-jwks-file"], "external-jwks-file holds no JWK Set with a usable public key",
          hint:
            "it is what the issuer publishes at its jwks_uri; EdDSA, ES256 and RS256 are usable, private keys are not"))
    }
    return findings
  }

  private var outsideFindings: [ConfigurationError.Mistake] {
    RelaySetting.all.compactMap { setting in
      let path = setting.get(self)
      guard !path.isEmpty else { return nil }
      let finding: (text: String, hint: String)? =
        switch setting.kind {
        case .plain: nil
        case .file: Self.finding(file: path, isSecret: false)
        case .secretFile: Self.finding(file: path, isSecret: true)
        case .folder: Self.finding(folder: path)
        }
      guard let finding else { return nil }
      return ConfigurationError.Mistake(
        "\(place(of: setting.name)): \(finding.text)", hint: finding.hint, keys: [setting.name])
    }
  }

  private static func finding(file path: String, isSecret: Bool) -> (text: String, hint: String)? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      return errno == ENOENT
        ? (
          "there is no such file", "mend the path, which begins with / or where the relay is started, or make the file"
        )
        : ("the file cannot be reached", "a folder on the way is closed to the user that the relay runs as")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return ("this is not a file", "name the file itself") }
    guard access(path, R_OK) == 0 else {
      return ("the file cannot be read", "let the user that the relay runs as read it, by chown or by its group")
    }
    // A group may be the point of it, as Debian's ssl-cert is.
    guard !isSecret || status.st_mode & 0o007 == 0 else {
      return ("anybody can read this secret", "chmod o= mends it")
    }
    guard status.st_mode & 0o002 == 0 else { return ("anybody can change this file", "chmod o-w mends it") }
    return nil
  }

  private static func finding(folder path: String) -> (text: String, hint: String)? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      guard errno == ENOENT else {
        return ("the folder cannot be reached", "a folder on the way is closed to the user that the relay runs as")
      }
      let parts = path.split(separator: "/", omittingEmptySubsequences: false)
      let parent = parts.dropLast().joined(separator: "/")
      let above = parts.count < 2 ? "." : parent.isEmpty ? "/" : parent
      guard access(above, W_OK | X_OK) != 0 else { return nil }
      return (
        "the folder does not exist and cannot be made",
        "make it, with mode 0700, for the user that the relay runs as"
      )
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return ("this is not a folder", "name a folder") }
    guard access(path, R_OK | W_OK | X_OK) == 0 else {
      return ("the folder cannot be written", "it must belong to the user that the relay runs as (chown)")
    }
    guard status.st_mode & 0o002 == 0 else { return ("anybody can write into the folder", "chmod o= mends it") }
    return nil
  }
}
