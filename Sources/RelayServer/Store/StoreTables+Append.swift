import RelayProtocol
import Storage

extension StoreTables {
  /// Stores one message, or says why not. Throws only if the transaction cannot go on.
  ///
  /// This is the hot path: it checks from memory before it writes, so that a refusal needs no savepoint.
  func append(_ message: NewMessage) throws -> Result<Appended, RelayError> {
    do { return .success(try store(message)) } catch {
      if let fault = error as? StorageError, !StoreFault.isLocal(fault) { throw fault }
      return .failure(StoreFault.relayError(error))
    }
  }

  private func store(_ message: NewMessage) throws -> Appended {
    let request = message.request
    try MessageRules.check(request)
    let sender = try self.sender(message.sender, message.device)
    do {
      let head = try joinedRoom(message.room, sender)
      try MessageRules.check(request.kind, epoch: request.epoch, roomEpoch: head.epoch)
      return try add(message, in: head, from: sender)
    } catch {
      // What was accepted once stays accepted, even if the epoch has moved or the membership has ended since.
      guard let refusal = error as? RelayError, refusal.code != .sendIDReused,
        let earlier = try earlierOutcome(message, from: sender)
      else { throw error }
      return earlier
    }
  }

  /// Stores an entry behind the newest, unless its send id was used.
  func add(_ message: NewMessage, in head: RoomHead, from sender: DeviceKeys) throws -> Appended {
    let request = message.request
    let (sequence, isFull) = head.last.addingReportingOverflow(1)
    guard !isFull, sequence <= UInt64(Int64.max) else { throw StorageError(.tooBig) }
    guard
      try statements.insertSent(
        request.sendID, device: sender.device, room: head.key, sequence: sequence, time: message.now)
    else {
      // Or it names one to a room that is no more.
      guard let earlier = try earlierOutcome(message, from: sender) else { throw reused }
      return earlier
    }
    do {
      try statements.insertEntry(
        room: head.key, sequence: sequence, kind: request.kind, epoch: request.epoch, time: message.now,
        message: request.message.bytes)
    } catch {
      // Without the entry the send id must not count as used.
      try database.execute("DELETE FROM sent WHERE \(part: statements.isSend(request.sendID, of: sender.device))")
      throw error
    }
    head.last = sequence
    didStoreEntry(in: head, now: message.now)
    let entry = LogEntry(
      room: message.room, sequence: sequence, kind: request.kind, epoch: request.epoch, time: message.now,
      message: request.message.bytes)
    return Appended(response: response(sequence, message.now), entry: entry)
  }

  private var reused: RelayError { RelayError(.sendIDReused, "The send id names another message.") }

  /// What a send with this id came to before, or nil if there was none.
  ///
  /// Throws `sendIDReused` if it was something else. Comparing with the stored entry needs no digest beside it.
  func earlierOutcome(_ message: NewMessage, from sender: DeviceKeys) throws -> Appended? {
    let request = message.request
    let earlier = try database.first(
      """
      SELECT sent.sequence, sent.time, room.id, entry.kind, entry.epoch, entry.message
      FROM sent LEFT JOIN room ON room.key = sent.room
      LEFT JOIN entry ON entry.room = sent.room AND entry.sequence = sent.sequence
      WHERE \(part: statements.isSend(request.sendID, of: sender.device))
      """
    ) { row in
      let isThere = try !row.isNull(2) && row.identifier(2, as: RoomID.self) == message.room
      var isSame = isThere
      // An entry that is no longer kept cannot be compared; its place in the log is answer enough.
      if isSame, try !row.isNull(3), try row.unsigned(3) != UInt64(EntryKind.erased.rawValue) {
        isSame =
          try row.unsigned(3) == UInt64(request.kind.rawValue) && row.unsigned(4) == request.epoch
          && row.withBlob(5) { $0.elementsEqual(request.message.bytes) }
      }
      return (isThere: isThere, isSame: isSame, response: response(try row.unsigned(0), try row.unsigned(1)))
    }
    guard let earlier else { return nil }
    guard earlier.isSame else {
      // What was sent to a room that was erased outlives it, and its number may be another room's by now.
      if try !earlier.isThere && head(of: message.room) == nil { return nil }
      throw reused
    }
    return Appended(response: earlier.response, entry: nil)
  }

  // MARK: Checks

  /// The keys of the sending device, which must be one of the sender's.
  func sender(_ user: UserID, _ device: DeviceID) throws -> DeviceKeys {
    guard let keys = try self.device(device), keys.user == user else {
      throw RelayError(.deviceUnknown, "The device is not in the account's list.")
    }
    return keys
  }

  /// A room of which the sender is a member; all others do not exist for it.
  func joinedRoom(_ room: RoomID, _ sender: DeviceKeys) throws -> RoomHead {
    guard let head = try head(of: room), try isMember(sender.account, of: head) else { throw RelayError.noSuchRoom }
    return head
  }

  func response(_ sequence: UInt64, _ time: UInt64) -> SendResponse {
    SendResponse(position: StreamPosition(incarnation: incarnation, sequence: sequence), time: time)
  }
}

extension RelayError {
  /// Says the same of rooms that do not exist and rooms of others.
  static var noSuchRoom: RelayError { RelayError(.roomNotFound, "There is no such room.") }
}
