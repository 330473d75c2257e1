/// Text of others made harmless for a terminal and for line-based tools.
///
/// Control characters (and with them every escape sequence), line separators and the characters that reorder or hide
/// text are replaced by a visible mark, so that nobody can move the cursor, forge a line or turn a name around.
enum SafeText {
  /// For one line: line breaks are replaced as well.
  static func line(_ text: String) -> String { clean(text) { _ in false } }

  /// For text that may have several lines: line feeds and tabs stay.
  static func lines(_ text: String) -> String { clean(text) { $0 == "\n" || $0 == "\t" } }

  private static func clean(_ text: String, keeping kept: (Unicode.Scalar) -> Bool) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { result.append(kept(scalar) || !isHostile(scalar) ? scalar : "\u{fffd}") }
    return String(result)
  }

  static func isHostile(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate: return true
    case .format:
      // Joiners are part of how many scripts and emoji are written; the rest of this class hides or reorders.
      return !(scalar == "\u{200c}" || scalar == "\u{200d}")
    default: return false
    }
  }
}
