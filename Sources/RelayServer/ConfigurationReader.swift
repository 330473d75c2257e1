/// Why settings are not usable: every mistake that was found, so that an operator mends them all before trying again.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  /// One of them. Its text names the key and its place, and neither text holds a value.
  package struct Mistake: Sendable, Hashable {
    package let text: String
    /// What helps, if it is more than the list of all settings.
    package let hint: String?
    /// The keys whose values are not known because of it.
    let keys: Set<String>

    init(_ text: String, hint: String? = nil, keys: Set<String> = []) {
      (self.text, self.hint, self.keys) = (text, hint, keys)
    }
  }

  package let mistakes: [Mistake]
  /// The settings as far as they could be read, if a relay was to run with them: the files that they name can be looked
  /// at as well.
  package var partial: RelayConfiguration?

  init(_ description: String, hint: String? = nil, keys: Set<String> = []) {
    mistakes = [Mistake(description, hint: hint, keys: keys)]
  }

  init(_ mistakes: [Mistake], partial: RelayConfiguration?) { (self.mistakes, self.partial) = (mistakes, partial) }

  package var description: String { mistakes.map(\.text).joined(separator: "\n") }
}

/// Reads settings from wherever they stand, and gathers what is wrong with them instead of ending at the first mistake.
struct ConfigurationReader {
  private(set) var configuration = RelayConfiguration()
  private(set) var mistakes: [ConfigurationError.Mistake] = []

  /// Does one step. What the step throws is kept, and the next one can be done.
  mutating func attempt(_ step: (inout Self) throws(ConfigurationError) -> Void) {
    do throws(ConfigurationError) { try step(&self) } catch { mistakes += error.mistakes }
  }

  mutating func take(_ setting: RelaySetting, _ value: String, at origin: SettingOrigin) {
    attempt { reader throws(ConfigurationError) in
      try setting.take(value, into: &reader.configuration, at: origin.place)
      reader.configuration.origins[setting.name] = origin
    }
  }

  /// Takes in a file of `key = value` lines.
  mutating func take(file text: String, named path: String) {
    var seen: Set<String> = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = RelaySetting.trim(line)
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      let place = "\(RelayCommand.printable(path, limit: 1024)), line \(index + 1)"
      attempt { reader throws(ConfigurationError) in
        guard let equals = line.firstIndex(of: "=") else {
          throw ConfigurationError("\(place): not of the form `key = value`", hint: "a comment begins with #")
        }
        let name = RelaySetting.trim(line[..<equals])
        guard let setting = RelaySetting.named(name) else {
          throw Self.unknown("\(place): unknown key ", name, among: RelaySetting.all.map(\.name))
        }
        guard seen.insert(name).inserted else {
          throw ConfigurationError("\(place): \(name) is set twice", hint: "keep one of the lines")
        }
        let value = RelaySetting.trim(line[line.index(after: equals)...])
        reader.take(setting, value, at: SettingOrigin(source: place, name: name))
      }
    }
  }

  /// Takes in the variables `KIN_RELAY_*`.
  mutating func take(environment: [String: String]) {
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("KIN_RELAY_") && variable != "KIN_RELAY_CONFIG" {
      attempt { reader throws(ConfigurationError) in
        guard let setting = RelaySetting.all.first(where: { $0.variable == variable }) else {
          throw Self.unknown("unknown variable ", variable, among: RelaySetting.all.map(\.variable))
        }
        reader.take(setting, value, at: SettingOrigin(source: nil, name: variable))
      }
    }
  }

  /// Looks at what settings mean together. What depends on a value that could not be read is left for the next time.
  mutating func finish(credentials: String?) {
    let unknown = mistakes.reduce(into: Set<String>()) { $0.formUnion($1.keys) }
    let together = configuration.companionMistakes + configuration.externalIssuerMistakes
    mistakes += together.filter { $0.keys.isDisjoint(with: unknown) }
    mistakes += configuration.findCredentials(in: credentials)
  }

  /// - Parameter names: all names of the kind.
  static func unknown(
    _ what: String, _ name: some StringProtocol, among names: [String], prefix: String = ""
  ) -> ConfigurationError {
    let nearest = Nearest.to(name, among: names)
    let meant = RelaySetting.all.filter { $0.name == nearest || $0.variable == nearest }.map(\.name)
    return ConfigurationError(
      what + prefix + RelayCommand.printable(name) + Nearest.question(name, among: names, prefix: prefix),
      keys: Set(meant))
  }
}

/// Where the value of a setting comes from.
struct SettingOrigin: Sendable {
  /// The file and the line, if it stands in one.
  var source: String?
  /// The setting as it is called there: a key, a variable or a flag.
  var name: String

  var place: String { source.map { "\($0): \(name)" } ?? name }
}

extension RelayConfiguration {
  /// The setting and where it was set, if it was.
  func place(of name: String) -> String { origins[name]?.place ?? name }

  /// A mistake that several settings make together, at the place of the first of them that was set.
  func mistake(_ names: [String], _ text: String, hint: String) -> ConfigurationError.Mistake {
    let origin = names.compactMap { origins[$0] }.first
    let place = origin.map { ($0.source ?? $0.name) + ": " } ?? ""
    return ConfigurationError.Mistake(place + text, hint: hint, keys: Set(names))
  }

  /// Settings that mean nothing without others, or not beside them: what was forgotten would otherwise be noticed too late.
  var companionMistakes: [ConfigurationError.Mistake] {
    var found: [ConfigurationError.Mistake] = []
    if (tlsCertificateFile == nil) != (tlsKeyFile == nil) {
      found.append(
        mistake(
          ["tls-certificate", "tls-key"], "tls-certificate and tls-key go together",
          hint: "set the one that is missing, or neither where a proxy speaks TLS"))
    }
    if postgresURLFile != nil, postgresService != nil {
      found.append(
        mistake(
          ["postgres-url-file", "postgres-service"], "postgres-url-file and postgres-service exclude each other",
          hint: "keep the one that says where the database is"))
    }
    if store != .postgres, postgresURLFile != nil || postgresService != nil {
      found.append(
        mistake(
          ["postgres-url-file", "postgres-service", "store"],
          "a PostgreSQL database is named, but the store is sqlite", hint: "set store = postgres, or remove its address"
        ))
    }
    if redisAddress == nil, redisPasswordFile != nil || redisAuthoritiesFile != nil || !redisUser.isEmpty {
      found.append(
        mistake(
          ["redis-user", "redis-password-file", "redis-authorities", "redis-address"],
          "there are settings for Redis, but no redis-address", hint: "set redis-address, or remove them"))
    }
    return found
  }

  /// What the settings of the other issuer lack or have too much of.
  var externalIssuerMistakes: [ConfigurationError.Mistake] {
    let hasURL = !externalJWKSURL.isEmpty
    let all = ["external-audience", "external-jwks-file", "external-jwks-url", "external-issuer"]
    guard !externalIssuer.isEmpty else {
      guard externalJWKSFile != nil || hasURL || !externalAudience.isEmpty else { return [] }
      return [
        mistake(
          all, "external-audience, external-jwks-file and external-jwks-url need external-issuer",
          hint: "set external-issuer to the `iss` of the tokens, or remove them")
      ]
    }
    var found: [ConfigurationError.Mistake] = []
    // A token that was made for somebody else must be worth nothing here.
    if externalAudience.isEmpty {
      found.append(
        mistake(
          ["external-issuer", "external-audience"], "external-issuer needs external-audience",
          hint: "set it to what the issuer puts into `aud` for this relay"))
    }
    if (externalJWKSFile != nil) == hasURL {
      found.append(
        mistake(
          ["external-issuer", "external-jwks-file", "external-jwks-url"],
          "external-issuer needs external-jwks-file or external-jwks-url, one of them",
          hint: "an issuer's discovery document calls the URL `jwks_uri`"))
    }
    if externalAuthoritiesFile != nil, !hasURL {
      found.append(
        mistake(
          ["external-jwks-authorities", "external-jwks-url"], "external-jwks-authorities goes with external-jwks-url",
          hint: "a file of keys needs no authorities: remove it"))
    }
    return found
  }
}
