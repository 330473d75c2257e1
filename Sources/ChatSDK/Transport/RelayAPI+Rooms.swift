import RelayProtocol

// Ways into rooms, and what owners decide over them.
extension RelayAPI {
  func join(_ request: JoinRequest, _ room: RoomID) async throws -> SendResponse {
    try decode(try await authorized(.join, "\(room)", body: encode(request)))
  }

  func groupInfo(of room: RoomID) async throws -> GroupInfoResponse {
    let info: GroupInfoResponse = try decode(try await authorized(.groupInfo, "\(room)"))
    guard info.room == room else { throw ChatError(.protocolViolation) }
    return info
  }

  func groupInfo(invite: InviteID) async throws -> GroupInfoResponse {
    try decode(try await authorized(.invite, "\(invite)"))
  }

  // MARK: Codes and asking

  func code(of room: RoomID) async throws -> CodeResponse { try decode(try await authorized(.code, "\(room)")) }

  func newCode(_ request: CodeRequest, of room: RoomID) async throws -> CodeResponse {
    try decode(try await authorized(.newCode, "\(room)", body: encode(request)))
  }

  func revokeCode(of room: RoomID) async throws { _ = try await authorized(.revokeCode, "\(room)") }

  func ask(_ request: AskRequest) async throws { _ = try await authorized(.ask, body: encode(request)) }

  func askBack(_ room: RoomID) async throws { _ = try await authorized(.askBack, "\(room)") }

  func requests(in room: RoomID) async throws -> [AskingResponse.Asking] {
    (try decode(try await authorized(.requests, "\(room)")) as AskingResponse).requests
  }

  func refuseRequest(of user: UserID, in room: RoomID) async throws {
    _ = try await authorized(.refuseRequest, "\(room)", "\(user)")
  }

  // MARK: Directory and deletion

  func publish(_ listing: ListingRequest, of room: RoomID) async throws {
    _ = try await authorized(.publishRoom, "\(room)", body: encode(listing))
  }

  func withdraw(_ room: RoomID) async throws { _ = try await authorized(.withdrawRoom, "\(room)") }

  func directory(name: String, after: String?, limit: Int) async throws -> DirectoryResponse {
    var query = [(name: "name", value: name), (name: "limit", value: "\(limit)")]
    if let after { query.append((name: "after", value: after)) }
    return try decode(try await authorized(.directory, query: query))
  }

  func deleteRoom(_ room: RoomID, proof: [UInt8]) async throws {
    _ = try await authorized(.deleteRoom, "\(room)", body: encode(DeleteRoomRequest(proof: proof)))
  }
}
