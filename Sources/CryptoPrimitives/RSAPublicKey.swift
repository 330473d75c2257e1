import COpenSSL

/// The public half of an RSA key, for signatures that others made: nothing of ours signs with RSA.
///
/// `@unchecked Sendable`: nothing changes the key after its making, and OpenSSL only reads it (what it computes once for all
/// uses it guards with a lock of its own).
final class RSAPublicKey: @unchecked Sendable {
  /// In bits. Shorter ones can be factored; longer ones only cost time.
  static let modulusSizes = 2048...8192

  private let key: OpaquePointer
  private let size: Int

  /// - Throws: `invalidPublicKey` for a modulus that is even or of another size, for numbers with leading zeros, and for
  ///   exponents that are even, below 65,537 or of more than 32 bits.
  init(modulus: [UInt8], exponent: [UInt8]) throws(CryptoError) {
    guard let first = modulus.first, first != 0, let last = modulus.last, last & 1 == 1,
      modulus.count <= Self.modulusSizes.upperBound / 8,
      Self.modulusSizes.contains(modulus.count * 8 - first.leadingZeroBitCount),
      (3...4).contains(exponent.count), exponent.first != 0
    else { throw CryptoError(.invalidPublicKey) }
    let number = exponent.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard number & 1 == 1, number >= 65_537 else { throw CryptoError(.invalidPublicKey) }
    guard let key = RSA_new() else { throw CryptoError(.outOfMemory) }
    let (n, e) = (BN_bin2bn(modulus, Int32(modulus.count), nil), BN_bin2bn(exponent, Int32(exponent.count), nil))
    guard let n, let e, RSA_set0_key(key, n, e, nil) == 1 else {
      BN_free(n)
      BN_free(e)
      RSA_free(key)
      throw CryptoError(.outOfMemory)
    }
    (self.key, size) = (key, modulus.count)
  }

  deinit { RSA_free(key) }

  /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2): the one encoding that belongs to the digest is compared, and
  /// nothing of a signature is parsed.
  func isValidSignature(_ signature: [UInt8], digest: [UInt8]) -> Bool {
    guard signature.count == size else { return false }
    let status = RSA_verify(
      NID_sha256, digest, UInt32(digest.count), signature, UInt32(signature.count), key)
    if status != 1 { ERR_clear_error() }
    return status == 1
  }
}
