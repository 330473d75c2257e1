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

/// The functions on OpenSSL's `SHA256_*` and `SHA512_*` contexts, which need no allocation and no look-up.
///
/// A state is `stateSize` bytes of plain memory: it may be copied and wiped as such.
extension HashAlgorithm {
  var stateSize: Int { self == .sha256 ? MemoryLayout<SHA256_CTX>.size : Self.largestState }
  static let largestState = MemoryLayout<SHA512_CTX>.size
  static let largestSize = 64

  func start(_ state: UnsafeMutableRawPointer) {
    switch self {
    case .sha256: SHA256_Init(state.assumingMemoryBound(to: SHA256_CTX.self))
    case .sha384: SHA384_Init(state.assumingMemoryBound(to: SHA512_CTX.self))
    case .sha512: SHA512_Init(state.assumingMemoryBound(to: SHA512_CTX.self))
    }
  }

  func update(_ state: UnsafeMutableRawPointer, _ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    Work.hashedBytes.count(bytes.count)
    switch self {
    case .sha256: SHA256_Update(state.assumingMemoryBound(to: SHA256_CTX.self), base, bytes.count)
    case .sha384, .sha512: SHA512_Update(state.assumingMemoryBound(to: SHA512_CTX.self), base, bytes.count)
    }
  }

  /// Writes the hash to the `size` bytes at `output`.
  func finish(_ state: UnsafeMutableRawPointer, into output: UnsafeMutablePointer<UInt8>) {
    Work.hashes.count()
    switch self {
    case .sha256: SHA256_Final(output, state.assumingMemoryBound(to: SHA256_CTX.self))
    case .sha384: SHA384_Final(output, state.assumingMemoryBound(to: SHA512_CTX.self))
    case .sha512: SHA512_Final(output, state.assumingMemoryBound(to: SHA512_CTX.self))
    }
  }
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
public struct DigestContext: Sendable {
  public let algorithm: HashAlgorithm
  // The context of SHA-512 is the larger of the two: that of SHA-256 lives in the same bytes.
  private var state = SHA512_CTX()

  public init(_ algorithm: HashAlgorithm) {
    self.algorithm = algorithm
    algorithm.start(&state)
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) { algorithm.update(&state, bytes) }

  public mutating func update(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { update($0) }
  }

  public mutating func update(_ secret: Secret) {
    secret.withBytes { update($0) }
  }

  /// The hash of all that was added.
  ///
  /// The context starts over afterwards, holding nothing of the input.
  public mutating func finish() -> [UInt8] {
    let size = algorithm.size
    let hash = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialised in
      algorithm.finish(&state, into: UnsafeMutableRawBufferPointer(buffer).octets)
      initialised = size
    }
    OPENSSL_cleanse(&state, algorithm.stateSize)
    algorithm.start(&state)
    return hash
  }
}
