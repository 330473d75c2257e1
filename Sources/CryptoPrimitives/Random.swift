import CSodium

/// Unpredictable numbers from the operating system, through libsodium.
public enum Random {
  /// `count` public random bytes (a nonce, an identifier).
  ///
  /// Keys come from `Secret.random(count:)`.
  public static func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
      fill(UnsafeMutableRawBufferPointer(buffer))
      initialised = count
    }
  }

  public static func uint32() -> UInt32 {
    Sodium.prepare()
    return randombytes_random()
  }

  public static func uint64() -> UInt64 {
    Sodium.prepare()
    return UInt64(randombytes_random()) << 32 | UInt64(randombytes_random())
  }

  static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    Sodium.prepare()
    guard let base = buffer.baseAddress, buffer.count > 0 else { return }
    randombytes_buf(base, buffer.count)
  }
}
