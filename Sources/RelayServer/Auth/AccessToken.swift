import CryptoPrimitives
import RelayProtocol

/// Makes and checks access tokens: JWTs (RFC 7519) of type `at+jwt` (RFC 9068), signed with EdDSA, by the rules of
/// RFC 8725.
struct AccessTokens: Sendable {
  let ring: TokenKeyRing
  let issuer: String
  let audience: String
  /// Seconds that clocks may differ.
  var leeway: UInt64 = 5

  init(keys: TokenKeys, issuer: String, audience: String) {
    self.init(ring: TokenKeyRing(keys), issuer: issuer, audience: audience)
  }

  init(ring: TokenKeyRing, issuer: String, audience: String) {
    (self.ring, self.issuer, self.audience) = (ring, issuer, audience)
  }

  /// A token for a session; `now` and `caller.expires` are milliseconds.
  func issue(_ caller: Caller, now: UInt64) throws(RelayError) -> String {
    let keys = ring.keys
    let header = #"{"alg":"EdDSA","typ":"at+jwt","kid":"\#(keys.signingID)"}"#
    let payload = """
      {"iss":"\(issuer)","aud":"\(audience)","sub":"\(caller.user)","device":"\(caller.device)",\
      "sid":"\(caller.session)","client_id":"kin","jti":"\(Base64URL(Random.bytes(12)).text)",\
      "iat":\(now / 1000),"nbf":\(now / 1000),"exp":\(caller.expires / 1000)}
      """
    let signed = Base64URL(Array(header.utf8)).text + "." + Base64URL(Array(payload.utf8)).text
    do {
      return signed + "." + Base64URL(try keys.signing.sign(Array(signed.utf8))).text
    } catch {
      throw RelayError(.internalError, "A token cannot be signed.")
    }
  }

  /// Who a token speaks for. Whether its session still lives is another question.
  ///
  /// - Throws: `tokenExpired` for a token that was good once: get a fresh one. `unauthenticated` for all others, which
  ///   do not learn why.
  func check(_ token: String, now: UInt64) throws(RelayError) -> Caller {
    let refusal = RelayError(.unauthenticated, "The access token is not valid.")
    guard token.utf8.count <= Limits.token else { throw refusal }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let headerBytes = Base64URL(text: parts[0]), let payloadBytes = Base64URL(text: parts[1]),
      let signature = Base64URL(text: parts[2])
    else { throw refusal }

    // The header is trusted with nothing but the choice among our own keys. Whatever else it carries (`crit`, `jku`,
    // `jwk`, `x5u`, …) makes it a token that we did not issue.
    guard let header = FlatJSON(headerBytes.bytes), header.values.count == 3, header.text("alg") == "EdDSA",
      header.text("typ") == "at+jwt", let id = header.text("kid"), let key = ring.verifyingKey(id: id, now: now)
    else { throw refusal }
    // Covers the text as it came, since strict base64url leaves one text for each value.
    let signed = Array(token.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    guard key.isValidSignature(signature.bytes, for: signed) else { throw refusal }

    guard let claims = FlatJSON(payloadBytes.bytes), claims.text("iss") == issuer, claims.text("aud") == audience,
      let user = claims.text("sub").flatMap({ UserID($0) }),
      let device = claims.text("device").flatMap({ DeviceID($0) }),
      let session = claims.text("sid").flatMap({ UInt64($0) }), let issued = claims.number("iat"),
      let notBefore = claims.number("nbf"), let expires = claims.number("exp")
    else { throw refusal }
    let seconds = now / 1000
    guard issued <= seconds + leeway, notBefore <= seconds + leeway, expires > issued, expires < 1 << 40 else {
      throw refusal
    }
    guard expires + leeway > seconds else { throw RelayError(.tokenExpired, "The access token has expired.") }
    return Caller(user: user, device: device, session: session, expires: expires * 1000)
  }
}
