/// A type of the TLS presentation language (RFC 8446 section 3) as MLS uses it (RFC 9420 section 2.1).
public protocol WireCodable: Sendable {
  /// Reads one value and leaves `reader` behind it.
  init(from reader: inout Reader) throws(WireError)
  /// Appends the value's only encoding.
  func encode(into writer: inout Writer)
}

extension WireCodable {
  /// Reads a value that fills `bytes` exactly; bytes left over are an error.
  @inlinable
  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = Reader(bytes)
    self = try Self(from: &reader)
    try reader.finish()
  }

  @inlinable
  public var encoded: [UInt8] {
    var writer = Writer()
    encode(into: &writer)
    return writer.bytes
  }
}

extension UInt8: WireCodable {
  @inlinable public init(from reader: inout Reader) throws(WireError) { self = try reader.readUInt8() }
  @inlinable public func encode(into writer: inout Writer) { writer.write(self) }
}

extension UInt16: WireCodable {
  @inlinable public init(from reader: inout Reader) throws(WireError) { self = try reader.readUInt16() }
  @inlinable public func encode(into writer: inout Writer) { writer.write(self) }
}

extension UInt32: WireCodable {
  @inlinable public init(from reader: inout Reader) throws(WireError) { self = try reader.readUInt32() }
  @inlinable public func encode(into writer: inout Writer) { writer.write(self) }
}

extension UInt64: WireCodable {
  @inlinable public init(from reader: inout Reader) throws(WireError) { self = try reader.readUInt64() }
  @inlinable public func encode(into writer: inout Writer) { writer.write(self) }
}
