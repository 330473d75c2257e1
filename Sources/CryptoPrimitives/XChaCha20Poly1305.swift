import CSodium

/// Authenticated encryption with a random 192-bit nonce, which is long enough never to repeat by chance
/// (draft-irtf-cfrg-xchacha).
///
/// For sealing what is stored: no counter has to survive a crash.
public enum XChaCha20Poly1305 {
  public static let keySize = 32
  public static let nonceSize = 24
  public static let tagSize = 16

  /// Encrypts under a fresh nonce and returns nonce, ciphertext and tag, in this order.
  ///
  /// - Throws: `invalidKeyLength`.
  public static func seal(key: Secret, associatedData: [UInt8] = [], plaintext: [UInt8]) throws(CryptoError) -> [UInt8]
  {
    try withBytes(of: plaintext) { plaintext throws(CryptoError) in
      try seal(key: key, associatedData: associatedData, plaintext: plaintext)
    }
  }

  /// Encrypts a secret; otherwise as for public bytes.
  public static func seal(key: Secret, associatedData: [UInt8] = [], plaintext: Secret) throws(CryptoError) -> [UInt8] {
    try plaintext.withBytes { plaintext throws(CryptoError) in
      try seal(key: key, associatedData: associatedData, plaintext: plaintext)
    }
  }

  /// Encrypts bytes that live elsewhere; otherwise as for an array.
  public static func seal(
    key: Secret, associatedData: [UInt8], plaintext: UnsafeRawBufferPointer
  ) throws(CryptoError) -> [UInt8] {
    guard key.count == keySize else { throw CryptoError(.invalidKeyLength) }
    Sodium.prepare()
    var output = [UInt8](repeating: 0, count: nonceSize + plaintext.count + tagSize)
    try withMutableBytes(of: &output) { output throws(CryptoError) in
      Random.fill(UnsafeMutableRawBufferPointer(rebasing: output[..<nonceSize]))
      let start = output.octets
      let status = key.withBytes { key in
        crypto_aead_xchacha20poly1305_ietf_encrypt(
          start + nonceSize, nil, plaintext.octets,
          UInt64(plaintext.count), associatedData, UInt64(associatedData.count), nil, start,
          key.octets)
      }
      guard status == 0 else { throw CryptoError(.backendFailure) }
    }
    return output
  }

  /// Checks and decrypts what `seal` made.
  ///
  /// - Throws: `authenticationFailed` if anything is not as it was sealed: discard the input. `invalidKeyLength`.
  public static func open(key: Secret, associatedData: [UInt8] = [], sealed: [UInt8]) throws(CryptoError) -> [UInt8] {
    var plaintext = [UInt8](repeating: 0, count: max(0, sealed.count - nonceSize - tagSize))
    try withMutableBytes(of: &plaintext) { plaintext throws(CryptoError) in
      try open(key: key, associatedData: associatedData, sealed: sealed, into: plaintext)
    }
    return plaintext
  }

  /// Checks and decrypts into a `Secret`; otherwise as `open`.
  public static func openSecret(
    key: Secret, associatedData: [UInt8] = [], sealed: [UInt8]
  ) throws(CryptoError) -> Secret {
    try Secret(count: max(0, sealed.count - nonceSize - tagSize)) { plaintext throws(CryptoError) in
      try open(key: key, associatedData: associatedData, sealed: sealed, into: plaintext)
    }
  }

  private static func open(
    key: Secret, associatedData: [UInt8], sealed: [UInt8], into plaintext: UnsafeMutableRawBufferPointer
  ) throws(CryptoError) {
    guard key.count == keySize else { throw CryptoError(.invalidKeyLength) }
    guard sealed.count >= nonceSize + tagSize else { throw CryptoError(.authenticationFailed) }
    Sodium.prepare()
    let status = sealed.withUnsafeBytes { sealed in
      key.withBytes { key in
        crypto_aead_xchacha20poly1305_ietf_decrypt(
          plaintext.octets, nil, nil,
          sealed.octets + nonceSize, UInt64(sealed.count - nonceSize), associatedData,
          UInt64(associatedData.count), sealed.octets, key.octets)
      }
    }
    guard status == 0 else { throw CryptoError(.authenticationFailed) }
  }
}
