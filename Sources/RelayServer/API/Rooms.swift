import Networking
import RelayProtocol

extension API {
  static let rooms: [Route: Endpoint] = [
    .createRoom: { api, call async throws(RelayError) in
      let body: CreateRoomRequest = try call.body()
      let made = try await api.services.store.createRoom(
        NewRoom(
          room: body.room, owner: try call.caller.user, direct: body.direct, joinRule: body.joinRule ?? .closed,
          now: api.services.now()))
      return try json(made.response, status: 201)
    },
    .rooms: { api, call async throws(RelayError) in
      let user = try call.caller.user
      let (rooms, deleted) = (
        try await api.services.store.rooms(of: user), try await api.services.store.deletedRooms(of: user)
      )
      return try json(RoomsResponse(rooms: rooms, deleted: deleted.isEmpty ? nil : deleted))
    },
    .room: { api, call async throws(RelayError) in
      try json(try await api.services.store.room(try call.room, for: try call.caller.user))
    },
    .members: { api, call async throws(RelayError) in
      try json(
        MembersResponse(members: try await api.services.store.members(of: try call.room, for: try call.caller.user)))
    },
    .commit: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: CommitRequest = try call.body()
      try check(body)
      try api.services.throttles.send(
        by: caller.user, caller.device, to: room,
        bytes: body.message.bytes.count + (body.welcome?.bytes.count ?? 0) + (body.groupInfo?.bytes.count ?? 0),
        now: api.services.now())
      if !body.added.isEmpty { try api.services.monitor.admit() }
      return try json(
        try await api.services.writer.commit(
          NewCommit(
            room: room, sender: caller.user, device: caller.device, request: body, now: api.services.now())
        ).response)
    },
    .leave: { api, call async throws(RelayError) in
      let (caller, room) = (try call.caller, try call.room)
      let body: LeaveRequest = try call.body()
      let request = SendRequest(
        sendID: body.sendID, kind: .proposal, epoch: body.epoch, message: body.proposal.bytes)
      try api.services.throttles.send(
        by: caller.user, caller.device, to: room, bytes: body.proposal.bytes.count, now: api.services.now())
      return try json(
        try await api.services.writer.leave(
          NewMessage(
            room: room, sender: caller.user, device: caller.device, request: request, now: api.services.now())
        ).response)
    },
  ]

  /// Bounds the lists; what they name is the store's to check, in the transaction.
  private static func check(_ request: CommitRequest) throws(RelayError) {
    guard request.added.count <= Limits.membersPerRoom, request.removed.count <= Limits.membersPerRoom,
      request.recipients.count <= Limits.membersPerRoom * Limits.devicesPerAccount
    else { throw RelayError(.tooLarge, "The commit names too many.") }
    guard Set(request.added).count == request.added.count, Set(request.removed).count == request.removed.count else {
      throw RelayError(.invalidRequest, "The commit names somebody twice.")
    }
    guard let changes = request.changes else { return }
    guard (changes.roles ?? []).count <= Limits.membersPerRoom, (changes.banned ?? []).count <= Limits.bannedPerRoom,
      (changes.unbanned ?? []).count <= Limits.bannedPerRoom, (changes.invites ?? []).count <= Limits.invitesPerRoom,
      (changes.revoked ?? []).count <= Limits.invitesPerRoom
    else { throw RelayError(.tooLarge, "The commit changes too much.") }
  }
}
