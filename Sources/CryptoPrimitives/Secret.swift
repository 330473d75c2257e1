import CSodium

/// Secret bytes: shared, immutable, wiped when the last copy goes, and never shown by printing or reflection.
///
/// Copying a `Secret` shares the storage. The bytes are reached through `withBytes` alone; there is no collection
/// conformance, because every generic algorithm over a collection is one more place that copies a key.
public struct Secret: @unchecked Sendable {
  // Unchecked because `ManagedBuffer` cannot be Sendable; its bytes are written only before they are shared.
  private let storage: SecretStorage

  /// Lets `fill` write `count` bytes, which are zero at first.
  ///
  /// What `fill` throws is passed on, and what it wrote is wiped.
  public init<Failure: Error>(
    count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let storage = SecretStorage.make(count: count)
    try fill(storage.bytes)
    self.storage = storage
  }

  /// Copies `bytes`; wiping the original is up to the caller.
  public init(copying bytes: UnsafeRawBufferPointer) {
    self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
  }

  /// Copies `bytes`; the array itself cannot be wiped, so prefer `init(count:_:)` for what is made here.
  public init(copying bytes: [UInt8]) {
    self = bytes.withUnsafeBytes { Secret(copying: $0) }
  }

  /// All of `parts`, one after another.
  public init(concatenating parts: [Secret]) {
    self.init(count: parts.reduce(0) { $0 + $1.count }) { buffer in
      var offset = 0
      for part in parts {
        part.withBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: $0) }
        offset += part.count
      }
    }
  }

  public static func random(count: Int) -> Secret {
    Secret(count: count) { Random.fill($0) }
  }

  /// `count` zero bytes: what RFC 9420 section 8 puts in place of a secret that is absent.
  public static func zeros(count: Int) -> Secret {
    Secret(count: count) { _ in }
  }

  /// No bytes at all: an absent salt or pre-shared key.
  public static let empty = zeros(count: 0)

  public var count: Int { storage.count }
  public var isEmpty: Bool { count == 0 }

  /// Lends the bytes.
  ///
  /// The pointer is valid only inside `body`; copying out of it is the caller's responsibility.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeRawBufferPointer(storage.bytes))
  }

  /// A copy of part of the bytes.
  ///
  /// - Precondition: `range` lies within the secret. Lengths that come from outside are checked before.
  public func slice(_ range: Range<Int>) -> Secret {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside of the secret")
    return withBytes { Secret(copying: UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  #if DEBUG
  /// Has `observe` see the storage right after it was wiped and before it is freed.
  ///
  /// Exists for the test of wiping alone.
  package func observeWipe(_ observe: @escaping @Sendable ([UInt8]) -> Void) { storage.header.observe = observe }
  #endif
}

extension Secret: Equatable {
  /// Constant-time in the bytes; the lengths are taken to be public.
  public static func == (left: Secret, right: Secret) -> Bool {
    left.withBytes { left in right.withBytes { right in ConstantTime.equal(left, right) } }
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "Secret(redacted)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

private struct SecretHeader {
  var count: Int
  #if DEBUG
  var observe: (@Sendable ([UInt8]) -> Void)?
  #endif
}

/// One allocation for header and bytes.
private final class SecretStorage: ManagedBuffer<SecretHeader, UInt8> {
  static func make(count: Int) -> SecretStorage {
    Work.secrets.count()
    let buffer = SecretStorage.create(minimumCapacity: count) { _ in SecretHeader(count: count) }
    let storage = unsafeDowncast(buffer, to: SecretStorage.self)
    storage.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    return storage
  }

  var count: Int { header.count }

  /// Valid as long as the storage lives; callers keep it alive around the use.
  var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      start: withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }, count: count)
  }

  deinit {
    sodium_memzero(bytes.baseAddress, count)
    #if DEBUG
    header.observe?([UInt8](bytes))
    #endif
  }
}
