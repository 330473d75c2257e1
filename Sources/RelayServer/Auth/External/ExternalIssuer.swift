import Glibc
import Networking
import Observability
import RelayProtocol

/// The one other issuer whose tokens are exchanged for sessions here, where one is configured.
struct ExternalIssuer: Sendable {
  let policy: ExternalPolicy
  let keys: IssuerKeys
  let registration: ExternalRegistration
  private let client: HTTPClient?
  private let refusals: Labelled<ExternalRefusal, Counter>

  /// The issuer that the settings name, if they do.
  ///
  /// - Throws: `unavailable` when the file of keys or of authorities cannot be used. An issuer that does not answer is no
  ///   reason for the relay not to start.
  init?(
    _ settings: RelayConfiguration, loop: EventLoop, metrics: Metrics, log: Log,
    now: @escaping @Sendable () -> UInt64
  ) throws(RelayError) {
    guard !settings.externalIssuer.isEmpty else { return nil }
    policy = ExternalPolicy(
      issuer: settings.externalIssuer, audience: settings.externalAudience,
      usernameClaim: settings.externalUsernameClaim)
    registration = settings.externalRegistration
    let source: KeySetSource
    var first: KeySet?
    if let path = settings.externalJWKSFile {
      guard case .success(let set) = KeySetSource.read(path) else {
        throw RelayError(.unavailable, "external-jwks-file holds no JWK Set with a usable public key")
      }
      (source, first, client) = (.file(path), set, nil)
    } else {
      guard let url = try? WebURL(settings.externalJWKSURL) else {
        throw RelayError(.unavailable, "external-jwks-url is not a URL")
      }
      // Made here and not with the first question: reading the system's list takes milliseconds, which are no loop's.
      guard let context = try? TLSClientContext(trustedCertificates: settings.externalAuthoritiesFile) else {
        throw RelayError(.unavailable, "external-jwks-authorities cannot be used")
      }
      let client = KeySetSource.client(trusting: context, loop: loop)
      (source, self.client) = (.url(url, client), client)
    }
    keys = IssuerKeys(
      source: source, first: first, interval: settings.externalJWKSInterval, pause: settings.externalJWKSPause,
      failures: metrics.counter(
        "kin_external_key_failures_total", help: "Times that the other issuer's keys could not be had."),
      log: log, now: now)
    refusals = metrics.counters(
      "kin_external_refusals_total", help: "Tokens of the other issuer that were refused.", by: ExternalRefusal.self)
  }

  /// Whom the token names.
  ///
  /// - Throws: `externalTokenInvalid` for all that is wrong with a token; `unavailable` while the issuer's keys are not to
  ///   be had.
  func person(_ token: String, now: UInt64) async throws(RelayError) -> ExternalPerson {
    do throws(ExternalRefusal) {
      let unverified = try UnverifiedExternalToken(token, policy: policy, now: now)
      switch await keys.find(unverified.key) {
      case .key(let key): return try unverified.verified(by: key)
      case .unknown: throw .unknownKey
      case .noSet: break
      }
    } catch {
      throw refused(error)
    }
    throw RelayError(.unavailable, "The issuer's keys are not to be had.", retryAfter: 5)
  }

  /// The one answer to every token that is not good.
  func refused(_ reason: ExternalRefusal) -> RelayError {
    refusals[reason].add()
    return RelayError(.externalTokenInvalid, "The token is not good, or not any more.")
  }

  func close() async {
    await keys.close()
    client?.close()
  }

  /// Whether a URL of keys can be trusted to come from who is named in it.
  static func isKeyURL(_ text: String) -> Bool {
    guard let url = try? WebURL(text) else { return false }
    switch url.scheme {
    case .https: return true
    case .http: return url.host == "localhost" || url.host == "::1" || isLoopback4(url.host)
    default: return false
    }
  }

  private static func isLoopback4(_ host: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }
}
