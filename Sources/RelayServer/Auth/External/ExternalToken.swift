import CryptoPrimitives
import Observability
import RelayProtocol

/// What a token of another issuer must say to be taken here.
struct ExternalPolicy: Sendable {
  var issuer: String
  var audience: String
  var usernameClaim: String
  /// Seconds that clocks may differ.
  var leeway: UInt64 = 60
  /// The longest time, in seconds, for which a token may still be good: so long it is remembered once it was redeemed.
  var maxLifetime: UInt64 = 86_400
}

/// Why a token of another issuer was refused: for the operator's metrics. Who sent it does not learn it.
enum ExternalRefusal: String, Error, Sendable, MetricLabel {
  case malformed, header, algorithm, issuer, audience, subject, expired, early
  case lifetime, purpose
  case unknownKey, signature
  case redeemed

  static var labelName: StaticString { "reason" }
  var labelValue: StaticString {
    switch self {
    case .malformed: "malformed"
    case .header: "header"
    case .algorithm: "algorithm"
    case .issuer: "issuer"
    case .audience: "audience"
    case .subject: "subject"
    case .expired: "expired"
    case .early: "early"
    case .lifetime: "lifetime"
    case .purpose: "purpose"
    case .unknownKey: "unknown_key"
    case .signature: "signature"
    case .redeemed: "redeemed"
    }
  }
}

/// Whom a valid token of another issuer names.
struct ExternalPerson: Sendable, Equatable {
  var identity: ExternalIdentity
  /// The name that the token gives, if it can be a username here.
  var username: String?
  /// What keeps the token from being redeemed twice.
  var redemption: Redemption
}

/// A token of another issuer whose signature nobody has checked yet, though all else is right.
///
/// It becomes an ``ExternalPerson`` in ``verified(by:)`` and nowhere else. The rules are those of RFC 8725.
struct UnverifiedExternalToken: Sendable {
  /// The key that must have signed it.
  let key: KeySet.Name
  private let signed: [UInt8]
  private let signature: [UInt8]
  private let person: ExternalPerson

  /// The longest token, in bytes: room for lists of groups that some issuers put in.
  static let maxBytes = Limits.externalToken

  /// - Parameter now: milliseconds since 1970.
  init(_ token: String, policy: ExternalPolicy, now: UInt64) throws(ExternalRefusal) {
    guard token.utf8.count <= Self.maxBytes else { throw .malformed }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    // Five parts are an encrypted token (RFC 7516).
    guard parts.count == 3, let header = Base64URL(text: parts[0]), let payload = Base64URL(text: parts[1]),
      let signature = Base64URL(text: parts[2])
    else { throw .malformed }
    key = try Self.key(header.bytes)
    // Covers the text as it came, since strict base64url leaves one text for each value.
    signed = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    self.signature = signature.bytes
    person = try Self.person(payload.bytes, signed: signed, policy, seconds: now / 1000)
  }

  /// Whom the token names, if `key` signed it.
  ///
  /// - Throws: `signature`.
  func verified(by key: JWSKey) throws(ExternalRefusal) -> ExternalPerson {
    guard key.algorithm == self.key.algorithm, key.isValidSignature(signature, for: signed) else { throw .signature }
    return person
  }

  // MARK: The header

  /// Names of a certificate for the same key: they choose nothing here.
  private static let harmless: Set<String> = ["alg", "kid", "typ", "x5t", "x5t#S256"]

  /// The header is trusted with nothing but the choice among the issuer's configured keys. What else it may carry
  /// (`crit`, `jku`, `jwk`, `x5u`, `x5c`, `b64`, `zip`, …) makes it a token for somebody else.
  private static func key(_ bytes: [UInt8]) throws(ExternalRefusal) -> KeySet.Name {
    guard let header = FlatJSON(bytes), header.values.keys.allSatisfy(harmless.contains) else { throw .header }
    guard let algorithm = header.text("alg").flatMap({ JWSKey.Algorithm(rawValue: $0) }) else { throw .algorithm }
    guard let id = header.text("kid"), (1...256).contains(id.utf8.count) else { throw .header }
    // An ID token, or an access token (RFC 9068); not a logout token, a security event or a proof of possession.
    if header.values["typ"] != nil {
      guard let type = header.text("typ")?.lowercased(),
        ["jwt", "at+jwt", "application/jwt", "application/at+jwt"].contains(type)
      else { throw .purpose }
    }
    return KeySet.Name(id: id, algorithm: algorithm)
  }

  // MARK: The claims

  private static func person(
    _ bytes: [UInt8], signed: [UInt8], _ policy: ExternalPolicy, seconds: UInt64
  ) throws(ExternalRefusal) -> ExternalPerson {
    guard case .object(let claims)? = StrictJSON(bytes) else { throw .malformed }
    guard isText(claims["iss"], policy.issuer) else { throw .issuer }
    switch claims["aud"] {
    case .list(let audiences)?:
      guard audiences.allSatisfy({ $0.text != nil }), audiences.contains(where: { isText($0, policy.audience) }) else {
        throw .audience
      }
    case let audience: guard isText(audience, policy.audience) else { throw .audience }
    }
    // A logout token names people but admits nobody; one bound to a key is worth nothing without the proof of it.
    guard claims["events"] == nil, claims["cnf"] == nil else { throw .purpose }
    guard let subject = claims["sub"]?.text, ExternalIdentity.isSubject(subject) else { throw .subject }
    let expires = try checkTimes(claims, policy, seconds: seconds)
    let username = claims[policy.usernameClaim]?.text.flatMap { Self.username(from: $0) }
    let identity = ExternalIdentity(issuer: policy.issuer, subject: subject)
    return ExternalPerson(
      identity: identity, username: username,
      redemption: Redemption(
        hash: try redemptionHash(claims["jti"], signed: signed, policy), now: seconds * 1000,
        expires: (expires + policy.leeway + 1) * 1000, identity: identity))
  }

  /// Byte by byte: Swift's equality of texts knows letters that only look alike.
  private static func isText(_ value: StrictJSON?, _ text: String) -> Bool {
    value?.text?.utf8.elementsEqual(text.utf8) ?? false
  }

  /// Returns when the token expires, in seconds.
  private static func checkTimes(
    _ claims: [String: StrictJSON], _ policy: ExternalPolicy, seconds: UInt64
  ) throws(ExternalRefusal) -> UInt64 {
    guard let expires = claims["exp"]?.whole, expires < 1 << 40 else { throw .expired }
    guard expires + policy.leeway > seconds else { throw .expired }
    for name in ["nbf", "iat"] {
      guard let claim = claims[name] else { continue }
      guard let time = claim.whole, time <= seconds + policy.leeway else { throw .early }
      guard time < expires else { throw .lifetime }
    }
    guard expires <= seconds + policy.leeway + policy.maxLifetime else { throw .lifetime }
    return expires
  }

  /// By the issuer's own number of the token, or else by what it signed: a signature may have a second form (ECDSA's `s`).
  private static func redemptionHash(
    _ jti: StrictJSON?, signed: [UInt8], _ policy: ExternalPolicy
  ) throws(ExternalRefusal) -> [UInt8] {
    guard let jti else { return Digest.hash(.sha256, Array("signed\0".utf8) + signed) }
    guard let text = jti.text, (1...1024).contains(text.utf8.count) else { throw .malformed }
    return Digest.hash(.sha256, Array("jti\0\(policy.issuer)\0".utf8) + Array(text.utf8))
  }

  /// The claim in lower case, or what stands before its `@`, if either can be a username.
  static func username(from claim: String) -> String? {
    guard claim.utf8.count <= 254 else { return nil }
    let name = API.lowercased(claim)
    if Limits.isUsername(name) { return name }
    let parts = name.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, Limits.isUsername(String(parts[0])) else { return nil }
    return String(parts[0])
  }
}

extension ExternalIdentity {
  /// What OpenID Connect Core section 2 lets a subject be: up to 255 characters of ASCII, here without control characters.
  static func isSubject(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
  }
}
