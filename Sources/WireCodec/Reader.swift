/// Reads values off the front of a byte array. Every length is checked against what is left before anything is made.
public struct Reader: Sendable {
  @usableFromInline let storage: [UInt8]
  @usableFromInline var position: Int
  @usableFromInline let end: Int

  @inlinable
  public init(_ bytes: [UInt8]) {
    self.init(storage: bytes, position: 0, end: bytes.count)
  }

  @inlinable
  init(storage: [UInt8], position: Int, end: Int) {
    self.storage = storage
    self.position = position
    self.end = end
  }

  /// The next byte to read, counted from the array's start.
  @inlinable public var offset: Int { position }
  /// How many bytes are left.
  @inlinable public var remaining: Int { end - position }
  @inlinable public var isAtEnd: Bool { position == end }

  /// Throws ``WireError/Code/leftover`` unless everything has been read.
  @inlinable
  public func finish() throws(WireError) {
    guard isAtEnd else { throw WireError(.leftover) }
  }

  @inlinable
  public mutating func readUInt8() throws(WireError) -> UInt8 {
    guard remaining >= 1 else { throw WireError(.truncated) }
    defer { position += 1 }
    return storage[position]
  }

  @inlinable
  public mutating func readUInt16() throws(WireError) -> UInt16 {
    UInt16(truncatingIfNeeded: try readInteger(bytes: 2))
  }

  @inlinable
  public mutating func readUInt32() throws(WireError) -> UInt32 {
    UInt32(truncatingIfNeeded: try readInteger(bytes: 4))
  }

  @inlinable
  public mutating func readUInt64() throws(WireError) -> UInt64 {
    try readInteger(bytes: 8)
  }

  @inlinable
  mutating func readInteger(bytes count: Int) throws(WireError) -> UInt64 {
    guard remaining >= count else { throw WireError(.truncated) }
    var value: UInt64 = 0
    for index in position..<position + count { value = value << 8 | UInt64(storage[index]) }
    position += count
    return value
  }

  /// Reads exactly `count` bytes, of a field whose length is known.
  @inlinable
  public mutating func readBytes(count: Int) throws(WireError) -> [UInt8] {
    guard count >= 0, count <= remaining else { throw WireError(.truncated) }
    defer { position += count }
    return Array(storage[position..<position + count])
  }

  /// Reads a length prefix (RFC 9420 section 2.1.2), which must be in its shortest form.
  @inlinable
  public mutating func readLength() throws(WireError) -> Int {
    let first = try readUInt8()
    let size = 1 << Int(first >> 6)
    guard size <= 4 else { throw WireError(.invalidLength) }
    var value = Int(first & 0x3f)
    for _ in 1..<size { value = value << 8 | Int(try readUInt8()) }
    guard VarInt.size(of: value) == size else { throw WireError(.nonMinimalLength) }
    return value
  }

  /// Reads `opaque x<V>` of at most `max` bytes.
  @inlinable
  public mutating func readVector(max: Int = VarInt.max) throws(WireError) -> [UInt8] {
    try readBytes(count: try readBoundedLength(max: max))
  }

  /// Reads a vector and gives its body to `read`, which must read all of it. Nothing is copied.
  @inlinable
  public mutating func readNested<Value>(
    max: Int = VarInt.max, _ read: (inout Reader) throws(WireError) -> Value
  ) throws(WireError) -> Value {
    let length = try readBoundedLength(max: max)
    var body = Reader(storage: storage, position: position, end: position + length)
    let value = try read(&body)
    try body.finish()
    position += length
    return value
  }

  /// Reads `T x<V>`, of at most `max` bytes.
  @inlinable
  public mutating func readList<Element: WireCodable>(
    of type: Element.Type = Element.self, max: Int = VarInt.max
  ) throws(WireError) -> [Element] {
    try readNested(max: max) { (body) throws(WireError) in
      var elements: [Element] = []
      while !body.isAtEnd {
        let before = body.position
        elements.append(try Element(from: &body))
        // An element without bytes would never come to an end.
        guard body.position > before else { throw WireError(.invalidValue) }
      }
      return elements
    }
  }

  /// Reads `optional<T>` (RFC 9420 section 2.1.1).
  @inlinable
  public mutating func readOptional<Value: WireCodable>(
    of type: Value.Type = Value.self
  ) throws(WireError) -> Value? {
    switch try readUInt8() {
    case 0: nil
    case 1: try Value(from: &self)
    default: throw WireError(.invalidValue)
    }
  }

  /// The bytes read since `start`, an earlier ``offset`` of this reader: what a signature or a hash covers.
  public func bytes(since start: Int) -> [UInt8] {
    start >= 0 && start <= position ? Array(storage[start..<position]) : []
  }

  @inlinable
  mutating func readBoundedLength(max: Int) throws(WireError) -> Int {
    let length = try readLength()
    guard length <= max else { throw WireError(.tooLong) }
    guard length <= remaining else { throw WireError(.truncated) }
    return length
  }
}
