extension MIMIContent {
  /// The text to show: the first part that is text, or a line that names what this client cannot show.
  public var plainText: String { body.plainText }
}

extension NestedPart {
  /// What stands in for a part of another kind. Only ASCII of its type is repeated, and not much of it.
  static func fallback(for contentType: String) -> String {
    let name = contentType.prefix { $0 != ";" }.filter {
      $0.isASCII && ($0.isLetter || $0.isNumber || "/.+-".contains($0))
    }
    return "[content of type \(name.prefix(64)), which this version cannot show]"
  }

  fileprivate var plainText: String {
    switch content {
    case .empty:
      return ""
    case .single(let contentType, let bytes):
      guard contentType.hasPrefix("text/plain") || contentType.hasPrefix("text/markdown"),
        let text = String(validating: bytes, as: UTF8.self)
      else { return Self.fallback(for: contentType) }
      return text
    case .external(let part):
      return Self.fallback(for: part.contentType)
    case .multi(.chooseOne, let parts):
      let texts = parts.map(\.plainText)
      return texts.first { !$0.hasPrefix("[content of type ") } ?? texts.first ?? ""
    case .multi(_, let parts):
      return parts.map(\.plainText).joined(separator: "\n")
    }
  }
}
