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
    /// Where the sender stood in the room's order.
    var order: RoomOrder.Head?
  }

  /// A private extension key of the content: when it was written, in milliseconds since 1970.
  private static let sentAtKey = CBOR.text("kin.sent")
  /// And the head of the sender's ``RoomOrder``: sequence and hash.
  private static let orderKey = CBOR.text("kin.order")

  /// - Throws: `messageTooLong`.
  static func text(
    _ text: String, sentAt: UInt64, order: RoomOrder.Head? = nil
  ) throws(ChatError) -> (content: MIMIContent, encoded: [UInt8]) {
    guard text.utf8.count <= maxText else { throw ChatError(.messageTooLong) }
    var content = MIMIContent.text(text, salt: Random.bytes(16))
    content.extensions = [CBOR.Pair(sentAtKey, .unsigned(sentAt))]
    if let order {
      content.extensions.append(CBOR.Pair(orderKey, .array([.unsigned(order.sequence), .bytes(order.hash)])))
    }
    content.extensions.sort { $0.key.encoded.lexicographicallyPrecedes($1.key.encoded) }
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
      return Opened(content: content, encoded: encoded, sentAt: sentAt, order: order(content))
    } catch { throw ChatError(.protocolViolation, underlying: error) }
  }

  private static func order(_ content: MIMIContent) -> RoomOrder.Head? {
    guard let fields = content.extensions.first(where: { $0.key == orderKey })?.value.arrayValue, fields.count == 2,
      let sequence = fields[0].unsignedValue, let hash = fields[1].bytesValue, hash.count == 16
    else { return nil }
    return RoomOrder.Head(sequence: sequence, hash: hash)
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
