extension MIMIContent {
  /// The content as deterministic CBOR, not yet padded.
  public var encoded: [UInt8] {
    CBOR.array([
      .bytes(salt),
      replaces.map { .bytes($0.bytes) } ?? .null,
      .bytes(topic),
      expires.map { .array([.bool($0.isRelative), .unsigned(UInt64($0.seconds))]) } ?? .null,
      inReplyTo.map { .bytes($0.bytes) } ?? .null,
      .map(extensions),
      body.item,
    ]).encoded
  }
}

extension NestedPart {
  fileprivate var item: CBOR {
    let head: [CBOR] = [.unsigned(UInt64(disposition.number)), .text(language)]
    switch content {
    case .empty:
      return .array(head + [.unsigned(0)])
    case .single(let contentType, let bytes):
      return .array(head + [.unsigned(1), .text(contentType), .bytes(bytes)])
    case .external(let part):
      return .array(head + [.unsigned(2)] + part.items)
    case .multi(let semantics, let parts):
      return .array(head + [.unsigned(3), .unsigned(semantics.rawValue), .array(parts.map(\.item))])
    }
  }
}

extension ExternalPart {
  fileprivate var items: [CBOR] {
    [
      .text(contentType), .text(url), .unsigned(UInt64(expires)), .unsigned(size),
      .unsigned(UInt64(encryptionAlgorithm)), .bytes(key), .bytes(nonce), .bytes(associatedData),
      .unsigned(UInt64(hashAlgorithm)), .bytes(contentHash), .text(description), .text(filename),
    ]
  }
}
