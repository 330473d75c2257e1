import CryptoPrimitives
import RelayProtocol

@testable import RelayServer

extension Target {
  /// What another issuer says: its JSON, its set of keys, and its tokens, among them some that its own key has signed, so that
  /// what stands behind the signature is reached.
  static let issuer = Target(
    name: "issuer",
    run: { input in
      guard let first = input.first else { return }
      let bytes = Array(input.dropFirst())
      switch first % 4 {
      case 0:
        guard let value = StrictJSON(bytes) else { return }
        require(StrictJSON(Array(text(of: value).utf8)) == value, "a value is another once written")
      case 1:
        guard let set = try? KeySet(bytes) else { return }
        require((1...KeySet.maxKeys).contains(set.count), "a set of no keys, or of too many")
      case 2:
        let text = String(decoding: bytes, as: UTF8.self)
        guard let token = try? UnverifiedExternalToken(text, policy: policy, now: clock) else { return }
        require(
          (try? token.verified(by: key)) == nil || token.key.algorithm == .edDSA, "another algorithm was accepted")
      default:
        // Header, a null byte, claims.
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2,
          let token = try? UnverifiedExternalToken(signed(parts[0], parts[1]), policy: policy, now: clock),
          let person = try? token.verified(by: key)
        else { return }
        let claims = StrictJSON(Array(parts[1]))
        require(StrictJSON(Array(parts[0]))?["alg"]?.text == "EdDSA", "another algorithm was accepted")
        require(claims?["iss"]?.text == policy.issuer, "another issuer was accepted")
        require(claims?["sub"]?.text == person.identity.subject, "somebody else was named")
        require((claims?["exp"]?.whole ?? 0) + policy.leeway > clock / 1000, "an expired token was accepted")
        require(person.redemption.expires > clock, "a token is forgotten while it is good")
        if let name = person.username { require(Limits.isUsername(name), "a name that is none") }
      }
    },
    seeds: {
      let seconds = clock / 1000
      let header = #"{"alg":"EdDSA","typ":"JWT","kid":"one"}"#
      let claims = """
        {"iss":"https://id.example","aud":["kin","other"],"sub":"7","exp":\(seconds + 600),"iat":\(seconds),\
        "jti":"a","preferred_username":"Alice@team.example","groups":[{"name":"\\u00e9"},null,true,-1.5e3]}
        """
      let keys = """
        {"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"one","x":"\(Base64URL(signing.publicKey).text)"},\
        {"kty":"oct","kid":"two","k":"AQID"}]}
        """
      return [
        Seed(name: "claims", bytes: [0] + Array(claims.utf8)), Seed(name: "keys", bytes: [1] + Array(keys.utf8)),
        Seed(name: "token", bytes: [2] + Array(signed(Array(header.utf8)[...], Array(claims.utf8)[...]).utf8)),
        Seed(name: "signed", bytes: [3] + Array(header.utf8) + [0] + Array(claims.utf8)),
      ]
    })
}

private let clock: UInt64 = 1_800_000_000_000
private let policy = ExternalPolicy(
  issuer: "https://id.example", audience: "kin", usernameClaim: "preferred_username")

private let signing: SigningKey = {
  guard let key = try? SigningKey(seed: Secret(copying: [UInt8](repeating: 9, count: 32))) else { found("no key") }
  return key
}()

private let key: JWSKey = {
  guard let key = try? JWSKey(ed25519: signing.publicKey) else { found("no key") }
  return key
}()

/// A token that the issuer's key has signed, whatever it says.
private func signed(_ header: ArraySlice<UInt8>, _ claims: ArraySlice<UInt8>) -> String {
  let text = Base64URL(Array(header)).text + "." + Base64URL(Array(claims)).text
  guard let signature = try? signing.sign(Array(text.utf8)) else { found("no signature") }
  return text + "." + Base64URL(signature).text
}

/// The value in JSON; a number that is not whole stands for all of its kind.
private func text(of value: StrictJSON) -> String {
  func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\" + String(scalar)
      case _ where scalar.value < 0x20:
        result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
  switch value {
  case .null: return "null"
  case .boolean(let value): return value ? "true" : "false"
  case .whole(let number): return "\(number)"
  case .number: return "-1.5"
  case .text(let value): return quoted(value)
  case .list(let items): return "[" + items.map(text(of:)).joined(separator: ",") + "]"
  case .object(let members): return "{" + members.map { quoted($0) + ":" + text(of: $1) }.joined(separator: ",") + "}"
  }
}
