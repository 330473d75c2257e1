import CryptoPrimitives
import RelayProtocol

/// The keys of an issuer that can sign tokens here, by name and algorithm: a JWK Set (RFC 7517 section 5).
///
/// Keys of other kinds, uses and sizes are left out, as the RFC asks; symmetric keys are among them, so no public key can
/// ever be taken for a secret.
struct KeySet: Sendable {
  /// The longest set, in bytes.
  static let maxBytes = 256 << 10
  static let maxKeys = 256

  struct Name: Hashable, Sendable {
    let id: String
    let algorithm: JWSKey.Algorithm
  }

  /// Why a set is not taken, in words that an operator may read in a log.
  enum Fault: UInt64, Error, Sendable {
    /// The file cannot be read, or the issuer not reached.
    case notReached = 1
    /// The issuer answered with another status than 200: a redirect is not followed.
    case status = 2
    case tooLong = 3
    /// Not a JWK Set in strict JSON, or two keys of one name.
    case malformed = 4
    /// Somebody put private keys there: what was to be secret is not.
    case privateKey = 5
    case noUsableKey = 6
  }

  private let keys: [Name: JWSKey]

  /// - Throws: ``Fault``: then nothing of the set is to be used.
  init(_ bytes: [UInt8]) throws(Fault) {
    guard bytes.count <= Self.maxBytes else { throw .tooLong }
    guard let list = StrictJSON(bytes)?["keys"]?.list, list.count <= Self.maxKeys else { throw .malformed }
    var keys: [Name: JWSKey] = [:]
    for item in list {
      guard case .object(let members) = item, let type = members["kty"]?.text else { throw .malformed }
      // A symmetric key is nobody's public key either, but it is left out below in any case.
      guard type == "oct" || members["d"] == nil else { throw .privateKey }
      guard let id = members["kid"]?.text, Self.isName(id), Self.mayVerify(members),
        let key = Self.key(type, members), members["alg"].map({ $0.text == key.algorithm.rawValue }) ?? true
      else { continue }
      // Two keys of one name: no telling which the issuer means.
      guard keys.updateValue(key, forKey: Name(id: id, algorithm: key.algorithm)) == nil else { throw .malformed }
    }
    guard !keys.isEmpty else { throw .noUsableKey }
    self.keys = keys
  }

  var count: Int { keys.count }

  subscript(_ name: Name) -> JWSKey? { keys[name] }

  /// Plain ASCII, since texts that look alike must not count as equal.
  private static func isName(_ id: String) -> Bool {
    (1...256).contains(id.utf8.count) && id.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
  }

  /// RFC 7517 sections 4.2 and 4.3.
  private static func mayVerify(_ members: [String: StrictJSON]) -> Bool {
    if let use = members["use"], use.text != "sig" { return false }
    if let operations = members["key_ops"] {
      return operations.list?.contains { $0.text == "verify" } ?? false
    }
    return true
  }

  /// The type alone decides which algorithm a key serves (RFC 8725 section 3.1).
  private static func key(_ type: String, _ members: [String: StrictJSON]) -> JWSKey? {
    func bytes(_ name: String, max: Int) -> [UInt8]? {
      guard let text = members[name]?.text, text.utf8.count <= max / 3 * 4 + 4 else { return nil }
      return Base64URL(text: text)?.bytes
    }
    switch (type, members["crv"]?.text) {
    case ("OKP", "Ed25519"?): return bytes("x", max: 32).flatMap { try? JWSKey(ed25519: $0) }
    case ("EC", "P-256"?):
      guard let x = bytes("x", max: 32), let y = bytes("y", max: 32) else { return nil }
      return try? JWSKey(p256: x, y)
    case ("RSA", nil):
      guard let modulus = bytes("n", max: 1024), let exponent = bytes("e", max: 8) else { return nil }
      return try? JWSKey(rsaModulus: modulus, exponent: exponent)
    default: return nil
    }
  }
}
