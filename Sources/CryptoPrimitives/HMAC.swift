import COpenSSL

/// Keyed message authentication (RFC 2104).
public enum HMAC {
  /// The code for `message` under `key`.
  public static func code(_ algorithm: HashAlgorithm, key: Secret, message: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: algorithm.size) { buffer, initialised in
      let output = UnsafeMutableRawBufferPointer(buffer).octets
      key.withBytes { key in
        KeyedHash.with(algorithm, key: key) { keyed in
          keyed.start()
          message.withUnsafeBytes { keyed.update($0) }
          keyed.finish(into: output)
        }
      }
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

/// HMAC by hand over the fast hash contexts, keyed once for any number of messages, one after another.
///
/// Three hash states in memory that someone else owns and wipes: what remains of the key after the inner and the outer
/// padding, and the one at work. No state is ever a Swift value, of which the compiler might leave copies.
struct KeyedHash {
  let algorithm: HashAlgorithm
  private let inner: UnsafeRawPointer
  private let outer: UnsafeRawPointer
  private let work: UnsafeMutableRawPointer

  /// Lends `body` HMAC under `key`, and wipes all that came of the key afterwards.
  @inline(__always)
  static func with<Result>(
    _ algorithm: HashAlgorithm, key: UnsafeRawBufferPointer, _ body: (KeyedHash) -> Result
  ) -> Result {
    withUnsafeTemporaryAllocation(byteCount: 3 * HashAlgorithm.largestState, alignment: 16) { memory in
      let size = algorithm.stateSize
      defer { OPENSSL_cleanse(memory.baseAddress, 3 * size) }
      let work = UnsafeMutableRawBufferPointer(rebasing: memory[..<size])
      let states = UnsafeMutableRawBufferPointer(rebasing: memory[size..<3 * size])
      prepare(algorithm, key: key, states: states, work: work)
      return body(KeyedHash(algorithm, states: UnsafeRawBufferPointer(states), work: work.octets))
    }
  }

  /// Lends `body` HMAC under the key whose two states `prepare` made before.
  @inline(__always)
  static func with<Result>(
    _ algorithm: HashAlgorithm, states: UnsafeRawBufferPointer, _ body: (KeyedHash) -> Result
  ) -> Result {
    withUnsafeTemporaryAllocation(byteCount: HashAlgorithm.largestState, alignment: 16) { work in
      defer { OPENSSL_cleanse(work.baseAddress, algorithm.stateSize) }
      return body(KeyedHash(algorithm, states: states, work: work.octets))
    }
  }

  private init(_ algorithm: HashAlgorithm, states: UnsafeRawBufferPointer, work: UnsafeMutableRawPointer) {
    self.algorithm = algorithm
    inner = UnsafeRawPointer(states.octets)
    outer = inner + algorithm.stateSize
    self.work = work
  }

  /// Fills `states`, which is twice the size of a state, with the inner and the outer one. Uses `work` and leaves it dirty.
  static func prepare(
    _ algorithm: HashAlgorithm, key: UnsafeRawBufferPointer, states: UnsafeMutableRawBufferPointer,
    work: UnsafeMutableRawBufferPointer
  ) {
    let inner = UnsafeMutableRawPointer(states.octets)
    let outer = inner + algorithm.stateSize
    // A state is larger than a block: the padded key has room in `work`.
    let block = UnsafeMutableRawBufferPointer(rebasing: work[..<algorithm.blockSize])
    block.initializeMemory(as: UInt8.self, repeating: 0)
    if key.count <= block.count {
      block.copyMemory(from: key)
    } else {
      algorithm.start(inner)
      algorithm.update(inner, key)
      algorithm.finish(inner, into: block.octets)
    }
    for index in block.indices { block[index] ^= 0x36 }
    algorithm.start(inner)
    algorithm.update(inner, UnsafeRawBufferPointer(block))
    for index in block.indices { block[index] ^= 0x36 ^ 0x5c }
    algorithm.start(outer)
    algorithm.update(outer, UnsafeRawBufferPointer(block))
  }

  /// Begins a message.
  func start() { work.copyMemory(from: inner, byteCount: algorithm.stateSize) }

  func update(_ bytes: UnsafeRawBufferPointer) { algorithm.update(work, bytes) }

  func update(_ text: StaticString) { text.withUTF8Buffer { update(UnsafeRawBufferPointer($0)) } }

  /// Ends the message, and writes its code to the `size` bytes at `output`.
  func finish(into output: UnsafeMutablePointer<UInt8>) {
    algorithm.finish(work, into: output)
    work.copyMemory(from: outer, byteCount: algorithm.stateSize)
    algorithm.update(work, UnsafeRawBufferPointer(start: output, count: algorithm.size))
    algorithm.finish(work, into: output)
  }
}
