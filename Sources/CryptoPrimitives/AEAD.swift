import COpenSSL

/// An authenticated cipher with a 96-bit nonce (RFC 5116, RFC 8439).
///
/// The caller never uses a nonce twice with one key.
public enum AEADAlgorithm: UInt16, Hashable, Sendable, CaseIterable {
  // Raw values are the identifiers of RFC 9180 section 7.3.
  case aes128GCM = 0x0001
  case aes256GCM = 0x0002
  case chacha20Poly1305 = 0x0003

  public var keySize: Int { self == .aes128GCM ? 16 : 32 }
  public var nonceSize: Int { 12 }
  public var tagSize: Int { 16 }

  private static let fetchedAES128 = FetchedCipher("AES-128-GCM")
  private static let fetchedAES256 = FetchedCipher("AES-256-GCM")
  private static let fetchedChaCha = FetchedCipher("ChaCha20-Poly1305")

  private var cipher: OpaquePointer? {
    switch self {
    case .aes128GCM: Self.fetchedAES128.pointer
    case .aes256GCM: Self.fetchedAES256.pointer
    case .chacha20Poly1305: Self.fetchedChaCha.pointer
    }
  }
}

extension AEADAlgorithm {
  /// Encrypts and authenticates; the 16-byte tag follows the ciphertext.
  ///
  /// - Throws: `invalidKeyLength`, `invalidNonceLength`, `invalidLength` (2 GiB and more): the caller's mistakes.
  public func seal(
    key: Secret, nonce: [UInt8], associatedData: [UInt8] = [], plaintext: [UInt8]
  ) throws(CryptoError) -> [UInt8] {
    try withBytes(of: plaintext) { plaintext throws(CryptoError) in
      try seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    }
  }

  /// Encrypts a secret; otherwise as for public bytes.
  public func seal(
    key: Secret, nonce: [UInt8], associatedData: [UInt8] = [], plaintext: Secret
  ) throws(CryptoError) -> [UInt8] {
    try plaintext.withBytes { plaintext throws(CryptoError) in
      try seal(key: key, nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    }
  }

  /// Encrypts bytes that live elsewhere; otherwise as for an array.
  public func seal(
    key: Secret, nonce: [UInt8], associatedData: [UInt8], plaintext: UnsafeRawBufferPointer
  ) throws(CryptoError) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: plaintext.count + tagSize)
    try withMutableBytes(of: &output) { output throws(CryptoError) in
      try run(
        .sealing, key: key, nonce: nonce, associatedData: associatedData, input: plaintext, output: output,
        tag: UnsafeMutableRawBufferPointer(rebasing: output[plaintext.count...]))
    }
    return output
  }

  /// Checks and decrypts what `seal` made.
  ///
  /// - Throws: `authenticationFailed` if anything is not as it was sealed, a shortened tag included: discard the input.
  ///   `invalidKeyLength`, `invalidNonceLength`: the caller's mistakes.
  public func open(
    key: Secret, nonce: [UInt8], associatedData: [UInt8] = [], ciphertext: [UInt8]
  ) throws(CryptoError) -> [UInt8] {
    var plaintext = [UInt8](repeating: 0, count: max(0, ciphertext.count - tagSize))
    try withMutableBytes(of: &plaintext) { plaintext throws(CryptoError) in
      try open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext, into: plaintext)
    }
    return plaintext
  }

  /// Checks and decrypts into a `Secret`; otherwise as `open`.
  public func openSecret(
    key: Secret, nonce: [UInt8], associatedData: [UInt8] = [], ciphertext: [UInt8]
  ) throws(CryptoError) -> Secret {
    try Secret(count: max(0, ciphertext.count - tagSize)) { plaintext throws(CryptoError) in
      try open(key: key, nonce: nonce, associatedData: associatedData, ciphertext: ciphertext, into: plaintext)
    }
  }

  private func open(
    key: Secret, nonce: [UInt8], associatedData: [UInt8], ciphertext: [UInt8],
    into plaintext: UnsafeMutableRawBufferPointer
  ) throws(CryptoError) {
    guard ciphertext.count >= tagSize else { throw CryptoError(.authenticationFailed) }
    try withBytes(of: ciphertext) { whole throws(CryptoError) in
      let body = UnsafeRawBufferPointer(rebasing: whole[..<(whole.count - tagSize)])
      // OpenSSL asks for a mutable tag because one call serves both directions; it only reads here.
      let tag = UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: whole[body.count...]))
      do throws(CryptoError) {
        try run(
          .opening, key: key, nonce: nonce, associatedData: associatedData, input: body, output: plaintext, tag: tag)
      } catch {
        // Decryption runs ahead of the check of the tag: nothing of an unauthenticated plaintext may remain.
        OPENSSL_cleanse(plaintext.baseAddress, plaintext.count)
        throw error
      }
    }
  }

  private enum Direction { case sealing, opening }

  private func run(
    _ direction: Direction, key: Secret, nonce: [UInt8], associatedData: [UInt8], input: UnsafeRawBufferPointer,
    output: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer
  ) throws(CryptoError) {
    Work.sealings.count()
    guard key.count == keySize else { throw CryptoError(.invalidKeyLength) }
    guard nonce.count == nonceSize else { throw CryptoError(.invalidNonceLength) }
    guard input.count <= Int(Int32.max) - tagSize, associatedData.count <= Int(Int32.max) else {
      throw CryptoError(.invalidLength)
    }
    guard let cipher else { throw CryptoError(.backendFailure) }
    let handle = try OpenSSLHandle()
    let context = handle.pointer
    let sealing: Int32 = direction == .sealing ? 1 : 0
    let started = key.withBytes { key in
      EVP_CipherInit_ex2(context, cipher, key.octets, nonce, sealing, nil)
    }
    guard started == 1 else { throw CryptoError(.backendFailure) }
    if direction == .opening {
      guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tagSize), tag.baseAddress) == 1 else {
        throw CryptoError(.backendFailure)
      }
    }
    var written: Int32 = 0
    if !associatedData.isEmpty {
      guard EVP_CipherUpdate(context, nil, &written, associatedData, Int32(associatedData.count)) == 1 else {
        throw CryptoError(.backendFailure)
      }
    }
    let target = output.octets
    if input.count > 0 {
      guard EVP_CipherUpdate(context, target, &written, input.octets, Int32(input.count)) == 1,
        Int(written) == input.count
      else { throw CryptoError(.backendFailure) }
    }
    // An authenticated stream cipher has nothing left to write at its end; it only makes or checks the tag.
    var nothing: (UInt64, UInt64) = (0, 0)
    let finished = withUnsafeMutableBytes(of: &nothing) { spare in
      EVP_CipherFinal_ex(context, spare.octets, &written)
    }
    switch direction {
    case .opening:
      guard finished == 1 else { throw CryptoError(.authenticationFailed) }
    case .sealing:
      guard finished == 1,
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tagSize), tag.baseAddress) == 1
      else { throw CryptoError(.backendFailure) }
    }
  }
}
