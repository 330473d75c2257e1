public import WireCodec

/// What a client sends on the socket, one value in each binary message.
///
/// `requestID` is the client's to choose; the answer carries it back.
public enum ClientFrame: WireCodable, Hashable {
  /// The first frame, unless the upgrade request carried the token in its `Authorization` header. Sent again later, it
  /// replaces a token that is about to expire.
  case authenticate(token: String)
  /// Begins the push for these rooms: the entries after each position, then what comes. A room that is followed
  /// already is followed anew from the position given.
  case follow(requestID: UInt32, cursors: [RoomCursor])
  /// Stores and broadcasts an application message or a proposal. Answered by `sent` or `refused`.
  case send(requestID: UInt32, room: RoomID, SendRequest)

  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1:
      self = .authenticate(token: try reader.readText(max: Limits.token))
    case 2:
      let requestID = try reader.readUInt32()
      let cursors = try reader.readList(of: RoomCursor.self, max: Limits.cursorsPerFollow * RoomCursor.byteCount)
      self = .follow(requestID: requestID, cursors: cursors)
    case 3:
      let requestID = try reader.readUInt32()
      self = .send(requestID: requestID, room: try RoomID(from: &reader), try SendRequest(from: &reader))
    default:
      throw WireError(.invalidValue)
    }
  }

  public func encode(into writer: inout Writer) {
    switch self {
    case .authenticate(let token):
      writer.write(UInt8(1))
      writer.writeVector(Array(token.utf8))
    case .follow(let requestID, let cursors):
      writer.write(UInt8(2))
      writer.write(requestID)
      writer.writeList(cursors)
    case .send(let requestID, let room, let request):
      writer.write(UInt8(3))
      writer.write(requestID)
      writer.write(room)
      writer.write(request)
    }
  }
}

extension StreamPosition: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    incarnation = try reader.readUInt64()
    sequence = try reader.readUInt64()
  }

  public func encode(into writer: inout Writer) {
    writer.write(incarnation)
    writer.write(sequence)
  }
}

extension RoomCursor: WireCodable {
  static let byteCount = 32

  public init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    position = try StreamPosition(from: &reader)
  }

  public func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(position)
  }
}

extension EntryKind: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    guard let kind = EntryKind(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
    self = kind
  }

  public func encode(into writer: inout Writer) { writer.write(rawValue) }
}

extension SendRequest: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    sendID = try SendID(from: &reader)
    kind = try EntryKind(from: &reader)
    epoch = try reader.readUInt64()
    message = Base64URL(try reader.readVector(max: Limits.message))
  }

  public func encode(into writer: inout Writer) {
    writer.write(sendID)
    writer.write(kind)
    writer.write(epoch)
    writer.writeVector(message.bytes)
  }
}
