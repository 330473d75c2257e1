import COpenSSL

/// A hash function of the SHA-2 family (FIPS 180-4).
public enum HashAlgorithm: Hashable, Sendable, CaseIterable {
  case sha256, sha384, sha512

  /// The length of a hash in bytes: `Nh` of RFC 9180 and RFC 9420.
  public var size: Int {
    switch self {
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// The length of an input block in bytes, which HMAC needs to know.
  var blockSize: Int { self == .sha256 ? 64 : 128 }
}

/// One-shot hashing.
public enum Digest {
  public static func hash(_ algorithm: HashAlgorithm, _ message: [UInt8]) -> [UInt8] {
    message.withUnsafeBytes { hash(algorithm, $0) }
  }

  public static func hash(_ algorithm: HashAlgorithm, _ message: UnsafeRawBufferPointer) -> [UInt8] {
    var context = DigestContext(algorithm)
    context.update(message)
    return context.finish()
  }
}

/// Incremental hashing.
///
/// A value: a copy continues on its own from the same prefix.
///
/// Rests on OpenSSL's `SHA256_*` contexts, which need no allocation.
public struct DigestContext: Sendable {
  public let algorithm: HashAlgorithm
  // The context of SHA-512 is the larger of the two: that of SHA-256 lives in the same bytes.
  private var state = SHA512_CTX()

  public init(_ algorithm: HashAlgorithm) {
    self.algorithm = algorithm
    switch algorithm {
    case .sha256: withShort { _ = SHA256_Init($0) }
    case .sha384: SHA384_Init(&state)
    case .sha512: SHA512_Init(&state)
    }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    Work.hashedBytes.count(bytes.count)
    switch algorithm {
    case .sha256: withShort { _ = SHA256_Update($0, base, bytes.count) }
    case .sha384, .sha512: SHA512_Update(&state, base, bytes.count)
    }
  }

  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  public mutating func update(_ secret: Secret) {
    secret.withBytes { update($0) }
  }

  /// The hash of all that was added.
  ///
  /// The context starts over afterwards.
  public mutating func finish() -> [UInt8] {
    let size = algorithm.size
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, initialised in
      finish(into: UnsafeMutableRawBufferPointer(buffer))
      initialised = size
    }
  }

  /// Writes the hash into the first `size` bytes of `output`; the context starts over, holding nothing of the input.
  mutating func finish(into output: UnsafeMutableRawBufferPointer) {
    precondition(output.count >= algorithm.size)
    Work.hashes.count()
    let bytes = output.octets
    switch algorithm {
    case .sha256: withShort { _ = SHA256_Final(bytes, $0) }
    case .sha384: SHA384_Final(bytes, &state)
    case .sha512: SHA512_Final(bytes, &state)
    }
    wipe()
    self = DigestContext(algorithm)
  }

  /// Forgets everything, for contexts that have absorbed a key.
  mutating func wipe() { OPENSSL_cleanse(&state, MemoryLayout<SHA512_CTX>.size) }

  @inline(__always)
  private mutating func withShort(_ body: (UnsafeMutablePointer<SHA256_CTX>) -> Void) {
    withUnsafeMutableBytes(of: &state) { raw in
      if let base = raw.baseAddress { body(base.assumingMemoryBound(to: SHA256_CTX.self)) }
    }
  }
}
