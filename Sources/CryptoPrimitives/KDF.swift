import COpenSSL

/// HKDF, the extract-and-expand key derivation function (RFC 5869).
public enum KDF {
  /// Condenses `inputKey` into a uniformly random key of the hash's size.
  ///
  /// An empty salt stands for zeros, as in the RFC.
  public static func extract(_ algorithm: HashAlgorithm, salt: Secret, inputKey: Secret) -> Secret {
    inputKey.withBytes { extract(algorithm, salt: salt, inputKey: [$0]) }
  }

  /// Condenses `inputKey` into a uniformly random key of the hash's size, with a public salt.
  public static func extract(_ algorithm: HashAlgorithm, salt: [UInt8], inputKey: Secret) -> Secret {
    extract(algorithm, salt: Secret(copying: salt), inputKey: inputKey)
  }

  /// Derives `length` bytes bound to `info` from a uniformly random key.
  ///
  /// - Throws: `invalidLength` if `length` is negative or over 255 hashes.
  public static func expand(
    _ algorithm: HashAlgorithm, key: Secret, info: [UInt8], length: Int
  ) throws(CryptoError) -> Secret {
    guard length >= 0, length <= 255 * algorithm.size else { throw CryptoError(.invalidLength) }
    var keyed = HMACContext(algorithm, key: key)
    defer { keyed.wipe() }
    return Secret(count: length) { output in
      withUnsafeTemporaryAllocation(byteCount: algorithm.size, alignment: 8) { block in
        var written = 0
        var counter: UInt8 = 0
        while written < length {
          var context = keyed
          if counter > 0 { context.update(UnsafeRawBufferPointer(block)) }
          counter += 1
          context.update(info)
          withUnsafeBytes(of: counter) { context.update($0) }
          context.finish(into: block)
          let taken = min(block.count, length - written)
          UnsafeMutableRawBufferPointer(rebasing: output[written...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: block[..<taken]))
          written += taken
        }
        OPENSSL_cleanse(block.baseAddress, block.count)
      }
    }
  }

  /// Extract over several parts, which spares HPKE's labelled form a concatenation of secrets.
  static func extract(_ algorithm: HashAlgorithm, salt: Secret, inputKey parts: [UnsafeRawBufferPointer]) -> Secret {
    var context = HMACContext(algorithm, key: salt)
    for part in parts { context.update(part) }
    return Secret(count: algorithm.size) { context.finish(into: $0) }
  }
}
