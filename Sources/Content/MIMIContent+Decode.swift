extension MIMIContent {
  /// The longest content that is read or sent, in bytes: 64 KiB of text and what stands around it.
  public static let maxBytes = 192 << 10
  static let maxTopic = 4096
  static let maxParts = 1024
  static let maxPartDepth = 4
  static let maxExtension = 4095
  /// The map of extensions is the first of four levels.
  static let maxExtensionDepth = 3

  /// Reads content, under the bounds of draft-ietf-mimi-content-08, section 8.1.
  ///
  /// Throws ``ContentError``; the message is then recorded as unreadable and not shown.
  public init(decoding bytes: [UInt8]) throws(ContentError) {
    guard bytes.count <= Self.maxBytes else { throw ContentError(.tooLarge) }
    guard let fields = try CBOR(decoding: bytes).arrayValue, fields.count == 7,
      let salt = fields[0].bytesValue, salt.count == 16,
      let topic = fields[2].bytesValue,
      case .map(let extensions) = fields[5]
    else { throw ContentError(.notMIMI) }
    guard topic.count <= Self.maxTopic else { throw ContentError(.tooLarge) }
    guard extensions.allSatisfy(Self.isExtension) else { throw ContentError(.notMIMI) }
    var parts = 0
    self.init(
      salt: salt,
      replaces: try Self.messageID(fields[1]),
      topic: topic,
      expires: try Self.expiration(fields[3]),
      inReplyTo: try Self.messageID(fields[4]),
      extensions: extensions,
      body: try NestedPart(fields[6], depth: 0, parts: &parts))
  }

  private static func messageID(_ item: CBOR) throws(ContentError) -> MessageID? {
    if item == .null { return nil }
    guard let bytes = item.bytesValue, let id = MessageID(bytes: bytes) else { throw ContentError(.notMIMI) }
    return id
  }

  private static func expiration(_ item: CBOR) throws(ContentError) -> Expiration? {
    if item == .null { return nil }
    guard let fields = item.arrayValue, fields.count == 2, let isRelative = fields[0].boolValue,
      let seconds = fields[1].unsignedValue.flatMap(UInt32.init(exactly:))
    else { throw ContentError(.notMIMI) }
    return Expiration(isRelative: isRelative, seconds: seconds)
  }

  /// Keys are text of 1 to 255 bytes or integers that a double can hold; 1 and 2 name URIs; values are small and
  /// flat (sections 4.1.2 and 6.2).
  private static func isExtension(_ pair: CBOR.Pair) -> Bool {
    switch pair.key {
    case .unsigned(1), .unsigned(2):
      guard pair.value.textValue != nil else { return false }
    case .unsigned(let value):
      guard value < 1 << 53 else { return false }
    case .negative(let value):
      guard value < (1 << 53) - 1 else { return false }
    case .text(let text):
      guard (1...255).contains(text.utf8.count) else { return false }
    default: return false
    }
    return pair.value.encoded.count <= maxExtension && pair.value.hasAtMost(levels: maxExtensionDepth)
  }
}

extension CBOR {
  /// Whether arrays, maps and tags stand at most this deep in each other, and maps have simple keys.
  fileprivate func hasAtMost(levels: Int) -> Bool {
    switch self {
    case .array(let items): levels > 0 && items.allSatisfy { $0.hasAtMost(levels: levels - 1) }
    case .tagged(_, let item): levels > 0 && item.hasAtMost(levels: levels - 1)
    case .map(let pairs):
      levels > 0 && pairs.allSatisfy { $0.key.isSimpleKey && $0.value.hasAtMost(levels: levels - 1) }
    default: true
    }
  }

  private var isSimpleKey: Bool {
    switch self {
    case .unsigned, .negative, .text, .bytes: true
    default: false
    }
  }
}

extension NestedPart {
  fileprivate init(_ item: CBOR, depth: Int, parts: inout Int) throws(ContentError) {
    parts += 1
    guard depth < MIMIContent.maxPartDepth, parts <= MIMIContent.maxParts else { throw ContentError(.tooLarge) }
    guard let fields = item.arrayValue, fields.count >= 3,
      let number = fields[0].unsignedValue.flatMap(UInt8.init(exactly:)),
      let language = fields[1].textValue,
      let cardinality = fields[2].unsignedValue
    else { throw ContentError(.notMIMI) }
    let rest = Array(fields[3...])
    let content: Content
    switch cardinality {
    case 0 where rest.isEmpty:
      content = .empty
    case 1 where rest.count == 2:
      guard let contentType = rest[0].textValue, let bytes = rest[1].bytesValue else { throw ContentError(.notMIMI) }
      content = .single(contentType: contentType, bytes)
    case 2:
      content = .external(try ExternalPart(rest))
    case 3 where rest.count == 2:
      guard let semantics = rest[0].unsignedValue.flatMap(PartSemantics.init(rawValue:)),
        let items = rest[1].arrayValue, items.count >= 2
      else { throw ContentError(.notMIMI) }
      var nested: [NestedPart] = []
      for item in items { nested.append(try NestedPart(item, depth: depth + 1, parts: &parts)) }
      content = .multi(semantics, nested)
    default:
      throw ContentError(.notMIMI)
    }
    self.init(disposition: Disposition(number: number), language: language, content: content)
  }
}

extension ExternalPart {
  fileprivate init(_ fields: [CBOR]) throws(ContentError) {
    guard fields.count == 12,
      let contentType = fields[0].textValue, let url = fields[1].textValue,
      let expires = fields[2].unsignedValue.flatMap(UInt32.init(exactly:)), let size = fields[3].unsignedValue,
      let algorithm = fields[4].unsignedValue.flatMap(UInt16.init(exactly:)),
      let key = fields[5].bytesValue, let nonce = fields[6].bytesValue, let data = fields[7].bytesValue,
      let hashAlgorithm = fields[8].unsignedValue.flatMap(UInt8.init(exactly:)),
      let hash = fields[9].bytesValue, let description = fields[10].textValue, let filename = fields[11].textValue
    else { throw ContentError(.notMIMI) }
    self.init(
      contentType: contentType, url: url, expires: expires, size: size, encryptionAlgorithm: algorithm, key: key,
      nonce: nonce, associatedData: data, hashAlgorithm: hashAlgorithm, contentHash: hash, description: description,
      filename: filename)
  }
}
