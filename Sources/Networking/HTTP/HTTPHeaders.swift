/// Header fields in the order they came, found without regard to case (RFC 9110, section 5.1).
package struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
  package private(set) var fields: [(name: String, value: String)]

  package init() { fields = [] }

  package init(dictionaryLiteral elements: (String, String)...) {
    fields = elements.map { (name: $0.0, value: $0.1) }
  }

  package var count: Int { fields.count }

  /// The first value of that name.
  package subscript(name: String) -> String? {
    fields.first { HTTPHeaders.isSame($0.name, name) }?.value
  }

  /// All values of that name.
  package func values(for name: String) -> [String] {
    fields.filter { HTTPHeaders.isSame($0.name, name) }.map(\.value)
  }

  package mutating func append(_ name: String, _ value: String) {
    fields.append((name, value))
  }

  /// Replaces all values of that name by one.
  package mutating func set(_ name: String, _ value: String) {
    remove(name)
    append(name, value)
  }

  package mutating func remove(_ name: String) {
    fields.removeAll { HTTPHeaders.isSame($0.name, name) }
  }

  /// Whether one of the comma-separated elements of that field is the token, without regard to case.
  package func contains(token: String, in name: String) -> Bool {
    fields.contains { field in
      HTTPHeaders.isSame(field.name, name)
        && HTTPHeaders.elements(field.value).contains { HTTPHeaders.isSame($0, token) }
    }
  }

  /// The comma-separated elements of a value, without the blanks around them and without empty ones.
  package static func elements(_ value: String) -> [String] {
    value.utf8.split(separator: UInt8(ascii: ",")).compactMap { part in
      let trimmed = trim(part)
      return trimmed.isEmpty ? nil : String(decoding: trimmed, as: UTF8.self)
    }
  }

  static func trim<C: BidirectionalCollection<UInt8>>(_ bytes: C) -> C.SubSequence {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
    else { return bytes[bytes.startIndex..<bytes.startIndex] }
    return bytes[first...last]
  }

  /// Equality of ASCII without case; anything else compares byte by byte.
  static func isSame(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).allSatisfy { lower($0) == lower($1) }
  }

  private static func lower(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
  }
}
