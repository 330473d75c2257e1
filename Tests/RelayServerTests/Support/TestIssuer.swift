import COpenSSL
import CryptoPrimitives
import FoundationEssentials
import RelayProtocol
import Testing

@testable import RelayServer

/// A single sign-on as a test has it: keys of every kind, and tokens with whatever in them.
struct TestIssuer: Sendable {
  static let name = "https://sso.example/realms/team"
  static let audience = "kin-team"

  /// One of its keys, under the name that its set gives it.
  struct Key: Sendable {
    enum Material: Sendable {
      case own(SigningKey)
      case rsa(RSAKey)
    }

    let id: String
    let material: Material

    /// - Parameter algorithm: chooses the kind.
    init(_ algorithm: JWSKey.Algorithm, id: String? = nil) {
      self.id = id ?? "\(algorithm.rawValue)-1"
      material =
        switch algorithm {
        case .edDSA: .own(.generate())
        case .es256: .own(.generate(.ecdsaSecp256r1SHA256))
        case .rs256: .rsa(RSAKey())
        }
    }

    var algorithm: JWSKey.Algorithm {
      switch material {
      case .own(let key): key.scheme == .ed25519 ? .edDSA : .es256
      case .rsa: .rs256
      }
    }

    /// The public half's numbers, as its JWK names them.
    var numbers: [(String, [UInt8])] {
      switch material {
      case .own(let key) where key.scheme == .ed25519: [("x", key.publicKey)]
      case .own(let key): [("x", Array(key.publicKey[1..<33])), ("y", Array(key.publicKey[33...]))]
      case .rsa(let key): [("n", key.modulus), ("e", [1, 0, 1])]
      }
    }

    /// A JWK with these members behind its numbers.
    func jwk(_ more: String = #","use":"sig""#, id: String? = nil) -> String {
      let type =
        switch algorithm {
        case .edDSA: #""kty":"OKP","crv":"Ed25519""#
        case .es256: #""kty":"EC","crv":"P-256""#
        case .rs256: #""kty":"RSA""#
        }
      let numbers = numbers.map { #","\#($0)":"\#(Base64URL($1).text)""# }.joined()
      return "{\"kid\":\"\(id ?? self.id)\",\(type)\(numbers)\(more)}"
    }

    func sign(_ message: [UInt8]) throws -> [UInt8] {
      switch material {
      case .rsa(let key): key.sign(message)
      case .own(let key) where key.scheme == .ed25519: try key.sign(message)
      case .own(let key): Self.fixed(try key.sign(message))
      }
    }

    /// `r` and `s` in 32 bytes each, of an ECDSA signature in DER.
    private static func fixed(_ der: [UInt8]) -> [UInt8] {
      var (rest, result) = (der.dropFirst(2), [UInt8]())
      for _ in 0..<2 {
        let length = Int(rest[rest.startIndex + 1])
        let digits = rest.dropFirst(2).prefix(length).drop { $0 == 0 }
        result += [UInt8](repeating: 0, count: 32 - digits.count) + digits
        rest = rest.dropFirst(2 + length)
      }
      return result
    }
  }

  /// An RSA key of 2048 bits that can sign: the product has none.
  final class RSAKey: @unchecked Sendable {
    private let key: OpaquePointer
    let modulus: [UInt8]

    init() {
      let exponent = BN_new()
      BN_set_word(exponent, 65_537)
      key = RSA_new()
      RSA_generate_key_ex(key, 2048, exponent, nil)
      BN_free(exponent)
      var bytes = [UInt8](repeating: 0, count: 256)
      BN_bn2bin(RSA_get0_n(key), &bytes)
      modulus = bytes
    }

    deinit { RSA_free(key) }

    func sign(_ message: [UInt8]) -> [UInt8] {
      let digest = Digest.hash(.sha256, message)
      var signature = [UInt8](repeating: 0, count: 256)
      var length: UInt32 = 0
      RSA_sign(NID_sha256, digest, UInt32(digest.count), &signature, &length, key)
      return signature
    }
  }

  /// One of each kind, made once for all tests.
  static let keys = JWSKey.Algorithm.allCases.map { Key($0) }

  static func key(_ algorithm: JWSKey.Algorithm) -> Key {
    keys.first { $0.algorithm == algorithm } ?? Key(algorithm)
  }

  static func set(_ keys: [Key] = keys) -> String {
    "{\"keys\":[" + keys.map { $0.jwk() }.joined(separator: ",") + "]}"
  }

  static func header(_ key: Key, _ more: String = #","typ":"JWT""#) -> String {
    #"{"alg":"\#(key.algorithm.rawValue)","kid":"\#(key.id)"\#(more)}"#
  }

  /// Claims as Keycloak and its like make them; `changes` replace or, with `nil`, remove some.
  static func claims(
    _ subject: String, name: String? = nil, now: UInt64, _ changes: [String: String?] = [:]
  ) -> String {
    var claims: [String: String?] = [
      "iss": "\"\(Self.name)\"", "aud": "\"\(audience)\"", "sub": "\"\(subject)\"", "iat": "\(now / 1000)",
      "exp": "\(now / 1000 + 300)", "jti": "\"\(Base64URL(Random.bytes(12)).text)\"", "azp": "\"\(audience)\"",
      "email_verified": "true", "realm_access": #"{"roles":["user",{"deep":[1.5e3,-2,null]}]}"#,
      "name": "\"J\\u00fcrgen \u{1f98a}\"", "preferred_username": name.map { "\"\($0)\"" },
    ]
    for (key, value) in changes { claims[key] = value }
    return "{" + claims.compactMap { key, value in value.map { "\"\(key)\":\($0)" } }.joined(separator: ",") + "}"
  }

  /// Signs any header and claims with the issuer's own key: only the content may be wrong.
  static func sign(_ header: String, _ claims: String, by key: Key) throws -> String {
    let signed = Base64URL(Array(header.utf8)).text + "." + Base64URL(Array(claims.utf8)).text
    return signed + "." + Base64URL(try key.sign(Array(signed.utf8))).text
  }

  /// A good token, unless `changes` make it none.
  static func token(
    _ subject: String, name: String? = nil, by key: Key = key(.edDSA), now: UInt64 = Relay.wallClock(),
    _ changes: [String: String?] = [:]
  ) throws -> String {
    try sign(header(key), claims(subject, name: name, now: now, changes), by: key)
  }
}
