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
    #expect(!String(reflecting: part).contains("33"))
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
