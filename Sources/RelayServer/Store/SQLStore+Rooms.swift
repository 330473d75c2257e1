package import RelayProtocol

extension SQLStore {
  package func createRoom(_ new: NewRoom) async throws(RelayError) -> CreatedRoom {
    try await write { try $0.createRoom(new) }
  }

  package func join(
    _ join: NewJoin, stored: @escaping @Sendable (Appended) -> Void
  ) async throws(RelayError) -> Appended {
    let bytes = join.request.message.bytes.count + (join.request.groupInfo?.bytes.count ?? 0)
    return try await write(in: join.room, bytes: bytes, stored: stored) { try $0.join(join) }
  }

  package func groupInfo(of room: RoomID, for user: UserID) async throws(RelayError) -> GroupInfoResponse {
    try await read { [incarnation] in try $0.groupInfo(of: room, for: user, incarnation: incarnation) }
  }

  package func groupInfo(
    invite: InviteID, for user: UserID, now: UInt64
  ) async throws(RelayError) -> GroupInfoResponse {
    try await read { [incarnation] in
      try $0.groupInfo(invite: invite, for: user, now: now, incarnation: incarnation)
    }
  }

  // MARK: Codes and asking

  package func newCode(_ new: NewCode) async throws(RelayError) -> CodeResponse {
    try await write { try $0.newCode(new) }
  }

  package func code(of room: RoomID, for user: UserID, now: UInt64) async throws(RelayError) -> CodeResponse {
    try await read { try $0.code(of: room, for: user, now: now) }
  }

  package func revokeCode(of room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError) {
    try await write { try $0.revokeCode(room, by: user, device: device) }
  }

  package func ask(_ new: NewAsking) async throws(RelayError) -> [DeviceID] { try await write { try $0.ask(new) } }

  package func askBack(
    _ room: RoomID, by user: UserID, device: DeviceID, now: UInt64
  ) async throws(RelayError) -> [DeviceID] {
    try await write { try $0.askBack(room, by: user, device: device, now: now) }
  }

  package func asking(in room: RoomID, for user: UserID) async throws(RelayError) -> [AskingResponse.Asking] {
    try await read { try $0.asking(in: room, for: user) }
  }

  package func newestAsking(for user: UserID) async throws(RelayError) -> UInt64 {
    try await read { try $0.newestAsking(for: user) }
  }

  package func refuseRequest(
    of asking: UserID, in room: RoomID, by user: UserID, device: DeviceID
  ) async throws(RelayError) {
    try await write { try $0.refuseRequest(of: asking, in: room, by: user, device: device) }
  }

  // MARK: Directory and deletion

  package func publish(
    _ listing: ListingRequest, of room: RoomID, by user: UserID, device: DeviceID
  ) async throws(RelayError) {
    try await write { try $0.publish(listing, of: room, by: user, device: device) }
  }

  package func withdraw(_ room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError) {
    try await write { try $0.withdraw(room, by: user, device: device) }
  }

  package func directory(name: String, after: String?, limit: Int) async throws(RelayError) -> DirectoryResponse {
    try await read { try $0.directory(name: name, after: after, limit: limit) }
  }

  package func deleteRoom(
    _ room: RoomID, proof: [UInt8], by user: UserID, device: DeviceID, now: UInt64
  ) async throws(RelayError) -> [DeviceID] {
    try await write { try $0.delete(room, proof: proof, by: user, device: device, now: now) }
  }

  package func deletedRooms(of user: UserID) async throws(RelayError) -> [RoomsResponse.Deleted] {
    try await read { try $0.deletedRooms(of: user) }
  }
}
