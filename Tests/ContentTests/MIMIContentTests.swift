import Content
import Foundation
import Testing

@Suite struct MIMIContentTests {
  static let names = [
    "attachment", "conferencing", "delete", "edit", "expiring", "mention", "mention-html", "multipart-1", "multipart-2",
    "multipart-3", "original", "reaction", "reply", "unlike",
  ]

  @Test(arguments: names) func draftExample(_ name: String) throws {
    guard let data = try VectorFolder.data("mimi/\(name).cbor") else { return }
    let content = try MIMIContent(decoding: Array(data))
    #expect(content.encoded == Array(data))
  }

  @Test func fieldsOfTheDraftsReply() throws {
    guard let data = try VectorFolder.data("mimi/reply.cbor") else { return }
    let reply = try MIMIContent(decoding: Array(data))
    #expect(reply.plainText == "Right on! _Congratulations_ 'all!")
    #expect(reply.inReplyTo?.bytes == bytes(hex: "017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4"))
    #expect(reply.replaces == nil)
  }

  @Test func attachmentKeepsItsKeyOutOfDebugText() throws {
    guard let data = try VectorFolder.data("mimi/attachment.cbor") else { return }
    guard case .external(let part) = try MIMIContent(decoding: Array(data)).body.content else {
      Issue.record("not an external part")
      return
    }
    #expect(part.size == 708_234_961)
    var dumped = ""
    dump(part, to: &dumped)
    // The key of the draft's example, in the decimal and hexadecimal forms that Swift might print it in.
    for text in [dumped, String(reflecting: part), "\(part)"] { #expect(!text.contains("147")) }
    #expect(part.key[1] == 0x39 && part.key[2] == 0x93 && 0x93 == 147)
  }

  @Test func messageIDIsTheDraftsFormula() throws {
    guard let data = try VectorFolder.data("mimi/original.cbor") else { return }
    let content = try MIMIContent(decoding: Array(data))
    let (sender, room) = (try #require(content.senderURI), try #require(content.roomURI))
    var hashed: [UInt8] = []
    let id = try MessageID(message: Array(data), salt: content.salt, sender: sender, room: room) { input in
      hashed = input
      // SHA-256 of that input, as the draft prints the message's id: this room imports no cryptography.
      return bytes(hex: "7ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4") + [0]
    }
    #expect(id.bytes == bytes(hex: "017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4"))
    let lengths = { (text: String) in [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xff)] + Array(text.utf8) }
    #expect(hashed == lengths(sender) + lengths(room) + Array(data) + content.salt)
  }

  private func content(extensions: [CBOR.Pair]) -> [UInt8] {
    let part = NestedPart(disposition: .render, content: .empty)
    return MIMIContent(salt: .init(repeating: 1, count: 16), extensions: extensions, body: part).encoded
  }

  @Test func extensionsAreSmallFlatAndTyped() throws {
    func nested(_ levels: Int) -> CBOR { levels == 0 ? .null : .array([nested(levels - 1)]) }
    #expect(throws: Never.self) { try MIMIContent(decoding: content(extensions: [.init(.unsigned(9), nested(3))])) }
    let bad: [CBOR.Pair] = [
      .init(.unsigned(9), nested(4)), .init(.unsigned(1), .unsigned(5)), .init(.unsigned(2), .null),
      .init(.unsigned(9), .bytes(.init(repeating: 0, count: 4096))), .init(.bytes([1]), .null),
      .init(.text(""), .null), .init(.unsigned(1 << 53), .null),
      .init(.unsigned(9), .map([.init(.array([]), .null)])),
    ]
    for pair in bad {
      #expect(throws: ContentError(.notMIMI)) { try MIMIContent(decoding: content(extensions: [pair])) }
    }
  }

  @Test func partsNestAtMostFourDeep() throws {
    func nested(_ levels: Int) -> NestedPart {
      let leaf = NestedPart(disposition: .render, content: .empty)
      return levels == 1
        ? leaf : NestedPart(disposition: .render, content: .multi(.singleUnit, [nested(levels - 1), leaf]))
    }
    let salt = [UInt8](repeating: 0, count: 16)
    #expect(throws: Never.self) { try MIMIContent(decoding: MIMIContent(salt: salt, body: nested(4)).encoded) }
    #expect(throws: ContentError(.tooLarge)) {
      try MIMIContent(decoding: MIMIContent(salt: salt, body: nested(5)).encoded)
    }
  }

  @Test func ownTextIsPreferredEvenIfItLooksLikeAStandIn() {
    let own = NestedPart(
      disposition: .render, content: .single(contentType: "text/plain", Array("[content of type x".utf8)))
    let other = NestedPart(disposition: .render, content: .single(contentType: "text/plainfoo", [65]))
    let body = NestedPart(disposition: .render, content: .multi(.chooseOne, [other, own]))
    #expect(MIMIContent(salt: .init(repeating: 0, count: 16), body: body).plainText == "[content of type x")
  }

  @Test func textComesBack() throws {
    let text = String(repeating: "Xin chào, nhóm kín! 🌱", count: 2_000)
    let content = MIMIContent.text(text, salt: [UInt8](repeating: 7, count: 16))
    #expect(try MIMIContent(decoding: content.encoded).plainText == text)
  }

  @Test func unknownPartsAreNamedSafely() {
    let part = NestedPart(disposition: .render, content: .single(contentType: "application/x\u{1b}[2J;a=b", [1]))
    let content = MIMIContent(salt: [UInt8](repeating: 0, count: 16), body: part)
    #expect(!content.plainText.contains("\u{1b}"))
    #expect(content.plainText.contains("application/x"))
  }

  @Test func oversizedContentIsRefused() {
    let content = MIMIContent.text(
      String(repeating: "a", count: MIMIContent.maxBytes), salt: .init(repeating: 0, count: 16))
    #expect(throws: ContentError(.tooLarge)) { try MIMIContent(decoding: content.encoded) }
  }

  @Test func damagedContentNeverCrashes() throws {
    var generator = SplitMix(seed: UInt64.random(in: 0...UInt64.max))
    print("seed \(generator.state)")
    for name in Self.names {
      guard let data = try VectorFolder.data("mimi/\(name).cbor") else { return }
      for _ in 0..<500 {
        var damaged = Array(data)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          let index = damaged.indices.randomElement(using: &generator) ?? 0
          damaged[index] = UInt8.random(in: 0...255, using: &generator)
        }
        damaged.removeLast(Int.random(in: 0...1, using: &generator))
        if let content = try? MIMIContent(decoding: damaged) {
          // Whatever is accepted has one encoding.
          #expect(content.encoded == damaged)
          _ = content.plainText
        }
      }
    }
  }
}

/// A generator whose printed seed repeats a run.
struct SplitMix: RandomNumberGenerator {
  private(set) var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}
