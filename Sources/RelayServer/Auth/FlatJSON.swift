/// A JSON object of strings and whole numbers, read more strictly than RFC 8259 asks: no nesting, no escapes, no
/// duplicate names, nothing after the end.
///
/// Tokens are read with this and not with a general parser, because two parsers that disagree about one token are how
/// checks are got round (RFC 8725 section 2.7). Every token that this relay issues is of this form.
struct FlatJSON: Equatable {
  enum Value: Equatable {
    case text(String)
    case number(UInt64)
  }

  private(set) var values: [String: Value] = [:]

  /// Reads an object, or returns `nil` for anything else.
  init?(_ bytes: [UInt8]) {
    var parser = Parser(bytes: bytes)
    guard parser.take("{") else { return nil }
    if !parser.take("}") {
      repeat {
        guard let name = parser.text(), parser.take(":"), let value = parser.value(), values[name] == nil else {
          return nil
        }
        values[name] = value
      } while parser.take(",")
      guard parser.take("}") else { return nil }
    }
    guard parser.isAtEnd else { return nil }
  }

  func text(_ name: String) -> String? {
    if case .text(let text)? = values[name] { text } else { nil }
  }

  func number(_ name: String) -> UInt64? {
    if case .number(let number)? = values[name] { number } else { nil }
  }

  private struct Parser {
    let bytes: [UInt8]
    var offset = 0

    mutating func skipBlanks() {
      while offset < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[offset]) { offset += 1 }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      skipBlanks()
      guard offset < bytes.count, bytes[offset] == UInt8(ascii: character) else { return false }
      offset += 1
      return true
    }

    var isAtEnd: Bool {
      mutating get {
        skipBlanks()
        return offset == bytes.count
      }
    }

    mutating func text() -> String? {
      guard take("\"") else { return nil }
      let start = offset
      while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
        guard bytes[offset] >= 0x20, bytes[offset] < 0x7f, bytes[offset] != UInt8(ascii: "\\") else { return nil }
        offset += 1
      }
      guard offset < bytes.count else { return nil }
      defer { offset += 1 }
      return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    mutating func value() -> Value? {
      skipBlanks()
      if offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") { return text().map { .text($0) } }
      let start = offset
      while offset < bytes.count, bytes[offset] &- 0x30 < 10 { offset += 1 }
      let digits = bytes[start..<offset]
      guard let first = digits.first, first != 0x30 || digits.count == 1 else { return nil }
      return UInt64(String(decoding: digits, as: UTF8.self)).map { .number($0) }
    }
  }
}
