import RelayProtocol
import Storage

/// What only reads of rooms beside their logs.
extension SQLConnection {
  // MARK: Group infos

  func groupInfo(of room: RoomID, for user: UserID, incarnation: UInt64) throws -> GroupInfoResponse {
    let info = try first(
      """
      SELECT room.id, room.epoch, room.last, group_info.info
      FROM room JOIN member ON member.room = room.key JOIN account ON account.key = member.account
      LEFT JOIN group_info ON group_info.room = room.key AND group_info.epoch = room.epoch
      WHERE room.id = \(room) AND account.id = \(user)
      """
    ) { try Self.groupInfo($0, incarnation) }
    guard let info else { throw RelayError.noSuchRoom }
    return try info.get()
  }

  func groupInfo(
    invite: InviteID, for user: UserID, now: UInt64, incarnation: UInt64
  ) throws -> GroupInfoResponse {
    let info = try first(
      """
      SELECT room.id, room.epoch, room.last, group_info.info
      FROM invite JOIN room ON room.key = invite.room
      LEFT JOIN group_info ON group_info.room = room.key AND group_info.epoch = room.epoch
      WHERE invite.id = \(invite) AND (invite.expires = 0 OR invite.expires > \(now))
        AND (invite.uses IS NULL OR invite.uses > 0) AND room.join_rule > 0
        AND NOT EXISTS (
          SELECT 1 FROM banned JOIN account ON account.key = banned.account
          WHERE banned.room = room.key AND account.id = \(user))
      """
    ) { try Self.groupInfo($0, incarnation) }
    guard let info else { throw RelayError(.inviteInvalid, "The link is not good.") }
    return try info.get()
  }

  private static func groupInfo(
    _ row: borrowing Row, _ incarnation: UInt64
  ) throws -> Result<GroupInfoResponse, RelayError> {
    guard try !row.isNull(3) else {
      return .failure(RelayError(.noGroupInfo, "The last change brought no group info."))
    }
    return .success(
      GroupInfoResponse(
        room: try row.identifier(0), epoch: try row.unsigned(1),
        position: StreamPosition(incarnation: incarnation, sequence: try row.unsigned(2)),
        groupInfo: try row.blob(3)))
  }

  // MARK: Codes and asking

  /// A room's key if the user is an admin of it, as ``StoreTables`` answers it, or perhaps any member where the room is open.
  private func room(_ room: RoomID, ofAdmin user: UserID, orWhereOpen: Bool = false) throws -> Int64 {
    let found = try first(
      """
      SELECT room.key, member.role, room.join_rule
      FROM room JOIN member ON member.room = room.key JOIN account ON account.key = member.account
      WHERE room.id = \(room) AND account.id = \(user)
      """
    ) { row in
      (key: try row.integer(0), role: MemberRole(rank: try row.unsigned(1)), rule: try JoinRule(row: row, 2))
    }
    guard let found else { throw RelayError.noSuchRoom }
    guard found.role ?? .member >= .admin || (orWhereOpen && found.rule == .open) else {
      throw RelayError(.forbidden, "The member's role does not allow this.")
    }
    return found.key
  }

  func code(of room: RoomID, for user: UserID, now: UInt64) throws -> CodeResponse {
    let key = try self.room(room, ofAdmin: user)
    let code = try first(
      "SELECT code, expires, uses FROM join_code WHERE room = \(key) AND expires > \(now) AND uses > 0"
    ) { row in
      CodeResponse(
        code: try row.text(0), expires: try row.unsigned(1), uses: UInt32(clamping: try row.integer(2)))
    }
    guard let code else { throw RelayError(.notFound, "The room has no code.") }
    return code
  }

  func asking(in room: RoomID, for user: UserID) throws -> [AskingResponse.Asking] {
    let key = try self.room(room, ofAdmin: user, orWhereOpen: true)
    return try query(
      """
      SELECT account.id, account.username, asking.time, device.id
      FROM asking JOIN account ON account.key = asking.account LEFT JOIN device ON device.key = asking.device
      WHERE asking.room = \(key) ORDER BY asking.key LIMIT \(Limits.requestsPerRoom)
      """
    ) { row in
      AskingResponse.Asking(
        user: try row.identifier(0), username: try row.text(1), since: try row.unsigned(2),
        device: try row.isNull(3) ? nil : try row.identifier(3))
    }
  }

  func newestAsking(for user: UserID) throws -> UInt64 {
    try first(
      """
      SELECT max(asking.key)
      FROM account JOIN member ON member.account = account.key JOIN room ON room.key = member.room
      JOIN asking ON asking.room = room.key
      WHERE account.id = \(user) AND (member.role > 0 OR room.join_rule = 2)
      """
    ) { try $0.isNull(0) ? 0 : try $0.unsigned(0) } ?? 0
  }

  // MARK: Directory and deletion

  func directory(name: String, after: String?, limit: Int) throws -> DirectoryResponse {
    // The marks of LIKE are not what the user means by them.
    let escaped = name.lowercased().reduce(into: "") { pattern, character in
      if "\\%_".contains(character) { pattern += "\\" }
      pattern.append(character)
    }
    let place = try after.flatMap { RoomID($0) }.flatMap { room in
      try first(
        "SELECT listing.folded, room.key FROM listing JOIN room ON room.key = listing.room WHERE room.id = \(room)"
      ) { (folded: try $0.text(0), key: try $0.integer(1)) }
    }
    let (folded, key) = (place?.folded ?? "", place?.key ?? 0)
    let rooms = try query(
      """
      SELECT room.id, listing.name, listing.topic, (SELECT count(*) FROM member WHERE member.room = room.key),
        room.join_rule
      FROM listing JOIN room ON room.key = listing.room
      WHERE listing.folded LIKE \("%" + escaped + "%") ESCAPE '\\'
        AND (listing.folded > \(folded) OR (listing.folded = \(folded) AND room.key > \(key)))
      ORDER BY listing.folded, room.key LIMIT \(limit + 1)
      """
    ) { row in
      DirectoryResponse.Listing(
        room: try row.identifier(0), name: try row.text(1), topic: try row.text(2), members: try row.count(3),
        joinRule: try JoinRule(row: row, 4))
    }
    let page = Array(rooms.prefix(limit))
    return DirectoryResponse(rooms: page, next: rooms.count > limit ? page.last.map { "\($0.room)" } : nil)
  }

  func deletedRooms(of user: UserID) throws -> [RoomsResponse.Deleted] {
    try query(
      """
      SELECT deletion.room, deletion.proof FROM deletion JOIN account ON account.key = deletion.account
      WHERE account.id = \(user) ORDER BY deletion.key DESC LIMIT 1000
      """
    ) { row in RoomsResponse.Deleted(room: try row.identifier(0), proof: try row.blob(1)) }
  }
}
