import CryptoPrimitives
import RelayProtocol
import Testing

@testable import RelayServer

/// Class 43 of the attacks, on another issuer's tokens, with each algorithm.
struct ExternalTokenTests {
  static let now: UInt64 = 1_800_000_000_000
  static let seconds = now / 1000
  static let policy = ExternalPolicy(
    issuer: TestIssuer.name, audience: TestIssuer.audience, usernameClaim: "preferred_username")
  static let set = try? KeySet(Array(TestIssuer.set().utf8))

  /// What the relay does with a token, without the waiting for keys.
  static func check(_ token: String, set: KeySet? = set) throws(ExternalRefusal) -> ExternalPerson {
    let unverified = try UnverifiedExternalToken(token, policy: policy, now: now)
    guard let key = set?[unverified.key] else { throw .unknownKey }
    return try unverified.verified(by: key)
  }

  static func refusal(_ token: String, set: KeySet? = set) -> ExternalRefusal? {
    do {
      _ = try check(token, set: set)
      return nil
    } catch { return error }
  }

  static func refusal(_ changes: [String: String?], _ algorithm: JWSKey.Algorithm = .edDSA) throws -> ExternalRefusal? {
    refusal(try TestIssuer.token("s1", by: TestIssuer.key(algorithm), now: now, changes))
  }

  @Test(arguments: JWSKey.Algorithm.allCases) func takesWhatTheIssuerSigns(_ algorithm: JWSKey.Algorithm) throws {
    let key = TestIssuer.key(algorithm)
    let person = try Self.check(TestIssuer.token("s1", name: "Alice", by: key, now: Self.now))
    #expect(person.identity == ExternalIdentity(issuer: TestIssuer.name, subject: "s1") && person.username == "alice")
    #expect(person.redemption.expires > (Self.seconds + 300) * 1000)
    for changes: [String: String?] in [
      ["aud": #"["other","\#(TestIssuer.audience)"]"#], ["aud": #"["\#(TestIssuer.audience)"]"#], ["jti": nil],
      ["iat": nil], ["nbf": "\(Self.seconds + 60)"], ["iat": "\(Self.seconds + 60)"],
      ["exp": "\(Self.seconds - 59)", "iat": nil], ["x": "\"\\ud83e\\udd8a\""],
    ] { #expect(try Self.refusal(changes, algorithm) == nil, "\(changes)") }
    for more in ["", #","typ":"at+jwt""#, #","typ":"application/at+JWT""#, #","x5t":"abc","typ":"jwt""#] {
      let claims = TestIssuer.claims("s1", now: Self.now)
      #expect(Self.refusal(try TestIssuer.sign(TestIssuer.header(key, more), claims, by: key)) == nil, "\(more)")
    }
  }

  @Test(arguments: JWSKey.Algorithm.allCases) func refusesHeaders(_ algorithm: JWSKey.Algorithm) throws {
    let key = TestIssuer.key(algorithm)
    let claims = TestIssuer.claims("s1", now: Self.now)
    let (alg, kid) = (#""alg":"\#(algorithm.rawValue)""#, #""kid":"\#(key.id)""#)
    var headers = ["", "null", "[]", "{", "{}", "{\(alg)}", "{\(kid)}", "{\(alg),\(kid)}x", "{\(alg),\(kid),\(alg)}"]
    headers += [
      "none", "None", "nOnE", "HS256", "HS512", "RS512", "PS256", "ES384", "ES512", "ES256K", "RSA-OAEP", "dir",
      algorithm.rawValue.lowercased(), algorithm.rawValue + " ", "",
    ].map { #"{"alg":"\#($0)",\#(kid)}"# }
    headers += [
      #""jku":"https://evil.example/jwks""#, #""x5u":"https://evil.example/x""#, #""x5c":"MIIB""#, #""crit":"exp""#,
      #""crit":["exp"]"#, #""jwk":\#(key.jwk())"#, #""jwk":"x""#, #""b64":"false""#, #""zip":"DEF""#,
      #""enc":"A128GCM""#,
      #""typ":"logout+jwt""#, #""typ":"secevent+jwt""#, #""typ":"dpop+jwt""#, #""typ":1"#, #""typ":"""#,
      #""cty":"JWT""#,
      #""kid":"\#(key.id)""#, #""nonce":"1""#,
    ].map { "{\(alg),\(kid),\($0)}" }
    headers += [
      #""kid":"""#, #""kid":1"#, #""kid":"../../../dev/null""#, #""kid":"x' UNION SELECT 'k""#, #""kid":"\#(key.id) ""#,
      #""kid":"\#(key.id)\u0000""#, #""kid":"\#(String(repeating: "k", count: 300))""#, #""kid":["\#(key.id)"]"#,
    ].map { "{\(alg),\($0)}" }
    for header in headers {
      let token = try TestIssuer.sign(header, claims, by: key)
      #expect(Self.refusal(token) != nil, "\(header)")
    }
    #expect(headers.count > 45)
  }

  @Test(arguments: JWSKey.Algorithm.allCases) func refusesClaims(_ algorithm: JWSKey.Algorithm) throws {
    let long = String(repeating: "s", count: 256)
    let cases: [(ExternalRefusal, String, [String?])] = [
      (
        .issuer, "iss",
        [nil, "\"\"", "\"\(TestIssuer.name)/\"", "\"https://evil.example\"", "[\"\(TestIssuer.name)\"]", "1"]
      ),
      (
        .audience, "aud",
        [nil, "\"\"", "\"kin\"", "\"\(TestIssuer.audience) \"", "[]", "[\"other\"]", "[[\"\(TestIssuer.audience)\"]]"]
      ),
      (
        .audience, "aud",
        ["[1,\"\(TestIssuer.audience)\"]", "{\"\(TestIssuer.audience)\":1}", "\"\(TestIssuer.audience.uppercased())\""]
      ),
      (.subject, "sub", [nil, "\"\"", "1", "\"a\\u0000\"", "\"\u{e9}\"", "\"\(long)\"", "\"a\\n\""]),
      (
        .expired, "exp", [nil, "\"\(Self.seconds + 300)\"", "\(Self.seconds - 60)", "0", "-1", "1e12", "1.8e9", "null"]
      ),
      (.expired, "exp", ["18446744073709551615", "18446744073709551616", "\(UInt64(1) << 40)"]),
      (.lifetime, "exp", ["\(Self.seconds + 90_000)"]),
      (.early, "nbf", ["\(Self.seconds + 61)", "\"0\"", "null", "-1", "18446744073709551615"]),
      (.early, "iat", ["\(Self.seconds + 61)", "\"\(Self.seconds)\"", "1.5"]),
      (.purpose, "events", ["{}", "{\"http://schemas.openid.net/event/backchannel-logout\":{}}"]),
      (.purpose, "cnf", ["{\"jkt\":\"x\"}"]),
      (.malformed, "jti", ["1", "\"\"", "null"]),
    ]
    for (reason, claim, values) in cases {
      for value in values {
        #expect(try Self.refusal([claim: value], algorithm) == reason, "\(claim) \(value ?? "-")")
      }
    }
    let iat = Self.seconds + 30
    #expect(try Self.refusal(["iat": "\(iat)", "exp": "\(iat)"], algorithm) == .lifetime)
  }

  @Test func refusesPayloadsThatCanBeReadInTwoWays() throws {
    let key = TestIssuer.key(.edDSA)
    let good = TestIssuer.claims("s1", now: Self.now)
    let inner = good.dropFirst().dropLast()
    for payload in [
      "{\"sub\":\"admin\",\(inner)}", "{\(inner),\"sub\":\"admin\"}", "{\(inner),\"\\u0073ub\":\"admin\"}",
      "{\(inner),\"a\":{\"b\":1,\"b\":2}}", good + good, good + "\0", "[\(good)]", "\(inner)", "", "null",
      "{\(inner),}",
      "{\(inner),\"a\":\"\\ud800\"}",
      "{\(inner),\"a\":\(String(repeating: "[", count: 40))\(String(repeating: "]", count: 40))}",
      "{\(inner),\"a\":01}", "{\(inner),\"a\":.5}", "{\(inner),a:1}", "\u{feff}\(good)",
    ] {
      #expect(Self.refusal(try TestIssuer.sign(TestIssuer.header(key), payload, by: key)) == .malformed, "\(payload)")
    }
    #expect(Self.refusal(try TestIssuer.sign(TestIssuer.header(key), good, by: key)) == nil)
  }

  /// The public half of a key as a secret, and every key under every other algorithm's name.
  @Test(arguments: JWSKey.Algorithm.allCases) func refusesConfusedAlgorithms(_ algorithm: JWSKey.Algorithm) throws {
    let key = TestIssuer.key(algorithm)
    let claims = Base64URL(Array(TestIssuer.claims("s1", now: Self.now).utf8)).text
    let secrets = [Array(key.jwk().utf8), key.numbers[0].1, key.numbers.flatMap(\.1), Array(TestIssuer.set().utf8), []]
    for name in ["HS256", algorithm.rawValue] {
      let head = Base64URL(Array(#"{"alg":"\#(name)","kid":"\#(key.id)"}"#.utf8)).text
      for secret in secrets {
        let tag = HMAC.code(.sha256, key: Secret(copying: secret), message: Array("\(head).\(claims)".utf8))
        #expect(Self.refusal("\(head).\(claims).\(Base64URL(tag).text)") == (name == "HS256" ? .algorithm : .signature))
      }
      #expect(Self.refusal("\(head).\(claims).") != nil)
    }
    for other in TestIssuer.keys where other.algorithm != algorithm {
      // Signed by the one, named as the other; and the other's name of the algorithm on this one's key.
      let named = try TestIssuer.sign(TestIssuer.header(other), TestIssuer.claims("s1", now: Self.now), by: key)
      #expect(Self.refusal(named) == .signature)
      let header = #"{"alg":"\#(other.algorithm.rawValue)","kid":"\#(key.id)"}"#
      let mixed = try TestIssuer.sign(header, TestIssuer.claims("s1", now: Self.now), by: key)
      #expect(Self.refusal(mixed) == .unknownKey)
    }
    // Another issuer's key of the same kind and name.
    let stranger = TestIssuer.Key(algorithm, id: key.id)
    #expect(Self.refusal(try TestIssuer.token("s1", by: stranger, now: Self.now)) == .signature)
  }

  @Test(arguments: JWSKey.Algorithm.allCases) func refusesDamage(_ algorithm: JWSKey.Algorithm) throws {
    let token = try TestIssuer.token("s1", by: TestIssuer.key(algorithm), now: Self.now)
    let parts = token.split(separator: ".")
    for damaged in [
      "", ".", "..", "...", String(token.dropLast()), token + "A", token + ".", token + "=", token + "\n", " " + token,
      "\(parts[0]).\(parts[1])", "\(parts[0]).\(parts[1]).", "\(parts[1]).\(parts[0]).\(parts[2])", token + "." + token,
      "\(parts[0])..\(parts[1]).\(parts[2]).x", String(repeating: "A", count: 1 << 20),
      "\(parts[0]).\(parts[1]).\(String(repeating: "A", count: Limits.externalToken))",
      token.replacing(".", with: ". "), token.replacing("e", with: "\u{435}"),
    ] { #expect(Self.refusal(damaged) != nil, "\(damaged.prefix(40))") }
    for index in stride(from: 0, to: token.utf8.count, by: 9) {
      var bytes = Array(token.utf8)
      bytes[index] = bytes[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      #expect(Self.refusal(String(decoding: bytes, as: UTF8.self)) != nil, "at \(index)")
    }
  }

  /// A second signature of the same text is no second token: ECDSA's `s` has one that anybody can compute.
  @Test func theRedemptionDoesNotDependOnTheSignature() throws {
    let key = TestIssuer.key(.es256)
    let claims = TestIssuer.claims("s1", now: Self.now, ["jti": nil])
    let (one, two) = (
      try TestIssuer.sign(TestIssuer.header(key), claims, by: key),
      try TestIssuer.sign(TestIssuer.header(key), claims, by: key)
    )
    #expect(one != two)
    #expect(try Self.check(one).redemption == Self.check(two).redemption)
    // With a number of the issuer's, whatever else the token says.
    let (three, four) = (
      try TestIssuer.token("s1", now: Self.now, ["jti": "\"7\""]),
      try TestIssuer.token("s2", now: Self.now, ["jti": "\"7\""])
    )
    #expect(try Self.check(three).redemption.hash == Self.check(four).redemption.hash)
    #expect(try Self.check(one).redemption.hash != Self.check(three).redemption.hash)
  }

  @Test func namesAreTakenWhereTheyCan() {
    let names: [(String, String?)] = [
      ("Alice", "alice"), ("alice@team.example", "alice"), ("a.b-c_9", "a.b-c_9"), ("AL", nil), ("alice@x@y", nil),
      ("", nil), ("@team", nil), ("J\u{fc}rgen", nil), ("alice smith", nil), ("\u{212a}im", nil), (".alice", nil),
      (String(repeating: "a", count: 33), nil),
      (String(repeating: "a", count: 32) + "@" + String(repeating: "b", count: 300), nil),
    ]
    for (claim, name) in names { #expect(UnverifiedExternalToken.username(from: claim) == name, "\(claim)") }
  }
}
