@testable import Content

extension Target {
  /// What stands inside messages: CBOR, and MIMI content over it. One value has one encoding.
  static let content = Target(
    name: "content",
    run: { input in
      if let item = try? CBOR(decoding: input) { require(item.encoded == input, "a CBOR item has two encodings") }
      guard let content = try? MIMIContent(decoding: input) else { return }
      require(content.encoded == input, "MIMI content has two encodings")
      // What is shown must come from what was sent, and not be longer than a constant allows.
      let shown = content.plainText.utf8.count
      require(shown <= input.count + 128 * MIMIContent.maxParts, "the text shown outgrows the content")
      let padded = Padding.length(for: input.count)
      require(
        padded >= input.count && padded <= max(Padding.least, input.count + input.count / 8), "padding of \(padded)")
    },
    seeds: contentSeeds)
}

private func contentSeeds() throws -> [Target.Seed] {
  let salt = [UInt8](repeating: 5, count: 16)
  var rich = MIMIContent.text("Hello, *world*", salt: salt)
  rich.replaces = MessageID(bytes: [1] + [UInt8](repeating: 3, count: 31))
  rich.inReplyTo = rich.replaces
  rich.topic = [1, 2, 3]
  rich.expires = MIMIContent.Expiration(isRelative: true, seconds: 86400)
  rich.extensions = [
    CBOR.Pair(.unsigned(1), .text("mimi://relay/u/alice")), CBOR.Pair(.unsigned(2), .text("mimi://relay/r/garden")),
    CBOR.Pair(.text("kin"), .map([CBOR.Pair(.unsigned(1), .array([.bytes([1]), .null, .bool(true)]))])),
  ]
  let text = NestedPart(disposition: .render, language: "en", content: .single(contentType: "text/plain", [72, 105]))
  let external = NestedPart(
    disposition: .attachment,
    content: .external(
      ExternalPart(
        contentType: "image/png", url: "https://relay.example/v1/b/1", expires: 1, size: 4096, encryptionAlgorithm: 1,
        key: salt, nonce: [1, 2, 3], associatedData: [], hashAlgorithm: 1, contentHash: salt, description: "a cat",
        filename: "cat.png")))
  rich.body = NestedPart(
    disposition: .render,
    content: .multi(
      .chooseOne, [text, NestedPart(disposition: .render, content: .multi(.processAll, [external, text]))]))
  let numbers = CBOR.array([
    .unsigned(23), .unsigned(24), .unsigned(0x100), .unsigned(0x1_0000), .unsigned(0x1_0000_0000), .negative(.max),
    .half(0x3c00), .single(0x3f80_0001), .double(0x3ff0_0000_0000_0001), .simple(255), .null, .tagged(1, .text("é")),
  ])
  return [
    Target.Seed(name: "text", bytes: MIMIContent.text("Hello", salt: salt).encoded),
    Target.Seed(name: "rich", bytes: rich.encoded), Target.Seed(name: "numbers", bytes: numbers.encoded),
  ]
}
