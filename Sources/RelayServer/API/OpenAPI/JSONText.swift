/// A JSON value whose members keep the order in which they were written, for documents that people compare.
indirect enum JSONText: Equatable, Sendable {
  case text(String)
  case number(String)
  case boolean(Bool)
  case list([JSONText])
  case object([(String, JSONText)])

  static func == (left: Self, right: Self) -> Bool { left.written == right.written }

  /// With two spaces for each level.
  var written: String {
    var text = ""
    write(into: &text, indent: "")
    return text
  }

  private func write(into text: inout String, indent: String) {
    switch self {
    case .text(let value): Self.quote(value, into: &text)
    case .number(let value): text += value
    case .boolean(let value): text += value ? "true" : "false"
    case .list(let values):
      guard !values.isEmpty else { return text += "[]" }
      text += "["
      for (index, value) in values.enumerated() {
        text += index == 0 ? "\n\(indent)  " : ",\n\(indent)  "
        value.write(into: &text, indent: indent + "  ")
      }
      text += "\n\(indent)]"
    case .object(let members):
      guard !members.isEmpty else { return text += "{}" }
      text += "{"
      for (index, (name, value)) in members.enumerated() {
        text += index == 0 ? "\n\(indent)  " : ",\n\(indent)  "
        Self.quote(name, into: &text)
        text += ": "
        value.write(into: &text, indent: indent + "  ")
      }
      text += "\n\(indent)}"
    }
  }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\0"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
