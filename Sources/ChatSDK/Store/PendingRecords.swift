import FoundationEssentials
import RelayProtocol
package import WireCodec

/// An own commit of which it is not known yet whether the relay took it.
package struct PendingRecord: StoredRecord {
  package static let kind = RecordKind.pendingCommit
  package var key: [UInt8] { room.bytes }

  package var room: RoomID
  var epoch: UInt64
  /// SHA-256 of the commit.
  var hash: [UInt8]
  /// The request as it is sent, the same bytes at each try.
  private var request: [UInt8]
  /// The commit with the new epoch's keys, as the group saves it.
  var state: [UInt8]

  init(room: RoomID, request: CommitRequest, state: [UInt8]) throws {
    (self.room, epoch, self.state) = (room, request.epoch, state)
    hash = ClientContext.hash(request.message.bytes)
    self.request = Array(try JSONEncoder().encode(request))
  }

  func decodedRequest() throws(ChatError) -> CommitRequest {
    do { return try JSONDecoder().decode(CommitRequest.self, from: Data(request)) } catch {
      throw ChatError(.storeDamaged, underlying: error)
    }
  }

  package init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    epoch = try reader.readUInt64()
    hash = try reader.readVector(max: 64)
    request = try reader.readVector()
    state = try reader.readVector()
  }

  package func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(epoch)
    writer.writeVector(hash)
    writer.writeVector(request)
    writer.writeVector(state)
  }
}

/// An own external commit on its way, with the group that it leads into.
package struct PendingJoinRecord: StoredRecord {
  package static let kind = RecordKind.pendingJoin
  package var key: [UInt8] { room.bytes }

  package var room: RoomID
  var name: String
  var memberCount: UInt32
  private var request: [UInt8]
  var epochPart: [UInt8]
  var messagePart: [UInt8]

  init(room: RoomID, name: String, memberCount: Int, request: JoinRequest, epochPart: [UInt8], messagePart: [UInt8])
    throws
  {
    (self.room, self.name, self.memberCount) = (room, name, UInt32(clamping: memberCount))
    (self.epochPart, self.messagePart) = (epochPart, messagePart)
    self.request = Array(try JSONEncoder().encode(request))
  }

  func decodedRequest() throws(ChatError) -> JoinRequest {
    do { return try JSONDecoder().decode(JoinRequest.self, from: Data(request)) } catch {
      throw ChatError(.storeDamaged, underlying: error)
    }
  }

  package init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    name = try reader.readString()
    memberCount = try reader.readUInt32()
    request = try reader.readVector()
    epochPart = try reader.readVector()
    messagePart = try reader.readVector()
  }

  package func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(name)
    writer.write(memberCount)
    writer.writeVector(request)
    writer.writeVector(epochPart)
    writer.writeVector(messagePart)
  }
}
