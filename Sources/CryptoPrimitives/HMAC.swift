import COpenSSL

/// Keyed message authentication (RFC 2104).
public enum HMAC {
  /// The code for `message` under `key`.
  public static func code(_ algorithm: HashAlgorithm, key: Secret, message: [UInt8]) -> [UInt8] {
    var context = HMACContext(algorithm, key: key)
    message.withUnsafeBytes { context.update($0) }
    return [UInt8](unsafeUninitializedCapacity: algorithm.size) { buffer, initialised in
      context.finish(into: UnsafeMutableRawBufferPointer(buffer))
      initialised = algorithm.size
    }
  }

  /// Whether `code` is the whole code for `message` under `key`, compared in constant time.
  ///
  /// A shortened one is refused.
  public static func verify(_ code: [UInt8], _ algorithm: HashAlgorithm, key: Secret, message: [UInt8]) -> Bool {
    ConstantTime.equal(code, self.code(algorithm, key: key, message: message))
  }
}

/// HMAC by hand over the fast hash contexts.
///
/// A copy continues from the same prefix, so that one keying serves many messages.
struct HMACContext {
  private var inner: DigestContext
  private var outer: DigestContext

  init(_ algorithm: HashAlgorithm, key: Secret) {
    self = key.withBytes { HMACContext(algorithm, key: $0) }
  }

  init(_ algorithm: HashAlgorithm, key: UnsafeRawBufferPointer) {
    var inner = DigestContext(algorithm)
    var outer = DigestContext(algorithm)
    withUnsafeTemporaryAllocation(byteCount: algorithm.blockSize, alignment: 8) { block in
      block.initializeMemory(as: UInt8.self, repeating: 0)
      if key.count <= block.count {
        block.copyMemory(from: key)
      } else {
        inner.update(key)
        inner.finish(into: block)
      }
      for index in block.indices { block[index] ^= 0x36 }
      inner.update(UnsafeRawBufferPointer(block))
      for index in block.indices { block[index] ^= 0x36 ^ 0x5c }
      outer.update(UnsafeRawBufferPointer(block))
      OPENSSL_cleanse(block.baseAddress, block.count)
    }
    self.inner = inner
    self.outer = outer
    inner.wipe()
    outer.wipe()
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) { inner.update(bytes) }
  mutating func update(_ bytes: [UInt8]) { inner.update(bytes) }

  /// Writes the code into the first `size` bytes of `output` and forgets the key.
  mutating func finish(into output: UnsafeMutableRawBufferPointer) {
    inner.finish(into: output)
    outer.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<outer.algorithm.size]))
    outer.finish(into: output)
  }

  mutating func wipe() {
    inner.wipe()
    outer.wipe()
  }
}
