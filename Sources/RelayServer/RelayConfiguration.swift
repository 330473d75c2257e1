import Glibc
package import Networking
package import Observability

/// Everything that an operator may set. The defaults make a relay on loopback that keeps its data in `./relay-data`.
///
/// ``RelaySetting`` is the one table of the settings' names, defaults and documentation.
package struct RelayConfiguration: Sendable {
  /// A numeric address; IPv6 without brackets.
  package var host = "127.0.0.1"
  /// 0 lets the kernel choose; ``Relay/port`` tells which.
  package var port: UInt16 = 7900
  package var dataDirectory = "relay-data"
  package var store = StoreChoice.sqlite
  package var postgresURLFile: String?
  package var postgresService: String?
  package var postgresWriters = 2
  package var postgresReaders = 4
  package var tlsCertificateFile: String?
  package var tlsKeyFile: String?
  /// Event loops; 0 means one for each core.
  package var loops = 0

  /// The `iss` of access tokens.
  package var issuer = "kin-relay"
  /// The `aud` of access tokens: a token for one relay is worth nothing at another.
  package var audience = "kin-relay"
  package var accessTokenLifetime = Duration.seconds(600)
  package var sessionLifetime = Duration.seconds(90 * 86_400)

  package var registration = Registration.open

  /// The `iss` of another issuer's tokens that are exchanged for sessions here; empty: none are.
  package var externalIssuer = ""
  package var externalAudience = ""
  package var externalJWKSFile: String?
  package var externalJWKSURL = ""
  package var externalAuthoritiesFile: String?
  package var externalJWKSInterval = Duration.seconds(3600)
  /// The least time between two looks at the issuer's keys. No setting: only tests have less time.
  package var externalJWKSPause = Duration.seconds(5)
  package var externalUsernameClaim = "preferred_username"
  package var externalRegistration = ExternalRegistration.same

  package var passwordPasses = 2
  package var passwordMemoryKiB = 65_536
  package var passwordWorkers = 2
  package var passwordQueue = 128

  package var maxConnections = 50_000
  package var connectionsPerAddress = 20_000
  package var connectionsPerAccount = 64
  package var framesPerSecond = 500
  package var frameBurst = 2000
  package var requestsPerSecond = 200
  package var requestBurst = 2000
  package var visitorAttemptsPerMinute = 600
  package var visitorAttemptBurst = 2000
  /// The other limits; `nil`: none.
  package var limits = Dictionary(uniqueKeysWithValues: Limit.allCases.map { ($0, Optional($0.standard)) })
  /// How long a socket may stay open before it authenticates.
  package var authenticationTimeout = Duration.seconds(10)
  /// Web pages that may use the relay: exact values of the `Origin` header.
  package var allowedOrigins: [String] = []
  /// Proxies whose `X-Forwarded-For` is believed.
  package var trustedProxies: [AddressRange] = []

  package var maxHeadBytes = 16_384
  /// For a request's head, and the TLS handshake before the first.
  package var headTimeout = Duration.seconds(10)
  /// For a body and for taking an answer, beyond the time that ``minimumRate`` allows.
  package var bodyTimeout = Duration.seconds(20)
  package var writeTimeout = Duration.seconds(30)
  /// Bytes a second.
  package var minimumRate = 2048
  package var idleTimeout = Duration.seconds(75)
  /// In MiB, of all requests' bodies together.
  package var bodyMemoryMiB = 256

  /// How long messages are kept; zero: for ever.
  package var retention = Duration.zero
  package var retentionInterval = Duration.seconds(60)
  package var welcomeRetention = Duration.seconds(90 * 86_400)
  /// Stored bytes of one room's messages; 0: no bound.
  package var roomQuotaMiB = 0

  /// The Redis that carries wake-ups between relays which share a store.
  package var redisAddress: RedisAddress?
  package var redisUser = ""
  package var redisPasswordFile: String?
  package var redisAuthoritiesFile: String?
  package var redisPrefix = "kin"
  package var nodeName = ""
  /// How late at most this node learns of what others did, if nothing tells it.
  package var pollInterval = Duration.seconds(2)
  /// How long people of a relay that died are shown as connected.
  package var presenceLease = Duration.seconds(60)

  /// Where Prometheus finds the metrics.
  package var metricsAddress: ListenAddress?
  /// How full the store's queue of writes may be before nothing new is taken on.
  package var shedQueuePercent = 50
  package var shedStoreLatency = Duration.seconds(2)
  package var shedFreeMemoryMiB = 200
  package var shedFreeDiskMiB = 1024

  /// How often the relay looks at its store and its machine. No setting: only tests have less time.
  package var watchInterval = Duration.seconds(1)

  package var logLevel = LogLevel.info
  package var logFormat = LogFormat.text
  package var drainDelay = Duration.zero
  package var shutdownTimeout = Duration.seconds(10)

  /// Where the settings were set that were, by their names.
  var origins: [String: SettingOrigin] = [:]

  package init() {}

  /// How many event loops that makes.
  var loopCount: Int { loops > 0 ? loops : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Whether tokens would go through a network in the clear: nothing says that a proxy speaks TLS before it.
  var isOpenToTheNetwork: Bool {
    tlsCertificateFile == nil && trustedProxies.isEmpty
      && !["127.0.0.0/8", "::1"].contains { AddressRange($0)?.contains(host) ?? false }
  }

  /// Whether other relays may use the same store.
  package var sharesStore: Bool { redisAddress != nil || store == .postgres }
}

/// A numeric address and a port; IPv6 without brackets.
package struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }

  package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Whether people whom the other issuer names, and who have no account yet, get one.
package enum ExternalRegistration: String, Sendable, CaseIterable {
  /// As ``Registration`` says of anybody.
  case same
  /// The issuer's word is enough, whatever ``Registration`` says.
  case open
  case closed
}

/// Who may make an account.
package enum Registration: String, Sendable, CaseIterable {
  case open
  /// Who has the token of an invitation.
  case invite
  case closed
}
