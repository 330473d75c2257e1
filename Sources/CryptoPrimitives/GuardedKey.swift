import CSodium

/// A long-lived key in memory of its own: locked against swapping, fenced by guard pages, read-only, wiped on release.
///
/// Each takes several pages, so it is for the few keys that live as long as the process (the store key, the
/// relay's signing seed); everything else is a `Secret`.
public struct GuardedKey: ~Copyable, @unchecked Sendable {
  private let pointer: UnsafeMutableRawPointer
  public let count: Int

  /// Copies `secret` into guarded memory.
  ///
  /// - Throws: `outOfMemory` if the system refuses the pages: raise the limit for locked memory.
  public init(copying secret: Secret) throws(CryptoError) {
    Sodium.prepare()
    guard let pointer = sodium_malloc(secret.count) else { throw CryptoError(.outOfMemory) }
    secret.withBytes { UnsafeMutableRawBufferPointer(start: pointer, count: $0.count).copyMemory(from: $0) }
    sodium_mprotect_readonly(pointer)
    self.pointer = pointer
    self.count = secret.count
  }

  /// Lends the bytes.
  ///
  /// The pointer is valid only inside `body`.
  public borrowing func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(start: pointer, count: count))
  }

  deinit { sodium_free(pointer) }
}
