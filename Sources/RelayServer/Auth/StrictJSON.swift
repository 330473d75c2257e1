/// A JSON value (RFC 8259), read so that no two readers can disagree about it: no duplicate names at any depth, no unpaired
/// surrogates, valid UTF-8, nothing after the end, bounded depth.
///
/// What issuers elsewhere sign holds lists, objects and names in any language, so ``FlatJSON``, which reads our own tokens,
/// is too narrow for it.
indirect enum StrictJSON: Equatable, Sendable {
  case null
  case boolean(Bool)
  /// A whole number that is not negative, written without fraction or exponent.
  case whole(UInt64)
  /// Any other number.
  case number
  case text(String)
  case list([StrictJSON])
  case object([String: StrictJSON])

  static let maxDepth = 16

  /// Reads one value, or returns `nil`. The caller bounds the length; what is allocated grows with what was read.
  init?(_ bytes: [UInt8]) {
    var parser = Parser(bytes: bytes)
    guard let value = parser.value(depth: 0) else { return nil }
    parser.skipBlanks()
    guard parser.offset == bytes.count else { return nil }
    self = value
  }

  subscript(_ name: String) -> StrictJSON? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  var text: String? { if case .text(let text) = self { text } else { nil } }
  var whole: UInt64? { if case .whole(let number) = self { number } else { nil } }
  var list: [StrictJSON]? { if case .list(let list) = self { list } else { nil } }

  private struct Parser {
    let bytes: [UInt8]
    var offset = 0

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    mutating func skipBlanks() {
      while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { offset += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      skipBlanks()
      guard next == UInt8(ascii: character) else { return false }
      offset += 1
      return true
    }

    private mutating func take(word: StaticString) -> Bool {
      let end = offset + word.utf8CodeUnitCount
      guard end <= bytes.count, bytes[offset..<end].elementsEqual("\(word)".utf8) else { return false }
      offset = end
      return true
    }

    mutating func value(depth: Int) -> StrictJSON? {
      guard depth < StrictJSON.maxDepth else { return nil }
      skipBlanks()
      switch next {
      case UInt8(ascii: "{"): return object(depth: depth)
      case UInt8(ascii: "["): return list(depth: depth)
      case UInt8(ascii: "\""): return text().map { .text($0) }
      case UInt8(ascii: "t"): return take(word: "true") ? .boolean(true) : nil
      case UInt8(ascii: "f"): return take(word: "false") ? .boolean(false) : nil
      case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
      default: return number()
      }
    }

    private mutating func object(depth: Int) -> StrictJSON? {
      offset += 1
      var members: [String: StrictJSON] = [:]
      if take("}") { return .object(members) }
      repeat {
        skipBlanks()
        guard let name = self.text(), take(":"), let value = self.value(depth: depth + 1),
          members.updateValue(value, forKey: name) == nil
        else { return nil }
      } while take(",")
      return take("}") ? .object(members) : nil
    }

    private mutating func list(depth: Int) -> StrictJSON? {
      offset += 1
      var elements: [StrictJSON] = []
      if take("]") { return .list(elements) }
      repeat {
        guard let value = self.value(depth: depth + 1) else { return nil }
        elements.append(value)
      } while take(",")
      return take("]") ? .list(elements) : nil
    }

    private mutating func digits() -> ArraySlice<UInt8> {
      let start = offset
      while let byte = next, byte &- 0x30 < 10 { offset += 1 }
      return bytes[start..<offset]
    }

    private mutating func number() -> StrictJSON? {
      var isWhole = true
      if next == UInt8(ascii: "-") {
        isWhole = false
        offset += 1
      }
      let digits = self.digits()
      guard let first = digits.first, first != 0x30 || digits.count == 1 else { return nil }
      if next == UInt8(ascii: ".") {
        isWhole = false
        offset += 1
        guard !self.digits().isEmpty else { return nil }
      }
      if next.map({ $0 | 0x20 }) == UInt8(ascii: "e") {
        isWhole = false
        offset += 1
        if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
        guard !self.digits().isEmpty else { return nil }
      }
      guard isWhole else { return .number }
      return UInt64(String(decoding: digits, as: UTF8.self)).map { .whole($0) } ?? .number
    }

    private mutating func text() -> String? {
      guard next == UInt8(ascii: "\"") else { return nil }
      offset += 1
      var content: [UInt8] = []
      while let byte = next {
        offset += 1
        switch byte {
        case UInt8(ascii: "\""): return String(validating: content, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard let scalar = escape() else { return nil }
          content += Array(String(scalar).utf8)
        case 0..<0x20: return nil
        default: content.append(byte)
        }
      }
      return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
      guard let byte = next else { return nil }
      offset += 1
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
      case UInt8(ascii: "b"): return "\u{8}"
      case UInt8(ascii: "f"): return "\u{c}"
      case UInt8(ascii: "n"): return "\n"
      case UInt8(ascii: "r"): return "\r"
      case UInt8(ascii: "t"): return "\t"
      case UInt8(ascii: "u"):
        guard let unit = self.unit() else { return nil }
        guard (0xd800..<0xdc00).contains(unit) else { return Unicode.Scalar(unit) }
        guard take(word: "\\u"), let low = self.unit(), (0xdc00..<0xe000).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00))
      default: return nil
      }
    }

    /// Four hexadecimal digits.
    private mutating func unit() -> UInt32? {
      guard offset + 4 <= bytes.count else { return nil }
      var value: UInt32 = 0
      for byte in bytes[offset..<offset + 4] {
        let digit: UInt8 =
          switch byte {
          case 0x30...0x39: byte - 0x30
          case 0x41...0x46: byte - 0x37
          case 0x61...0x66: byte - 0x57
          default: 0xff
          }
        guard digit < 16 else { return nil }
        value = value << 4 | UInt32(digit)
      }
      offset += 4
      return value
    }
  }
}
