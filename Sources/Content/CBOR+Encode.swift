extension CBOR {
  /// The deterministic encoding (RFC 8949 section 4.2.1): shortest lengths, map keys in the order of their encodings.
  public var encoded: [UInt8] {
    var output: [UInt8] = []
    append(to: &output)
    return output
  }

  private func append(to output: inout [UInt8]) {
    switch self {
    case .unsigned(let value):
      Self.appendHead(0, value, to: &output)
    case .negative(let value):
      Self.appendHead(1, value, to: &output)
    case .bytes(let value):
      Self.appendHead(2, UInt64(value.count), to: &output)
      output.append(contentsOf: value)
    case .text(let value):
      let utf8 = Array(value.utf8)
      Self.appendHead(3, UInt64(utf8.count), to: &output)
      output.append(contentsOf: utf8)
    case .array(let items):
      Self.appendHead(4, UInt64(items.count), to: &output)
      for item in items { item.append(to: &output) }
    case .map(let pairs):
      Self.appendHead(5, UInt64(pairs.count), to: &output)
      let encodedPairs = pairs.map { (key: $0.key.encoded, value: $0.value) }
      for pair in encodedPairs.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        output.append(contentsOf: pair.key)
        pair.value.append(to: &output)
      }
    case .tagged(let tag, let item):
      Self.appendHead(6, tag, to: &output)
      item.append(to: &output)
    case .simple(let value):
      if value < 24 { output.append(0xe0 | value) } else { output.append(contentsOf: [0xf8, value]) }
    case .half(let bits):
      Self.appendFloat(0xf9, UInt64(bits), bytes: 2, to: &output)
    case .single(let bits):
      Self.appendFloat(0xfa, UInt64(bits), bytes: 4, to: &output)
    case .double(let bits):
      Self.appendFloat(0xfb, bits, bytes: 8, to: &output)
    }
  }

  private static func appendHead(_ major: UInt8, _ value: UInt64, to output: inout [UInt8]) {
    let (short, count): (UInt8, Int) =
      switch value {
      case 0..<24: (UInt8(value), 0)
      case 24...0xff: (24, 1)
      case 0x100...0xffff: (25, 2)
      case 0x1_0000...0xffff_ffff: (26, 4)
      default: (27, 8)
      }
    output.append(major << 5 | short)
    appendInteger(value, bytes: count, to: &output)
  }

  private static func appendFloat(_ head: UInt8, _ bits: UInt64, bytes count: Int, to output: inout [UInt8]) {
    output.append(head)
    appendInteger(bits, bytes: count, to: &output)
  }

  private static func appendInteger(_ value: UInt64, bytes count: Int, to output: inout [UInt8]) {
    for index in (0..<count).reversed() { output.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }
}
