import CSodium

/// A signature scheme, under its number in the TLS registry, as RFC 9420 section 17.1 names them.
public enum SignatureScheme: UInt16, Hashable, Sendable, CaseIterable {
  case ecdsaSecp256r1SHA256 = 0x0403
  case ecdsaSecp384r1SHA384 = 0x0503
  case ecdsaSecp521r1SHA512 = 0x0603
  case ed25519 = 0x0807
  case ed448 = 0x0808

  /// The curve and the hash of an ECDSA scheme.
  var ecdsa: (curve: NISTCurve, hash: HashAlgorithm)? {
    switch self {
    case .ecdsaSecp256r1SHA256: (.p256, .sha256)
    case .ecdsaSecp384r1SHA384: (.p384, .sha384)
    case .ecdsaSecp521r1SHA512: (.p521, .sha512)
    case .ed25519, .ed448: nil
    }
  }

  public var publicKeySize: Int {
    switch self {
    case .ed25519: Int(crypto_sign_ed25519_PUBLICKEYBYTES)
    case .ed448: Curve448.ed448.keySize
    case .ecdsaSecp256r1SHA256: NISTCurve.p256.pointSize
    case .ecdsaSecp384r1SHA384: NISTCurve.p384.pointSize
    case .ecdsaSecp521r1SHA512: NISTCurve.p521.pointSize
    }
  }

  /// The length of the longest signature. Those of ECDSA vary, being DER; all others have exactly this length.
  public var maximumSignatureSize: Int {
    switch self {
    case .ed25519: Int(crypto_sign_ed25519_BYTES)
    case .ed448: Curve448.signatureSize
    case .ecdsaSecp256r1SHA256: NISTCurve.p256.maximumSignatureSize
    case .ecdsaSecp384r1SHA384: NISTCurve.p384.maximumSignatureSize
    case .ecdsaSecp521r1SHA512: NISTCurve.p521.maximumSignatureSize
    }
  }

  /// The length of a private key: a seed (Ed25519, Ed448) or a number (ECDSA).
  public var privateKeySize: Int {
    switch self {
    case .ed25519: Int(crypto_sign_ed25519_SEEDBYTES)
    case .ed448: Curve448.ed448.keySize
    case .ecdsaSecp256r1SHA256: NISTCurve.p256.scalarSize
    case .ecdsaSecp384r1SHA384: NISTCurve.p384.scalarSize
    case .ecdsaSecp521r1SHA512: NISTCurve.p521.scalarSize
    }
  }

  /// Whether `signature` is valid for `message` under `publicKey`.
  ///
  /// Anything malformed is simply not valid: lengths, a point off the curve or of small order, a scalar out of range, DER
  /// that is not the shortest (RFC 8032 sections 5.1.7 and 5.2.7, RFC 8446 section 4.2.3).
  public func verify(publicKey: [UInt8], message: [UInt8], signature: [UInt8]) -> Bool {
    guard publicKey.count == publicKeySize, signature.count <= maximumSignatureSize else { return false }
    Work.verifications.count()
    if let (curve, hash) = ecdsa {
      return curve.verify(publicKey: publicKey, digest: Digest.hash(hash, message), signature: signature)
    }
    guard signature.count == maximumSignatureSize else { return false }
    if self == .ed448 { return Curve448.verify(publicKey: publicKey, message: message, signature: signature) }
    Sodium.prepare()
    return crypto_sign_ed25519_verify_detached(signature, message, UInt64(message.count), publicKey) == 0
  }
}

/// The public half of a signature key, of the length its scheme asks for.
public struct VerifyingKey: Hashable, Sendable {
  public let scheme: SignatureScheme
  public let bytes: [UInt8]

  /// - Throws: `invalidPublicKey` if the length is wrong: discard what carried it.
  public init(scheme: SignatureScheme, bytes: [UInt8]) throws(CryptoError) {
    guard bytes.count == scheme.publicKeySize else { throw CryptoError(.invalidPublicKey) }
    self.scheme = scheme
    self.bytes = bytes
  }

  fileprivate init(_ key: SigningKey) {
    scheme = key.scheme
    bytes = key.publicKey
  }

  public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
    scheme.verify(publicKey: bytes, message: message, signature: signature)
  }
}

extension SigningKey {
  public var verifyingKey: VerifyingKey { VerifyingKey(self) }
}
