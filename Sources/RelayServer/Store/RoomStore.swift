package import RelayProtocol

/// What a store keeps of rooms beside their logs: the part of ``RelayStore`` about who may come in, and rooms' ends.
///
/// Whoever is no member gets `roomNotFound` everywhere, and a member whose role does not allow it `forbidden`.
package protocol RoomStore: Sendable {
  /// Makes a room of one member at epoch 0; `roomExists` if the id is taken.
  ///
  /// Of two accounts there is one direct room: where it exists, that is the answer. It is made anew if one of the two has
  /// left it, or its maker never brought the other in.
  func createRoom(_ new: NewRoom) async throws(RelayError) -> CreatedRoom
  /// Takes in an external commit: of a member whose device comes back, or by an invite link (`inviteInvalid` unless it is
  /// this room's, not over, not used up, and the account not banned). Otherwise as ``RelayStore/commit(_:stored:)``.
  func join(_ join: NewJoin, stored: @escaping @Sendable (Appended) -> Void) async throws(RelayError) -> Appended
  /// The group info that belongs to the room's present epoch; `noGroupInfo` if its last committer gave none.
  func groupInfo(of room: RoomID, for user: UserID) async throws(RelayError) -> GroupInfoResponse
  /// The same by a link, under the conditions of ``join(_:stored:)``.
  func groupInfo(invite: InviteID, for user: UserID, now: UInt64) async throws(RelayError) -> GroupInfoResponse

  /// Gives the room a fresh code in place of the one before.
  func newCode(_ new: NewCode) async throws(RelayError) -> CodeResponse
  /// The room's code, for admins; `notFound` if it has none that is good.
  func code(of room: RoomID, for user: UserID, now: UInt64) async throws(RelayError) -> CodeResponse
  func revokeCode(of room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError)
  /// Puts a request before those who may answer it, whose devices are returned: none if there is nothing to ask at. Throws
  /// `rateLimited` after too many.
  func ask(_ new: NewAsking) async throws(RelayError) -> [DeviceID]
  /// The same for a member's device that is to be added anew.
  func askBack(_ room: RoomID, by user: UserID, device: DeviceID, now: UInt64) async throws(RelayError) -> [DeviceID]
  /// Who asks, for those who may answer.
  func asking(in room: RoomID, for user: UserID) async throws(RelayError) -> [AskingResponse.Asking]
  /// Grows with each request that this account may answer.
  func newestAsking(for user: UserID) async throws(RelayError) -> UInt64
  func refuseRequest(of asking: UserID, in room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError)

  func publish(_ listing: ListingRequest, of room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError)
  func withdraw(_ room: RoomID, by user: UserID, device: DeviceID) async throws(RelayError)
  /// Rooms in the directory whose name holds `name`, by name, after the place that `after` names.
  func directory(name: String, after: String?, limit: Int) async throws(RelayError) -> DirectoryResponse

  /// Erases a room with all that belongs to it, and returns whose devices to tell. `proof` is kept for its members.
  func deleteRoom(
    _ room: RoomID, proof: [UInt8], by user: UserID, device: DeviceID, now: UInt64
  ) async throws(RelayError) -> [DeviceID]
  /// The rooms of this account that were deleted while it was a member.
  func deletedRooms(of user: UserID) async throws(RelayError) -> [RoomsResponse.Deleted]
}

extension RoomStore {
  package func createRoom(_ room: RoomID, owner: UserID, now: UInt64) async throws(RelayError) -> RoomResponse {
    try await createRoom(NewRoom(room: room, owner: owner, direct: nil, joinRule: .closed, now: now)).response
  }

  package func join(_ join: NewJoin) async throws(RelayError) -> Appended { try await self.join(join) { _ in } }
}

package struct NewRoom: Sendable {
  package var room: RoomID
  package var owner: UserID
  package var direct: UserID?
  package var joinRule: JoinRule
  package var now: UInt64

  package init(room: RoomID, owner: UserID, direct: UserID?, joinRule: JoinRule, now: UInt64) {
    (self.room, self.owner, self.direct, self.joinRule, self.now) = (room, owner, direct, joinRule, now)
  }
}

package struct CreatedRoom: Sendable, Hashable {
  package var response: RoomResponse
  /// Or there was this room already.
  package var isNew: Bool

  package init(response: RoomResponse, isNew: Bool) { (self.response, self.isNew) = (response, isNew) }
}

package struct NewJoin: Sendable {
  package var room: RoomID
  package var sender: UserID
  package var device: DeviceID
  package var request: JoinRequest
  package var now: UInt64

  package init(room: RoomID, sender: UserID, device: DeviceID, request: JoinRequest, now: UInt64) {
    (self.room, self.sender, self.device, self.request, self.now) = (room, sender, device, request, now)
  }
}

package struct NewCode: Sendable {
  package var room: RoomID
  package var sender: UserID
  package var device: DeviceID
  package var request: CodeRequest
  package var now: UInt64

  package init(room: RoomID, sender: UserID, device: DeviceID, request: CodeRequest, now: UInt64) {
    (self.room, self.sender, self.device, self.request, self.now) = (room, sender, device, request, now)
  }
}

package struct NewAsking: Sendable {
  package var sender: UserID
  package var device: DeviceID
  package var request: AskRequest
  package var now: UInt64

  package init(sender: UserID, device: DeviceID, request: AskRequest, now: UInt64) {
    (self.sender, self.device, self.request, self.now) = (sender, device, request, now)
  }
}
