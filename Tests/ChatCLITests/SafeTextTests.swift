import Testing

@testable import chat_cli

@Suite struct SafeTextTests {
  static let hostile = [
    "\u{1b}[2J", "\u{1b}]0;title\u{7}", "\u{9b}31m", "a\rb", "a\u{8}b", "\u{202e}gnp.exe", "\u{2066}x\u{2069}",
    "\u{2028}",
    "\u{2029}", "\u{200e}", "\u{feff}", "\u{ad}", "\u{0}", "\u{7f}", "\u{85}", "\u{e0041}",
  ]

  @Test(arguments: hostile) func nothingHostilePasses(_ text: String) {
    for clean in [SafeText.line(text), SafeText.lines(text)] {
      #expect(clean.unicodeScalars.allSatisfy { !SafeText.isHostile($0) })
    }
    // JSON keeps the text exactly and still sends nothing raw to a terminal that shows it.
    #expect(JSON.string(text).text.unicodeScalars.allSatisfy { !SafeText.isHostile($0) || $0.value >= 0x10000 })
  }

  @Test func aNewLineCannotForgeALine() {
    #expect(!SafeText.line("bob\n12:00 alice: hi").contains("\n"))
    #expect(SafeText.lines("one\n\ttwo") == "one\n\ttwo")
  }

  @Test(arguments: ["Xin chào 🌱", "👩‍👩‍👧‍👦", "می‌خواهم", "日本語", "e\u{301}", "שלום"])
  func ordinaryTextIsUntouched(_ text: String) {
    #expect(SafeText.line(text) == text)
  }

  @Test func everyScalarBelowSpaceIsReplaced() {
    for value in (0..<0x20 as Range<UInt32>) {
      guard let scalar = Unicode.Scalar(value) else { continue }
      #expect(SafeText.line(String(Character(scalar))) == "\u{fffd}")
    }
  }

  @Test func jsonIsEscaped() {
    let value = JSON.object([("a\"b", .array([.null, .bool(true), .int(-5), .string("\\\n\u{1b}")]))])
    #expect(value.text == #"{"a\"b":[null,true,-5,"\\\n\u001b"]}"#)
  }
}
