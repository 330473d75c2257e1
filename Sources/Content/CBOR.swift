/// One CBOR item (RFC 8949), of which only the deterministic encoding (section 4.2.1) is read or written.
public indirect enum CBOR: Hashable, Sendable {
  case unsigned(UInt64)
  /// The number -1 - n.
  case negative(UInt64)
  case bytes([UInt8])
  case text(String)
  case array([CBOR])
  /// Pairs in the order of their encoded keys.
  case map([Pair])
  case tagged(UInt64, CBOR)
  /// 20 false, 21 true, 22 null, 23 undefined; others are unassigned.
  case simple(UInt8)
  /// A floating-point number by the bits of its shortest exact form.
  case half(UInt16)
  case single(UInt32)
  case double(UInt64)

  public struct Pair: Hashable, Sendable {
    public var key: CBOR
    public var value: CBOR

    public init(_ key: CBOR, _ value: CBOR) { (self.key, self.value) = (key, value) }
  }

  public static let null = CBOR.simple(22)
  public static func bool(_ value: Bool) -> CBOR { .simple(value ? 21 : 20) }

  /// The number, if this is one that fits; `nil` for any other item.
  public var unsignedValue: UInt64? {
    if case .unsigned(let value) = self { value } else { nil }
  }

  public var bytesValue: [UInt8]? {
    if case .bytes(let value) = self { value } else { nil }
  }

  public var textValue: String? {
    if case .text(let value) = self { value } else { nil }
  }

  public var arrayValue: [CBOR]? {
    if case .array(let value) = self { value } else { nil }
  }

  public var boolValue: Bool? {
    switch self {
    case .simple(20): false
    case .simple(21): true
    default: nil
    }
  }
}
