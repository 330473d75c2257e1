import CryptoPrimitives

/// The key and nonce of one generation of a ratchet. Sealing or opening consumes it, so neither is done twice with it.
struct MessageKey: ~Copyable {
  let generation: UInt32
  private let key: Secret
  private let nonce: Secret

  init(generation: UInt32, key: Secret, nonce: Secret) {
    self.generation = generation
    self.key = key
    self.nonce = nonce
  }

  /// The nonce with the reuse guard over its first bytes (RFC 9420 section 6.3.1).
  private borrowing func guarded(_ reuseGuard: [UInt8]) -> [UInt8] {
    var bytes = nonce.withBytes { Array($0) }
    for (place, byte) in reuseGuard.prefix(bytes.count).enumerated() { bytes[place] ^= byte }
    return bytes
  }

  consuming func seal(
    _ plaintext: [UInt8], suite: Suite, reuseGuard: [UInt8], authenticatedData: [UInt8]
  ) throws(MLSError) -> [UInt8] {
    do {
      return try suite.aead.seal(
        key: key, nonce: guarded(reuseGuard), associatedData: authenticatedData, plaintext: plaintext)
    } catch { throw MLSError(.fault) }
  }

  consuming func open(
    _ ciphertext: [UInt8], suite: Suite, reuseGuard: [UInt8], authenticatedData: [UInt8]
  ) throws(MLSError) -> [UInt8] {
    do {
      return try suite.aead.open(
        key: key, nonce: guarded(reuseGuard), associatedData: authenticatedData, ciphertext: ciphertext)
    } catch { throw MLSError(.decryptionFailed) }
  }

  /// The raw values, for the known answers of the tests.
  borrowing func expose() -> (key: Secret, nonce: Secret) { (key, nonce) }
}
