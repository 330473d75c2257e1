/// What is inside an MLS application message: the container of draft-ietf-mimi-content-08, section 4.
public struct MIMIContent: Hashable, Sendable {
  /// 16 random bytes, which make every message id its own.
  public var salt: [UInt8]
  /// The message that this one edits or, with an empty body, deletes.
  public var replaces: MessageID?
  public var topic: [UInt8]
  public var expires: Expiration?
  public var inReplyTo: MessageID?
  /// In the order of their encoded keys.
  public var extensions: [CBOR.Pair]
  public var body: NestedPart

  public struct Expiration: Hashable, Sendable {
    /// Whether `seconds` count from the reading of the message, or else from 1970.
    public var isRelative: Bool
    public var seconds: UInt32

    public init(isRelative: Bool, seconds: UInt32) { (self.isRelative, self.seconds) = (isRelative, seconds) }
  }

  public init(
    salt: [UInt8], replaces: MessageID? = nil, topic: [UInt8] = [], expires: Expiration? = nil,
    inReplyTo: MessageID? = nil, extensions: [CBOR.Pair] = [], body: NestedPart
  ) {
    (self.salt, self.replaces, self.topic, self.expires) = (salt, replaces, topic, expires)
    (self.inReplyTo, self.extensions, self.body) = (inReplyTo, extensions, body)
  }

  /// Whom the content names as its sender: to be compared with the MLS leaf, which alone counts.
  public var senderURI: String? { text(ofExtension: 1) }
  /// The room that the content names: to be compared with the group that it came in.
  public var roomURI: String? { text(ofExtension: 2) }

  private func text(ofExtension key: UInt64) -> String? {
    extensions.first { $0.key == .unsigned(key) }?.value.textValue
  }

  /// A message of plain text.
  public static func text(_ text: String, salt: [UInt8]) -> MIMIContent {
    let part = NestedPart(
      disposition: .render, content: .single(contentType: "text/plain;charset=utf-8", Array(text.utf8)))
    return MIMIContent(salt: salt, body: part)
  }
}

/// The id of a message (section 3.1): the number of the hash, and 31 bytes of it.
public struct MessageID: Hashable, Sendable {
  public let bytes: [UInt8]

  /// `nil` unless these are 32 bytes that begin with 1 (SHA-256), the only hash that is known.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 32, bytes[0] == 1 else { return nil }
    self.bytes = bytes
  }

  /// Computes the id of a message as it was sent.
  ///
  /// - Parameters:
  ///   - message: The encoded content, without padding.
  ///   - sender: The URI of the sender, as the MLS leaf proves it.
  ///   - room: The URI of the room.
  ///   - sha256: SHA-256; this room imports no cryptography.
  public init(
    message: [UInt8], salt: [UInt8], sender: String, room: String, sha256: ([UInt8]) -> [UInt8]
  ) throws(ContentError) {
    var input: [UInt8] = []
    for uri in [sender, room] {
      guard let count = UInt16(exactly: uri.utf8.count) else { throw ContentError(.tooLarge) }
      input += [UInt8(count >> 8), UInt8(count & 0xff)] + Array(uri.utf8)
    }
    let hash = sha256(input + message + salt)
    guard hash.count == 32 else { throw ContentError(.notMIMI) }
    bytes = [1] + hash.prefix(31)
  }
}

/// A part of a message's body (section 4.2).
public struct NestedPart: Hashable, Sendable {
  public var disposition: Disposition
  /// A language tag (RFC 5646), or empty.
  public var language: String
  public var content: Content

  public init(disposition: Disposition, language: String = "", content: Content) {
    (self.disposition, self.language, self.content) = (disposition, language, content)
  }

  public indirect enum Content: Hashable, Sendable {
    /// Nothing: what a deletion and a withdrawn reaction carry.
    case empty
    case single(contentType: String, [UInt8])
    case external(ExternalPart)
    case multi(PartSemantics, [NestedPart])
  }

  public enum PartSemantics: UInt64, Sendable {
    case chooseOne = 0
    case singleUnit = 1
    case processAll = 2
  }
}

/// What a part is for. Unknown ones are shown as if they were to be rendered.
public struct Disposition: Hashable, Sendable {
  public let number: UInt8

  public init(number: UInt8) { self.number = number }

  public static let unspecified = Disposition(number: 0)
  public static let render = Disposition(number: 1)
  public static let reaction = Disposition(number: 2)
  public static let profile = Disposition(number: 3)
  public static let inline = Disposition(number: 4)
  public static let icon = Disposition(number: 5)
  public static let attachment = Disposition(number: 6)
  public static let session = Disposition(number: 7)
  public static let preview = Disposition(number: 8)
}

/// Content kept elsewhere: an attachment, encrypted under a key of its own.
public struct ExternalPart: Hashable, Sendable {
  public var contentType: String
  public var url: String
  /// Seconds since 1970, or 0.
  public var expires: UInt32
  /// Bytes of the content.
  public var size: UInt64
  public var encryptionAlgorithm: UInt16
  public var key: [UInt8]
  public var nonce: [UInt8]
  public var associatedData: [UInt8]
  public var hashAlgorithm: UInt8
  public var contentHash: [UInt8]
  public var description: String
  public var filename: String

  public init(
    contentType: String, url: String, expires: UInt32, size: UInt64, encryptionAlgorithm: UInt16, key: [UInt8],
    nonce: [UInt8], associatedData: [UInt8], hashAlgorithm: UInt8, contentHash: [UInt8], description: String,
    filename: String
  ) {
    (self.contentType, self.url, self.expires, self.size) = (contentType, url, expires, size)
    (self.encryptionAlgorithm, self.key, self.nonce) = (encryptionAlgorithm, key, nonce)
    (self.associatedData, self.hashAlgorithm, self.contentHash) = (associatedData, hashAlgorithm, contentHash)
    (self.description, self.filename) = (description, filename)
  }
}

extension ExternalPart: CustomDebugStringConvertible, CustomReflectable {
  /// Without the key.
  public var debugDescription: String { "ExternalPart(\(size) bytes, key redacted)" }
  public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}
