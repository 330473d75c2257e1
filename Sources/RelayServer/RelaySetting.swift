import Networking
import Observability

/// One setting: its name in the file, from which the names of its variable and its flag follow, and what it does.
package struct RelaySetting: Sendable {
  package let name: String
  package let documentation: String
  /// Takes a value in, or returns `false` if it is not one.
  let set: @Sendable (inout RelayConfiguration, String) -> Bool
  let get: @Sendable (RelayConfiguration) -> String
  var kind = Kind.plain
  /// Which numbers or times it takes, for whoever gave another.
  var range: String?

  /// What the value names.
  enum Kind: Sendable { case plain, file, secretFile, folder }

  package var flag: String { "--\(name)" }
  package var variable: String {
    let capitals = name.utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 & 0xdf }
    return "KIN_RELAY_" + String(decoding: capitals, as: UTF8.self)
  }
  package var defaultText: String { self.get(RelayConfiguration()) }

  /// Takes a value in.
  ///
  /// - Throws: when it is not one, or when it holds a password: other users of the machine can read flags and variables,
  ///   and a file of settings is shown around.
  func take(_ value: String, into configuration: inout RelayConfiguration, at place: String) throws(ConfigurationError)
  {
    guard !Self.holdsPassword(value) else {
      throw ConfigurationError(
        "\(place): holds a password; secrets stand only in files of their own",
        hint: "others can read settings: change that password, and name a file of mode 0600 that holds the new one",
        keys: [name])
    }
    guard set(&configuration, value) else {
      throw ConfigurationError("\(place): not a valid value", hint: explanation, keys: [name])
    }
  }

  /// What it is for, and which values it takes.
  var explanation: String { "\(name): \(documentation)" + (range.map { " From \($0)." } ?? "") }

  /// Whether the text has a password in it: as `scheme://user:password@host`, or as `password=` among other words.
  static func holdsPassword(_ text: String) -> Bool {
    if let colon = text.firstRange(of: "://") {
      let authority = text[colon.upperBound...].prefix { !"/?#".contains($0) }
      if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { return true }
    }
    return ["password", "passwd", "pwd", "secret", "token"].contains { word in
      guard let found = text.lowercased().firstRange(of: word) else { return false }
      return text.lowercased()[found.upperBound...].drop(while: { $0 == " " }).hasPrefix("=")
    }
  }

  package static let all = own + external + limits

  private static let own: [RelaySetting] = [
    RelaySetting(
      name: "listen",
      documentation: "Address and port to listen on, as 127.0.0.1:7900 or [::1]:7900. Port 0: any free one.",
      set: { configuration, text in
        guard let (host, port) = address(text) else { return false }
        (configuration.host, configuration.port) = (host, port)
        return true
      },
      get: { $0.host.utf8.contains(UInt8(ascii: ":")) ? "[\($0.host)]:\($0.port)" : "\($0.host):\($0.port)" }),
    RelaySetting(
      name: "data", documentation: "Folder of the database and the token keys; made with mode 0700 if missing.",
      set: { configuration, text in
        configuration.dataDirectory = text
        return !text.isEmpty
      }, get: { $0.dataDirectory }, kind: .folder),
    RelaySetting(
      name: "store",
      documentation: "`sqlite`: a file in the data folder. `postgres`: a server that several relays share.",
      set: { configuration, text in
        guard let choice = StoreChoice(rawValue: text) else { return false }
        configuration.store = choice
        return true
      }, get: { $0.store.rawValue }),
    file(
      "postgres-url-file", \.postgresURLFile,
      "File whose first line says where the PostgreSQL database is: `postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full`.",
      isSecret: true),
    RelaySetting(
      name: "postgres-service",
      documentation: "Instead: a name in libpq's service file, with the password in its password file.",
      set: { configuration, text in
        configuration.postgresService = text.isEmpty ? nil : text
        return true
      }, get: { $0.postgresService ?? "" }),
    number(
      "postgres-writers", \.postgresWriters, 1...64,
      "Connections that write to rooms' logs, and as many for other writes."),
    number("postgres-readers", \.postgresReaders, 1...256, "Connections that read."),
    file(
      "tls-certificate", \.tlsCertificateFile, "PEM file with the certificate chain. Together with tls-key: serve TLS."),
    file(
      "tls-key", \.tlsKeyFile, "PEM file with the certificate's private key; others must not be able to read it.",
      isSecret: true),
    number("loops", \.loops, 0...256, "Event loops, one thread each; 0: one for each core."),
    text("issuer", \.issuer, "The `iss` of access tokens.", where: isTokenText),
    text("audience", \.audience, "The `aud` of access tokens. Give each relay its own.", where: isTokenText),
    duration("access-token-lifetime", \.accessTokenLifetime, 1...86_400, "How long an access token is good for."),
    duration(
      "session-lifetime", \.sessionLifetime, 60...315_360_000, "How long a session lasts without being refreshed."),
    RelaySetting(
      name: "registration",
      documentation: "`open`: anyone may make an account. `invite`: who has an invitation's token. `closed`: nobody.",
      set: { configuration, text in
        guard let registration = Registration(rawValue: text) else { return false }
        configuration.registration = registration
        return true
      }, get: { $0.registration.rawValue }),
    number("password-passes", \.passwordPasses, 1...64, "Passes of Argon2id over its memory."),
    number("password-memory-kib", \.passwordMemoryKiB, 8...1_048_576, "Memory of one Argon2id hash, in KiB."),
    number("password-workers", \.passwordWorkers, 1...64, "Passwords hashed at the same time; each takes that memory."),
    number(
      "password-queue", \.passwordQueue, 1...65_536, "Passwords that may wait to be hashed; more are told to come back."
    ),
    number("max-connections", \.maxConnections, 1...10_000_000, "Open connections of all clients."),
    number("connections-per-address", \.connectionsPerAddress, 1...10_000_000, "Open connections of one address."),
    number(
      "connections-per-account", \.connectionsPerAccount, 1...10_000, "Open sockets and long polls of one account."),
    number("frames-per-second", \.framesPerSecond, 1...1_000_000, "Frames that one socket may send in the long run."),
    number("frame-burst", \.frameBurst, 1...10_000_000, "Frames that one socket may send at once."),
    number(
      "requests-per-second", \.requestsPerSecond, 1...1_000_000, "Requests that one account may make in the long run."),
    number("request-burst", \.requestBurst, 1...10_000_000, "Requests that one account may make at once."),
    number(
      "visitor-attempts-per-minute", \.visitorAttemptsPerMinute, 1...1_000_000,
      "Registrations, logins and refreshes from one address (an IPv6 /64) in the long run."),
    number("visitor-attempt-burst", \.visitorAttemptBurst, 1...10_000_000, "The same, at once."),
    duration(
      "authentication-timeout", \.authenticationTimeout, 1...300,
      "How long a socket may stay open before it authenticates."),
    list(
      "allowed-origins", \.allowedOrigins,
      "Web pages that may use the relay: values of the Origin header as https://chat.example, separated by commas.",
      read: { CrossOrigin.isOrigin($0) ? $0 : nil }),
    list(
      "trusted-proxies", \.trustedProxies,
      "Reverse proxies, as addresses or ranges like 10.0.0.0/8, separated by commas: the last address in X-Forwarded-For "
        + "that is none of theirs is the client's.",
      read: { AddressRange($0) }),
    number("max-head-bytes", \.maxHeadBytes, 1024...1_048_576, "The longest head of a request, in bytes."),
    duration(
      "head-timeout", \.headTimeout, 1...3600, "How long a request's head may take, and the TLS handshake before it."),
    duration(
      "body-timeout", \.bodyTimeout, 1...3600, "How long a request's body may take, beyond what minimum-rate allows."),
    duration(
      "write-timeout", \.writeTimeout, 1...3600,
      "How long a client may take to read an answer, beyond what minimum-rate allows."),
    number(
      "minimum-rate", \.minimumRate, 1...1_000_000_000,
      "Bytes per second at which bodies and answers may always go, however long that takes."),
    duration("idle-timeout", \.idleTimeout, 1...86_400, "How long a connection may stay open between two requests."),
    number(
      "body-memory-mib", \.bodyMemoryMiB, 1...1_048_576,
      "Memory for the bodies of all requests together, in MiB; when it is used up only small ones are taken."),
    duration(
      "retention", \.retention, 0...3_153_600_000,
      "How long messages are kept before their content is erased; 0s: for ever. A room may ask for less."),
    duration("retention-interval", \.retentionInterval, 1...86_400, "How often the relay looks for what to erase."),
    duration(
      "welcome-retention", \.welcomeRetention, 3600...3_153_600_000,
      "How long an invitation waits for a device that does not come."),
    number(
      "room-quota-mib", \.roomQuotaMiB, 0...1_048_576,
      "What one room's messages may take, in MiB: beyond it the oldest are erased. 0: no bound."),
    RelaySetting(
      name: "redis-address",
      documentation:
        "The Redis of relays that share a store, as 127.0.0.1:6379, or tls://redis.example:6380. Empty: this relay is alone.",
      set: { configuration, text in
        let isEncrypted = text.hasPrefix("tls://")
        guard !text.isEmpty else {
          configuration.redisAddress = nil
          return true
        }
        guard let (host, port) = address(isEncrypted ? String(text.dropFirst(6)) : text) else { return false }
        configuration.redisAddress = RedisAddress(host: host, port: port, isEncrypted: isEncrypted)
        return true
      }, get: { $0.redisAddress?.description ?? "" }),
    text("redis-user", \.redisUser, "The user of Redis's access lists; empty: the default one.", where: { _ in true }),
    file(
      "redis-password-file", \.redisPasswordFile, "File whose first line is the password for Redis.", isSecret: true),
    file(
      "redis-authorities", \.redisAuthoritiesFile,
      "PEM file of the authorities that Redis's certificate must come from; empty: the system's."),
    text(
      "redis-prefix", \.redisPrefix, "What all keys and channels in Redis begin with. Give each deployment its own.",
      where: isNameText),
    text(
      "node-name", \.nodeName, "How this relay calls itself among several.", where: { $0.isEmpty || isNameText($0) }),
    duration(
      "poll-interval", \.pollInterval, 1...60,
      "How late at most this relay learns what others did while Redis does not tell it."),
    duration(
      "presence-lease", \.presenceLease, 6...3600,
      "How long people whose relay died are still shown as connected. The same at all relays."),
    RelaySetting(
      name: "log-level", documentation: "`debug`, `info`, `warning`, `error` or `off`.",
      set: { configuration, text in
        guard let level = LogLevel(named: text) else { return false }
        configuration.logLevel = level
        return true
      }, get: { "\($0.logLevel.text)" }),
    RelaySetting(
      name: "log-format", documentation: "`text` or `json`.",
      set: { configuration, text in
        guard let format = LogFormat(named: text) else { return false }
        configuration.logFormat = format
        return true
      }, get: { $0.logFormat == .json ? "json" : "text" }),
    RelaySetting(
      name: "metrics-listen",
      documentation:
        "Address and port of the Prometheus page `/metrics`, as 127.0.0.1:7901; nothing else is served there. Without one there is no such page. Keep it from the network that clients come from.",
      set: { configuration, text in
        configuration.metricsAddress = address(text).map { ListenAddress(host: $0.host, port: $0.port) }
        return text.isEmpty || configuration.metricsAddress != nil
      }, get: { $0.metricsAddress?.description ?? "" }),
    number(
      "shed-queue-percent", \.shedQueuePercent, 1...100,
      "How full the store's queue of writes may be before registrations and joins are refused."),
    duration(
      "shed-store-latency", \.shedStoreLatency, 1...3600,
      "How late the store may answer before registrations and joins are refused."),
    number(
      "shed-free-memory-mib", \.shedFreeMemoryMiB, 0...1_048_576,
      "Free memory below which registrations and joins are refused; 0: any."),
    number(
      "shed-free-disk-mib", \.shedFreeDiskMiB, 0...1_048_576,
      "Free space at the data folder below which registrations and joins are refused; 0: any."),
    duration(
      "drain-delay", \.drainDelay, 0...3600,
      "How long the relay serves on after SIGTERM while `/readyz` says 503, so that a load balancer looks elsewhere."),
    duration("shutdown-timeout", \.shutdownTimeout, 0...3600, "How long open requests may take to finish at shutdown."),
  ]

  /// A setting for each row of the table of limits.
  private static let limits = Limit.allCases.map { limit in
    RelaySetting(
      name: "limit-\(limit.rawValue)",
      documentation: limit.documentation + " So many at once and in the long run, as 10+6/m (s, m, h, d), or off.",
      set: { configuration, text in
        if text == "off" {
          configuration.limits[limit] = .some(nil)
          return true
        }
        guard let rate = Rate(text) else { return false }
        configuration.limits[limit] = rate
        return true
      }, get: { ($0.limits[limit] ?? nil)?.description ?? "off" })
  }

  package static func named(_ name: some StringProtocol) -> RelaySetting? { all.first { $0.name == name } }

  /// The table as Markdown, for `docs/configuration.md`.
  package static var markdown: String {
    var text = "| Key and flag | Variable | Default | Meaning |\n|---|---|---|---|\n"
    for setting in all {
      let value = setting.defaultText.isEmpty ? "" : "`\(setting.defaultText)`"
      text += "| `\(setting.name)` | `\(setting.variable)` | \(value) | \(setting.documentation) |\n"
    }
    return text
  }
}

extension RelaySetting {
  typealias Place<Value> = WritableKeyPath<RelayConfiguration, Value> & Sendable

  static func text(
    _ name: String, _ place: any Place<String>, _ documentation: String,
    where isValid: @escaping @Sendable (String) -> Bool = { !$0.isEmpty }
  ) -> RelaySetting {
    RelaySetting(
      name: name, documentation: documentation,
      set: { configuration, text in
        configuration[keyPath: place] = text
        return isValid(text)
      }, get: { $0[keyPath: place] })
  }

  /// Whether the text can stand in a token, which holds plain text only.
  static let isTokenText: @Sendable (String) -> Bool = { text in
    !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }
  }

  /// Letters, digits and a few marks: good in keys and lists of any kind.
  private static let isNameText: @Sendable (String) -> Bool = { text in
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }

  /// The name of a file: `credential:NAME` is one of systemd's. A secret stands only in such a file.
  static func file(
    _ name: String, _ place: any Place<String?>, _ documentation: String, isSecret: Bool = false
  ) -> RelaySetting {
    RelaySetting(
      name: name, documentation: documentation,
      set: { configuration, text in
        configuration[keyPath: place] = text.isEmpty ? nil : text
        return true
      }, get: { $0[keyPath: place] ?? "" }, kind: isSecret ? .secretFile : .file)
  }

  private static func list<Element: CustomStringConvertible & Sendable>(
    _ name: String, _ place: any Place<[Element]>, _ documentation: String,
    read: @escaping @Sendable (String) -> Element?
  ) -> RelaySetting {
    RelaySetting(
      name: name, documentation: documentation,
      set: { configuration, text in
        let words = text.split(separator: ",").map { trim($0) }.filter { !$0.isEmpty }
        let values = words.compactMap(read)
        configuration[keyPath: place] = values
        return values.count == words.count
      }, get: { $0[keyPath: place].map(\.description).joined(separator: ",") })
  }

  private static func number(
    _ name: String, _ place: any Place<Int>, _ range: ClosedRange<Int>, _ documentation: String
  ) -> RelaySetting {
    RelaySetting(
      name: name, documentation: documentation,
      set: { configuration, text in
        guard let value = Int(text), range.contains(value) else { return false }
        configuration[keyPath: place] = value
        return true
      }, get: { String($0[keyPath: place]) }, range: "\(range.lowerBound) to \(range.upperBound)")
  }

  static func duration(
    _ name: String, _ place: any Place<Duration>, _ seconds: ClosedRange<Int64>, _ documentation: String
  ) -> RelaySetting {
    RelaySetting(
      name: name, documentation: documentation + " As 90s, 10m, 12h or 30d.",
      set: { configuration, text in
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        let unit = text.last.flatMap { units[$0] }
        guard let count = Int64(unit == nil ? text[...] : text.dropLast()), count >= 0 else { return false }
        let (value, isTooBig) = count.multipliedReportingOverflow(by: unit ?? 1)
        guard !isTooBig, seconds.contains(value) else { return false }
        configuration[keyPath: place] = .seconds(value)
        return true
      }, get: { "\($0[keyPath: place].components.seconds)s" },
      range: "\(seconds.lowerBound)s to \(seconds.upperBound)s")
  }

  private static func address(_ text: String) -> (host: String, port: UInt16)? {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") && host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    return host.isEmpty ? nil : (String(host), port)
  }

  static func trim(_ text: some StringProtocol) -> String {
    var rest = Substring(text)
    while let first = rest.first, first == " " || first == "\t" || first == "\r" { rest.removeFirst() }
    while let last = rest.last, last == " " || last == "\t" || last == "\r" { rest.removeLast() }
    return String(rest)
  }
}
