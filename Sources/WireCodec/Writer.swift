/// Appends encodings to a byte array.
public struct Writer: Sendable {
  public private(set) var bytes: [UInt8]

  public init(reserving capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  public mutating func write(_ value: UInt8) { bytes.append(value) }

  public mutating func write(_ value: UInt16) {
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    bytes.append(UInt8(truncatingIfNeeded: value))
  }

  public mutating func write(_ value: UInt32) {
    write(UInt16(truncatingIfNeeded: value >> 16))
    write(UInt16(truncatingIfNeeded: value))
  }

  public mutating func write(_ value: UInt64) {
    write(UInt32(truncatingIfNeeded: value >> 32))
    write(UInt32(truncatingIfNeeded: value))
  }

  public mutating func write(_ value: some WireCodable) { value.encode(into: &self) }

  /// Appends bytes without a length: a field whose length is known, or an encoding made earlier.
  public mutating func writeBytes(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

  public mutating func writeBytes(_ value: UnsafeRawBufferPointer) { bytes.append(contentsOf: value) }

  /// Appends a length prefix in its shortest form (RFC 9420 section 2.1.2).
  ///
  /// No value of the code base comes near the bound of 2^30 - 1 bytes: everything that can grow is bounded far below
  /// when it is made or read. A length past it is written as the bound, which no reader then accepts.
  public mutating func writeLength(_ count: Int) {
    switch VarInt.size(of: count) {
    case 1: write(UInt8(truncatingIfNeeded: count))
    case 2: write(UInt16(truncatingIfNeeded: count) | 0x4000)
    default: write(UInt32(truncatingIfNeeded: min(count, VarInt.max)) | 0x8000_0000)
    }
  }

  /// Appends `opaque x<V>`.
  public mutating func writeVector(_ value: some Collection<UInt8>) {
    writeLength(value.count)
    writeBytes(value)
  }

  /// Appends a vector whose body `write` appends; its length is put before it afterwards.
  public mutating func writeNested(_ write: (inout Writer) -> Void) {
    let start = bytes.count
    write(&self)
    let count = bytes.count - start
    var prefix = Writer(reserving: 4)
    prefix.writeLength(count)
    bytes.insert(contentsOf: prefix.bytes, at: start)
  }

  /// Appends `T x<V>`.
  public mutating func writeList<Element: WireCodable>(_ elements: [Element]) {
    writeNested { (writer) in
      for element in elements { element.encode(into: &writer) }
    }
  }

  /// Appends `optional<T>` (RFC 9420 section 2.1.1).
  public mutating func writeOptional<Value: WireCodable>(_ value: Value?) {
    guard let value else { return write(UInt8(0)) }
    write(UInt8(1))
    value.encode(into: &self)
  }
}
