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

  fileprivate var plainText: String { shown.text }

  /// The text, and whether it is the part's own and not a stand-in.
  private var shown: (text: String, isOwn: Bool) {
    switch content {
    case .empty:
      return ("", true)
    case .single(let contentType, let bytes):
      let type = contentType.prefix { $0 != ";" }
      guard type == "text/plain" || type == "text/markdown", let text = String(validating: bytes, as: UTF8.self)
      else { return (Self.fallback(for: contentType), false) }
      return (text, true)
    case .external(let part):
      return (Self.fallback(for: part.contentType), false)
    case .multi(.chooseOne, let parts):
      let texts = parts.map(\.shown)
      return texts.first(where: \.isOwn) ?? texts.first ?? ("", true)
    case .multi(_, let parts):
      return (parts.map(\.plainText).joined(separator: "\n"), true)
    }
  }
}
