extension CBOR {
  /// Items may be nested this deeply: MIMI allows four levels of parts, each two items deep, and extensions beside.
  static let maxDepth = 16

  /// Reads one item that fills `bytes`. Anything but its deterministic encoding is refused, so that one value has one
  /// encoding and equal bytes mean equal content.
  public init(decoding bytes: [UInt8]) throws(ContentError) {
    var decoder = CBORDecoder(bytes: bytes)
    self = try decoder.item(depth: 0)
    guard decoder.offset == bytes.count else { throw ContentError(.leftover) }
  }
}

private struct CBORDecoder {
  let bytes: [UInt8]
  var offset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var remaining: UInt64 { UInt64(bytes.count - offset) }

  mutating func item(depth: Int) throws(ContentError) -> CBOR {
    guard depth < CBOR.maxDepth else { throw ContentError(.tooDeep) }
    let first = try byte()
    let major = first >> 5
    let short = first & 0x1f
    guard major != 7 else { return try simpleOrFloat(short) }
    let argument = try argument(short)
    switch major {
    case 0: return .unsigned(argument)
    case 1: return .negative(argument)
    case 2: return .bytes(try take(argument))
    case 3:
      guard let text = String(validating: try take(argument), as: UTF8.self) else { throw ContentError(.malformed) }
      return .text(text)
    case 4: return .array(try items(argument, depth: depth))
    case 5: return .map(try pairs(argument, depth: depth))
    default: return .tagged(argument, try item(depth: depth + 1))
    }
  }

  private mutating func byte() throws(ContentError) -> UInt8 {
    guard offset < bytes.count else { throw ContentError(.truncated) }
    defer { offset += 1 }
    return bytes[offset]
  }

  private mutating func integer(bytes count: Int) throws(ContentError) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<count { value = value << 8 | UInt64(try byte()) }
    return value
  }

  private mutating func argument(_ short: UInt8) throws(ContentError) -> UInt64 {
    let (value, least): (UInt64, UInt64) =
      switch short {
      case 0..<24: (UInt64(short), 0)
      case 24: (try integer(bytes: 1), 24)
      case 25: (try integer(bytes: 2), 0x100)
      case 26: (try integer(bytes: 4), 0x1_0000)
      case 27: (try integer(bytes: 8), 0x1_0000_0000)
      case 31: throw ContentError(.notDeterministic)  // An indefinite length, or the break that ends one.
      default: throw ContentError(.malformed)
      }
    guard value >= least else { throw ContentError(.notDeterministic) }
    return value
  }

  private mutating func take(_ count: UInt64) throws(ContentError) -> [UInt8] {
    guard count <= remaining else { throw ContentError(.truncated) }
    defer { offset += Int(count) }
    return Array(bytes[offset..<offset + Int(count)])
  }

  private mutating func items(_ count: UInt64, depth: Int) throws(ContentError) -> [CBOR] {
    // Each item takes a byte at least: a larger count is a lie, found before anything is allocated for it.
    guard count <= remaining else { throw ContentError(.truncated) }
    var items: [CBOR] = []
    for _ in 0..<count { items.append(try item(depth: depth + 1)) }
    return items
  }

  private mutating func pairs(_ count: UInt64, depth: Int) throws(ContentError) -> [CBOR.Pair] {
    guard count <= remaining / 2 else { throw ContentError(.truncated) }
    var pairs: [CBOR.Pair] = []
    var before: ArraySlice<UInt8> = []
    for index in 0..<count {
      let start = offset
      let key = try item(depth: depth + 1)
      let encodedKey = bytes[start..<offset]
      // In strictly rising order there are no duplicates either.
      guard index == 0 || before.lexicographicallyPrecedes(encodedKey) else { throw ContentError(.notDeterministic) }
      before = encodedKey
      pairs.append(CBOR.Pair(key, try item(depth: depth + 1)))
    }
    return pairs
  }

  private mutating func simpleOrFloat(_ short: UInt8) throws(ContentError) -> CBOR {
    switch short {
    case 0..<24:
      return .simple(short)
    case 24:
      let value = try byte()
      guard value >= 32 else { throw ContentError(.malformed) }
      return .simple(value)
    case 25:
      let bits = UInt16(truncatingIfNeeded: try integer(bytes: 2))
      guard bits & 0x7fff <= 0x7c00 || bits == 0x7e00 else { throw ContentError(.notDeterministic) }
      return .half(bits)
    case 26:
      let bits = UInt32(truncatingIfNeeded: try integer(bytes: 4))
      guard !FloatWidth.fitsHalf(bits) else { throw ContentError(.notDeterministic) }
      return .single(bits)
    case 27:
      let bits = try integer(bytes: 8)
      guard !FloatWidth.fitsSingle(bits) else { throw ContentError(.notDeterministic) }
      return .double(bits)
    case 31:
      throw ContentError(.notDeterministic)
    default:
      throw ContentError(.malformed)
    }
  }
}

/// Whether a number has a shorter form of the same value (RFC 8949 section 4.2.1). NaN is written as a half only.
private enum FloatWidth {
  static func fitsHalf(_ bits: UInt32) -> Bool {
    let value = Float(bitPattern: bits)
    guard !value.isNaN, !value.isInfinite, value != 0 else { return true }
    // A half has 11 significant bits, exponents from -14 to 15, and subnormals in steps of 2^-24.
    guard abs(value) < 65536 else { return false }
    let step = max(value.ulp * 0x1p13, 0x1p-24)
    return (value / step).rounded(.towardZero) == value / step
  }

  static func fitsSingle(_ bits: UInt64) -> Bool {
    let value = Double(bitPattern: bits)
    guard !value.isNaN else { return true }
    return Double(Float(value)) == value
  }
}
