import COpenSSL

/// HKDF, the extract-and-expand key derivation function (RFC 5869).
public enum KDF {
  /// Condenses `inputKey` into a uniformly random key of the hash's size.
  ///
  /// An empty salt stands for zeros, as in the RFC.
  public static func extract(_ algorithm: HashAlgorithm, salt: Secret, inputKey: Secret) -> Secret {
    salt.withBytes { salt in inputKey.withBytes { inputKey in extract(algorithm, salt: salt) { $0.update(inputKey) } } }
  }

  /// Condenses `inputKey` into a uniformly random key of the hash's size, with a public salt.
  public static func extract(_ algorithm: HashAlgorithm, salt: [UInt8], inputKey: Secret) -> Secret {
    salt.withUnsafeBytes { salt in
      inputKey.withBytes { inputKey in extract(algorithm, salt: salt) { $0.update(inputKey) } }
    }
  }

  /// Extract over whatever `feed` adds, which spares HPKE's labelled form a concatenation of secrets.
  @inline(__always)
  static func extract(
    _ algorithm: HashAlgorithm, salt: UnsafeRawBufferPointer, _ feed: (KeyedHash) -> Void
  ) -> Secret {
    Secret(count: algorithm.size) { output in
      func condense(_ keyed: KeyedHash) {
        keyed.start()
        feed(keyed)
        keyed.finish(into: output.octets)
      }
      if salt.isEmpty {
        unsalted(algorithm).withKeyed(condense)
      } else {
        KeyedHash.with(algorithm, key: salt, condense)
      }
    }
  }

  /// HMAC under no key at all, which three steps of each HPKE encapsulation start from.
  private static func unsalted(_ algorithm: HashAlgorithm) -> Expander {
    switch algorithm {
    case .sha256: unsaltedSHA256
    case .sha384: unsaltedSHA384
    case .sha512: unsaltedSHA512
    }
  }

  private static let unsaltedSHA256 = Expander(.sha256, key: .empty)
  private static let unsaltedSHA384 = Expander(.sha384, key: .empty)
  private static let unsaltedSHA512 = Expander(.sha512, key: .empty)

  /// Derives `length` bytes bound to `info` from a uniformly random key.
  ///
  /// - Throws: `invalidLength` if `length` is negative or over 255 hashes.
  public static func expand(
    _ algorithm: HashAlgorithm, key: Secret, info: [UInt8], length: Int
  ) throws(CryptoError) -> Secret {
    try check(length, algorithm)
    return key.withBytes { key in
      KeyedHash.with(algorithm, key: key) { keyed in
        info.withUnsafeBytes { info in keyed.expand(to: length) { $0.update(info) } }
      }
    }
  }

  static func check(_ length: Int, _ algorithm: HashAlgorithm) throws(CryptoError) {
    guard length >= 0, length <= 255 * algorithm.size else { throw CryptoError(.invalidLength) }
  }

  /// HKDF-Expand from a key that serves several times.
  ///
  /// Taking the key in is half of the work of a short output: whoever derives more than one from the same key makes one of these.
  public struct Expander: Sendable {
    private let algorithm: HashAlgorithm
    /// The two hash states of HMAC, which stand for the key.
    private let states: Secret

    public init(_ algorithm: HashAlgorithm, key: Secret) {
      self.algorithm = algorithm
      states = Secret(count: 2 * algorithm.stateSize) { states in
        key.withBytes { key in
          withUnsafeTemporaryAllocation(byteCount: HashAlgorithm.largestState, alignment: 16) { work in
            KeyedHash.prepare(algorithm, key: key, states: states, work: work)
            OPENSSL_cleanse(work.baseAddress, algorithm.stateSize)
          }
        }
      }
    }

    /// Derives `length` bytes bound to `info`.
    ///
    /// - Throws: `invalidLength` if `length` is negative or over 255 hashes.
    public func expand(info: [UInt8], length: Int) throws(CryptoError) -> Secret {
      try KDF.check(length, algorithm)
      return withKeyed { keyed in
        info.withUnsafeBytes { info in keyed.expand(to: length) { $0.update(info) } }
      }
    }

    @inline(__always)
    fileprivate func withKeyed<Result>(_ body: (KeyedHash) -> Result) -> Result {
      states.withBytes { KeyedHash.with(algorithm, states: $0, body) }
    }
  }
}

extension KeyedHash {
  /// HKDF-Expand to a length within the bounds, where `feed` adds the `info`.
  @inline(__always)
  func expand(to length: Int, _ feed: (KeyedHash) -> Void) -> Secret {
    Secret(count: length) { output in
      let size = algorithm.size
      var previous = UnsafeRawBufferPointer(start: nil, count: 0)
      var counter: UInt8 = 0
      func nextBlock(into block: UnsafeMutablePointer<UInt8>) {
        start()
        update(previous)
        feed(self)
        counter += 1
        withUnsafeBytes(of: counter) { update($0) }
        finish(into: block)
        previous = UnsafeRawBufferPointer(start: block, count: size)
      }
      var written = 0
      while length - written >= size {
        nextBlock(into: output.octets + written)
        written += size
      }
      guard written < length else { return }
      withUnsafeTemporaryAllocation(byteCount: HashAlgorithm.largestSize, alignment: 16) { block in
        nextBlock(into: block.octets)
        UnsafeMutableRawBufferPointer(rebasing: output[written...])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: block[..<(length - written)]))
        OPENSSL_cleanse(block.baseAddress, size)
      }
    }
  }
}
