import Content
import CryptoPrimitives
import RelayProtocol
import WireCodec

/// What a Kin client seals: MIMI content in a vector, then zeros up to one of few sizes (design, section 4).
enum Envelope {
  static let maxText = 64 << 10

  struct Opened {
    var content: MIMIContent
    var encoded: [UInt8]
    var sentAt: UInt64
  }

  /// A private extension key of the content: when it was written, in milliseconds since 1970.
  private static let sentAtKey = CBOR.text("kin.sent")

  /// - Throws: `messageTooLong`.
  static func text(_ text: String, sentAt: UInt64) throws(ChatError) -> (content: MIMIContent, encoded: [UInt8]) {
    guard text.utf8.count <= maxText else { throw ChatError(.messageTooLong) }
    var content = MIMIContent.text(text, salt: Random.bytes(16))
    content.extensions = [CBOR.Pair(sentAtKey, .unsigned(sentAt))]
    return (content, content.encoded)
  }

  static func pad(_ encoded: [UInt8]) -> [UInt8] {
    var writer = Writer()
    writer.writeVector(encoded)
    let bytes = writer.bytes
    return bytes + [UInt8](repeating: 0, count: max(0, Padding.length(for: bytes.count) - bytes.count))
  }

  /// - Throws: `protocolViolation`: the sender's client made what cannot be read.
  static func open(_ bytes: [UInt8]) throws(ChatError) -> Opened {
    do {
      var reader = Reader(bytes)
      let encoded = try reader.readVector(max: MIMIContent.maxBytes)
      guard try reader.readBytes(count: reader.remaining).allSatisfy({ $0 == 0 }) else {
        throw ChatError(.protocolViolation)
      }
      let content = try MIMIContent(decoding: encoded)
      let sentAt = content.extensions.first { $0.key == sentAtKey }?.value.unsignedValue ?? 0
      return Opened(content: content, encoded: encoded, sentAt: sentAt)
    } catch { throw ChatError(.protocolViolation, underlying: error) }
  }

  /// The message's id (draft-ietf-mimi-content, section 3.1): bound to sender and room, so that nothing can be moved.
  static func id(_ encoded: [UInt8], salt: [UInt8], sender: UserID, room: RoomID) throws(ChatError) -> Message.ID {
    do {
      let id = try MessageID(
        message: encoded, salt: salt, sender: "kin:user/\(sender)", room: "kin:room/\(room)"
      ) { Digest.hash(.sha256, $0) }
      return Message.ID(bytes: id.bytes)
    } catch { throw ChatError(.internalError, underlying: error) }
  }
}
