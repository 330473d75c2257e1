/// A JSON value to be written on one line (RFC 8259). Keys keep the order in which they are given.
enum JSON {
  case null
  case bool(Bool)
  case int(Int64)
  case string(String)
  case array([JSON])
  case object([(String, JSON)])

  static func number(_ value: some BinaryInteger) -> JSON {
    Int64(exactly: value).map(JSON.int) ?? .string(String(value))
  }

  static func optional(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }

  var text: String {
    var output = ""
    append(to: &output)
    return output
  }

  private func append(to output: inout String) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .int(let value): output += String(value)
    case .string(let value): Self.appendQuoted(value, to: &output)
    case .array(let values):
      output += "["
      for (index, value) in values.enumerated() {
        if index > 0 { output += "," }
        value.append(to: &output)
      }
      output += "]"
    case .object(let pairs):
      output += "{"
      for (index, pair) in pairs.enumerated() {
        if index > 0 { output += "," }
        Self.appendQuoted(pair.0, to: &output)
        output += ":"
        pair.1.append(to: &output)
      }
      output += "}"
    }
  }

  private static func appendQuoted(_ text: String, to output: inout String) {
    output += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      // Escaped, whatever is hostile to a terminal stays exact for a program and harmless for a reader.
      case _ where scalar.value < 0x10000 && SafeText.isHostile(scalar): output += escape(scalar.value)
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }

  private static func escape(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
}
