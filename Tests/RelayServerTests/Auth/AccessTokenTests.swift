import CryptoPrimitives
import Glibc
import RelayProtocol
import Testing

@testable import RelayServer

struct AccessTokenTests {
  static let now: UInt64 = 1_800_000_000_000
  static let keys = TokenKeys(signing: .generate())
  static let tokens = AccessTokens(keys: keys, issuer: "relay", audience: "relay")
  static let caller = Caller(
    user: UserID(high: 1, low: 2), device: DeviceID(high: 3, low: 4), session: 5, expires: now + 600_000)

  static let header = #"{"alg":"EdDSA","typ":"at+jwt","kid":"\#(keys.signingID)"}"#
  static let subject = #""sub":"\#(caller.user)","device":"\#(caller.device)","sid":"5""#

  static func payload(
    iss: String = "relay", aud: String = "relay", iat: UInt64 = now / 1000, nbf: UInt64 = now / 1000,
    exp: UInt64 = now / 1000 + 600
  ) -> String {
    #"{"iss":"\#(iss)","aud":"\#(aud)",\#(subject),"iat":\#(iat),"nbf":\#(nbf),"exp":\#(exp)}"#
  }

  /// Signs any header and payload with the relay's own key: only the content is wrong.
  static func forge(_ header: String = header, _ payload: String = payload(), key: SigningKey = keys.signing) throws
    -> String
  {
    let signed = Base64URL(Array(header.utf8)).text + "." + Base64URL(Array(payload.utf8)).text
    return signed + "." + Base64URL(try key.sign(Array(signed.utf8))).text
  }

  static func code(_ token: String) -> RelayCode? {
    do {
      _ = try tokens.check(token, now: now)
      return nil
    } catch { return error.code }
  }

  @Test func acceptsItsOwn() throws {
    let token = try Self.tokens.issue(Self.caller, now: Self.now)
    #expect(try Self.tokens.check(token, now: Self.now) == Self.caller)
    #expect(Self.code(try Self.forge()) == nil)
  }

  @Test(arguments: [
    #"{"alg":"none","typ":"at+jwt","kid":"K"}"#, #"{"alg":"HS256","typ":"at+jwt","kid":"K"}"#,
    #"{"alg":"RS256","typ":"at+jwt","kid":"K"}"#, #"{"alg":"eddsa","typ":"at+jwt","kid":"K"}"#,
    #"{"alg":"EdDSA","typ":"JWT","kid":"K"}"#, #"{"alg":"EdDSA","kid":"K"}"#, #"{"alg":"EdDSA","typ":"at+jwt"}"#,
    #"{"alg":"EdDSA","typ":"at+jwt","kid":"../../dev/null"}"#, #"{"alg":"EdDSA","typ":"at+jwt","kid":""}"#,
    #"{"alg":"EdDSA","typ":"at+jwt","kid":"K","crit":"exp"}"#,
    #"{"alg":"EdDSA","typ":"at+jwt","kid":"K","jku":"https://x"}"#,
    #"{"alg":"EdDSA","typ":"at+jwt","kid":"K","jwk":{"kty":"OKP"}}"#,
    #"{"alg":"EdDSA","typ":"at+jwt","kid":"K","x5u":"https://x"}"#,
    #"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"K"}"#, #"{"alg":"EdDSA","typ":"at+jwt","kid":"K"}x"#,
    #"{"alg":["EdDSA"],"typ":"at+jwt","kid":"K"}"#, "", "null", "[]", "{",
  ])
  func refusesHeader(_ header: String) throws {
    let header = header.replacing("\"K\"", with: "\"\(Self.keys.signingID)\"")
    #expect(Self.code(try Self.forge(header)) == .unauthenticated)
  }

  @Test func refusesClaims() throws {
    let seconds = Self.now / 1000
    for payload in [
      Self.payload(iss: "other"), Self.payload(aud: "other"), Self.payload(iss: "relay "),
      Self.payload(nbf: seconds + 60), Self.payload(iat: seconds + 60, exp: seconds + 600),
      Self.payload(iat: seconds, exp: seconds), Self.payload(exp: .max),
      Self.payload().replacing(#""exp":"#, with: #""expp":"#), Self.payload().replacing(#""nbf":"#, with: #""x":"#),
      Self.payload().replacing(#""iat":"#, with: #""x":"#),
      Self.payload().replacing(#""sid":"5""#, with: #""sid":"-5""#),
      Self.payload().replacing(#""sub":"#, with: #""sub":"x","sub":"#),
      Self.payload().replacing(#""aud":"relay""#, with: #""aud":["relay","x"]"#),
      Self.payload().replacing("\(Self.caller.user)", with: "someone"), "{}", "",
    ] { #expect(Self.code(try Self.forge(Self.header, payload)) == .unauthenticated, "\(payload)") }
  }

  @Test func tellsExpiredApart() throws {
    let seconds = Self.now / 1000
    #expect(
      Self.code(try Self.forge(Self.header, Self.payload(iat: seconds - 900, exp: seconds - 300))) == .tokenExpired)
  }

  @Test func refusesOtherKeysAndDamage() throws {
    #expect(Self.code(try Self.forge(key: .generate())) == .unauthenticated)
    let other = TokenKeys(signing: .generate())
    let foreign = AccessTokens(keys: other, issuer: "relay", audience: "relay")
    #expect(Self.code(try foreign.issue(Self.caller, now: Self.now)) == .unauthenticated)

    let token = try Self.forge()
    let parts = token.split(separator: ".")
    // HS256 keyed with the public key, the classic confusion.
    let hs = Base64URL(Array(#"{"alg":"HS256","typ":"at+jwt","kid":"\#(Self.keys.signingID)"}"#.utf8)).text
    let signed = "\(hs).\(parts[1])"
    let tag = HMAC.code(
      .sha256, key: Secret(copying: Self.keys.signing.publicKey), message: Array(signed.utf8))
    for damaged in [
      "\(signed).\(Base64URL(tag).text)", "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1])", "\(token).x",
      token + "=", token + "\n", " " + token, "", ".", "..", "...", String(token.dropLast()),
      "\(parts[1]).\(parts[0]).\(parts[2])", String(repeating: "A", count: 1 << 20),
      token + String(repeating: "A", count: 5000),
    ] { #expect(Self.code(damaged) == .unauthenticated) }
    for index in stride(from: 0, to: token.utf8.count, by: 7) {
      var bytes = Array(token.utf8)
      bytes[index] = bytes[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      #expect(Self.code(String(decoding: bytes, as: UTF8.self)) == .unauthenticated)
    }
  }

  @Test func rotatesKeys() throws {
    let old = Self.keys.signing
    let rotated = TokenKeys(signing: .generate(), retired: [.init(old)])
    let tokens = AccessTokens(keys: rotated, issuer: "relay", audience: "relay")
    #expect(try tokens.check(Self.forge(), now: Self.now) == Self.caller)
    #expect(try tokens.check(tokens.issue(Self.caller, now: Self.now), now: Self.now) == Self.caller)
    #expect(rotated.signingID != Self.keys.signingID)
  }

  @Test func keepsKeysInAPrivateFile() throws {
    let folder = try RelayFixture.temporaryFolder()
    let path = folder + "/keys"
    let made = try TokenKeys.load(file: path)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(try TokenKeys.load(file: path).signingID == made.signingID)
    chmod(path, 0o644)
    #expect(throws: RelayError(.unavailable, "")) { try TokenKeys.load(file: path) }
    chmod(path, 0o600)
    truncate(path, 20)
    #expect(throws: RelayError(.unavailable, "")) { try TokenKeys.load(file: path) }
    truncate(path, 0)
    #expect(throws: RelayError(.unavailable, "")) { try TokenKeys.load(file: path) }
  }

  @Test func readsFlatJSONOnly() {
    #expect(FlatJSON(Array(#" { "a" : "b" , "c" : 12 } "#.utf8))?.number("c") == 12)
    #expect(FlatJSON(Array("{}".utf8)) != nil)
    for text in [
      #"{"a":1,"a":2}"#, #"{"a":01}"#, #"{"a":-1}"#, #"{"a":1.5}"#, #"{"a":"\u0041"}"#, #"{"a":true}"#, #"{"a":1,}"#,
      #"{"a":18446744073709551616}"#, #"{"a":"}"#, #"{a:1}"#, #"{"a":1}{"#, "{\"a\":\"\u{e9}\"}",
    ] { #expect(FlatJSON(Array(text.utf8)) == nil, "\(text)") }
  }
}
