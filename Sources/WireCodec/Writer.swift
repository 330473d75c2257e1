/// Appends encodings to a byte array.
///
/// Inlinable throughout: a message is made of hundreds of these calls, each worth a few instructions.
public struct Writer: Sendable {
  @usableFromInline var storage: [UInt8]

  @inlinable
  public init(reserving capacity: Int = 0) {
    storage = []
    storage.reserveCapacity(capacity)
  }

  /// All that was appended.
  @inlinable public var bytes: [UInt8] { storage }

  @inlinable
  public mutating func write(_ value: UInt8) { storage.append(value) }

  @inlinable
  public mutating func write(_ value: UInt16) { writeBigEndian(value) }

  @inlinable
  public mutating func write(_ value: UInt32) { writeBigEndian(value) }

  @inlinable
  public mutating func write(_ value: UInt64) { writeBigEndian(value) }

  @inlinable
  mutating func writeBigEndian(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { storage.append(contentsOf: $0) }
  }

  @inlinable
  public mutating func write(_ value: some WireCodable) { value.encode(into: &self) }

  /// Appends bytes without a length: a field whose length is known, or an encoding made earlier.
  @inlinable
  public mutating func writeBytes(_ value: some Collection<UInt8>) { storage.append(contentsOf: value) }

  /// Appends a length prefix in its shortest form (RFC 9420 section 2.1.2).
  ///
  /// No value of the code base comes near the bound of 2^30 - 1 bytes: everything that can grow is bounded far below
  /// when it is made or read. A length past it is written as the bound, which no reader then accepts.
  @inlinable
  public mutating func writeLength(_ count: Int) {
    switch VarInt.size(of: count) {
    case 1: write(UInt8(truncatingIfNeeded: count))
    case 2: write(UInt16(truncatingIfNeeded: count) | 0x4000)
    default: write(UInt32(truncatingIfNeeded: min(count, VarInt.max)) | 0x8000_0000)
    }
  }

  /// Appends `opaque x<V>`.
  @inlinable
  public mutating func writeVector(_ value: some Collection<UInt8>) {
    writeLength(value.count)
    writeBytes(value)
  }

  /// Appends a vector whose body `write` appends.
  ///
  /// The length is not known before the body is there. Room is left for that of about `expected` bytes, and the body moves
  /// if it turns out to take more or less.
  @inlinable
  public mutating func writeNested(expecting expected: Int = 0, _ write: (inout Writer) -> Void) {
    let start = storage.count
    let room = VarInt.size(of: expected)
    storage.append(contentsOf: repeatElement(0, count: room))
    write(&self)
    var prefix: (UInt32, size: Int) = (0, 0)
    let count = storage.count - start - room
    switch VarInt.size(of: count) {
    case 1: prefix = (UInt32(truncatingIfNeeded: count) << 24, 1)
    case 2: prefix = (UInt32(truncatingIfNeeded: count | 0x4000) << 16, 2)
    default: prefix = (UInt32(truncatingIfNeeded: min(count, VarInt.max)) | 0x8000_0000, 4)
    }
    withUnsafeBytes(of: prefix.0.bigEndian) { bytes in
      storage.replaceSubrange(start..<start + room, with: bytes.prefix(prefix.size))
    }
  }

  /// Appends `T x<V>`.
  @inlinable
  public mutating func writeList<Element: WireCodable>(_ elements: [Element]) {
    writeNested { (writer) in
      for element in elements { element.encode(into: &writer) }
    }
  }

  /// Appends `optional<T>` (RFC 9420 section 2.1.1).
  @inlinable
  public mutating func writeOptional<Value: WireCodable>(_ value: Value?) {
    guard let value else { return write(UInt8(0)) }
    write(UInt8(1))
    value.encode(into: &self)
  }
}
