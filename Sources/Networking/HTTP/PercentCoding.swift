/// Decodes paths and queries once, strictly: what cannot be decoded without doubt is refused.
enum PercentCoding {
  /// The parts of a path.
  ///
  /// A slash that was encoded stays inside its part; dot segments, NUL and bad UTF-8 are refused.
  static func segments(_ path: String) throws(NetworkError) -> [String] {
    guard path != "*" else { return ["*"] }
    var segments: [String] = []
    for part in path.utf8.dropFirst().split(separator: 0x2f, omittingEmptySubsequences: false) {
      let segment = try decode(part, plusIsSpace: false)
      guard segment != ".", segment != ".." else { throw HTTP1Head.violation("dot segments are not accepted") }
      segments.append(segment)
    }
    // `/v1/` and `/v1` differ, but `/` alone has no parts.
    return segments == [""] ? [] : segments
  }

  /// The items of a query, in order.
  static func query(_ text: String?) throws(NetworkError) -> [(name: String, value: String)] {
    guard let text, !text.isEmpty else { return [] }
    var items: [(name: String, value: String)] = []
    for item in text.utf8.split(separator: 0x26) {
      let equals = item.firstIndex(of: 0x3d)
      let name = try decode(item[..<(equals ?? item.endIndex)], plusIsSpace: true)
      let value: String
      if let equals { value = try decode(item[item.index(after: equals)...], plusIsSpace: true) } else { value = "" }
      items.append((name, value))
    }
    return items
  }

  private static func decode(
    _ bytes: Substring.UTF8View, plusIsSpace: Bool
  ) throws(NetworkError) -> String {
    var result: [UInt8] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      switch byte {
      case 0x25:
        guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
          throw HTTP1Head.violation("a percent sign without two digits")
        }
        result.append(high << 4 | low)
      case 0x2b where plusIsSpace: result.append(0x20)
      default: result.append(byte)
      }
    }
    guard !result.contains(where: { $0 < 0x20 || $0 == 0x7f }), let text = String(validating: result, as: UTF8.self)
    else { throw HTTP1Head.violation("the path or query is not text") }
    return text
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}
