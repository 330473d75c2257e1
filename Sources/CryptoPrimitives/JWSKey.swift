/// A public key under which somebody else signs tokens (RFC 7515), bound to the one algorithm that it serves.
///
/// A token's own word for the algorithm chooses nothing here: it is only compared with ``algorithm`` (RFC 8725 section 3.1).
public struct JWSKey: Sendable {
  /// Those of RFC 7518 section 3.1 and RFC 8037 section 3.1 that are taken, by their registered names.
  public enum Algorithm: String, Sendable, CaseIterable {
    case edDSA = "EdDSA"
    case es256 = "ES256"
    case rs256 = "RS256"
  }

  private enum Material: Sendable {
    case ed25519([UInt8])
    case p256(point: [UInt8])
    case rsa(RSAPublicKey)
  }

  private let material: Material

  public var algorithm: Algorithm {
    switch material {
    case .ed25519: .edDSA
    case .p256: .es256
    case .rsa: .rs256
    }
  }

  /// An Ed25519 key (RFC 8037 section 2).
  ///
  /// - Throws: `invalidPublicKey` unless it has 32 bytes. Points of small order verify nothing.
  public init(ed25519 bytes: [UInt8]) throws(CryptoError) {
    guard bytes.count == SignatureScheme.ed25519.publicKeySize else { throw CryptoError(.invalidPublicKey) }
    material = .ed25519(bytes)
  }

  /// A point on P-256 by its coordinates (RFC 7518 section 6.2.1).
  ///
  /// - Throws: `invalidPublicKey` unless both have 32 bytes and lie on the curve.
  public init(p256 x: [UInt8], _ y: [UInt8]) throws(CryptoError) {
    guard x.count == 32, y.count == 32 else { throw CryptoError(.invalidPublicKey) }
    let point = [0x04] + x + y
    guard NISTCurve.p256.isPoint(point) else { throw CryptoError(.invalidPublicKey) }
    material = .p256(point: point)
  }

  /// An RSA key of 2048 to 8192 bits by its big-endian numbers (RFC 7518 section 6.3.1).
  ///
  /// - Throws: `invalidPublicKey` for other sizes, leading zeros, and exponents below 65,537 or above 32 bits.
  public init(rsaModulus modulus: [UInt8], exponent: [UInt8]) throws(CryptoError) {
    material = .rsa(try RSAPublicKey(modulus: modulus, exponent: exponent))
  }

  /// Whether `signature`, in the form that RFC 7518 or RFC 8037 gives its algorithm, is valid for `message`.
  ///
  /// Anything malformed is simply not valid.
  public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
    switch material {
    case .ed25519(let key):
      return SignatureScheme.ed25519.verify(publicKey: key, message: message, signature: signature)
    case .p256(let point):
      guard let encoded = Self.der(signature) else { return false }
      return SignatureScheme.ecdsaSecp256r1SHA256.verify(publicKey: point, message: message, signature: encoded)
    case .rsa(let key):
      Work.verifications.count()
      return key.isValidSignature(signature, digest: Digest.hash(.sha256, message))
    }
  }

  /// The strict DER encoding of `r` and `s`, which JWS writes one behind the other in 32 bytes each (RFC 7518 section 3.4);
  /// `nil` for any other length, so that a signature in DER is not one.
  private static func der(_ signature: [UInt8]) -> [UInt8]? {
    guard signature.count == 64 else { return nil }
    var content: [UInt8] = []
    for number in [signature[..<32], signature[32...]] {
      // Zero keeps one byte; it is no part of a valid signature.
      var digits = Array(number.drop { $0 == 0 })
      if digits.first.map({ $0 >= 0x80 }) ?? true { digits.insert(0, at: 0) }
      content += [0x02, UInt8(digits.count)] + digits
    }
    return [0x30, UInt8(content.count)] + content
  }
}
