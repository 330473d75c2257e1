import RelayProtocol
import Storage

/// What only reads, on a connection of its own: it never waits for a write, and sees what is on disk.
extension SQLConnection {
  // MARK: Accounts

  func account(login: String) throws -> AccountRecord? {
    try first(
      "SELECT \(raw: AccountRecord.columns) WHERE account.username = \(login) OR account.email = \(login)",
      AccountRecord.init(row:))
  }

  func account(id: UserID) throws -> AccountRecord? {
    try first("SELECT \(raw: AccountRecord.columns) WHERE account.id = \(id)", AccountRecord.init(row:))
  }

  func deviceList(of user: UserID) throws -> DeviceListRecord? {
    try snapshot {
      let account = try first("SELECT key, list_number, list FROM account WHERE id = \(user)") { row in
        (
          key: try row.integer(0),
          list: DeviceListRecord(number: try row.unsigned(1), devices: [], encoded: try row.blob(2))
        )
      }
      guard let account else { return nil }
      var list = account.list
      list.devices = try query("SELECT id FROM device WHERE account = \(account.key) ORDER BY key") {
        try $0.identifier(0)
      }
      return list
    }
  }

  func session(id: UInt64) throws -> SessionRecord? {
    try first("SELECT \(raw: SessionRecord.columns) WHERE session.key = \(id)", SessionRecord.init(row:))
  }

  func keyPackageCount(device: DeviceID) throws -> KeyPackageCount {
    let count = try first(
      """
      SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1)
      FROM key_package JOIN device ON device.key = key_package.device WHERE device.id = \(device) AND state < 2
      """
    ) { row in KeyPackageCount(oneTime: try row.count(0), hasLastResort: try row.count(1) > 0) }
    return count ?? KeyPackageCount(oneTime: 0, hasLastResort: false)
  }

  // MARK: Rooms

  func rooms(of user: UserID, incarnation: UInt64) throws -> [RoomResponse] {
    try query(
      """
      SELECT \(raw: RoomResponse.columns)
      FROM account JOIN member ON member.account = account.key JOIN room ON room.key = member.room
      WHERE account.id = \(user) ORDER BY room.key
      """
    ) { try RoomResponse(row: $0, incarnation: incarnation) }
  }

  func room(_ room: RoomID, for user: UserID, incarnation: UInt64) throws -> RoomResponse {
    let response = try first(
      """
      SELECT \(raw: RoomResponse.columns)
      FROM room JOIN member ON member.room = room.key JOIN account ON account.key = member.account
      WHERE room.id = \(room) AND account.id = \(user)
      """
    ) { try RoomResponse(row: $0, incarnation: incarnation) }
    guard let response else { throw RelayError.noSuchRoom }
    return response
  }

  func members(of room: RoomID, for user: UserID) throws -> [MembersResponse.Member] {
    let members = try query(
      """
      SELECT account.id, account.username, member.role
      FROM room JOIN member ON member.room = room.key JOIN account ON account.key = member.account
      WHERE room.id = \(room) AND EXISTS (
        SELECT 1 FROM member AS own JOIN account AS asking ON asking.key = own.account
        WHERE own.room = room.key AND asking.id = \(user))
      ORDER BY account.username
      """
    ) { row in
      MembersResponse.Member(
        user: try row.identifier(0), username: try row.text(1), role: MemberRole(rank: try row.unsigned(2)))
    }
    // Nobody else's are read, or time would tell others that there is a room, and how large.
    guard !members.isEmpty else { throw RelayError.noSuchRoom }
    return members
  }

  func entries(
    of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int, for user: UserID, incarnation: UInt64
  ) throws -> LogResponse {
    // One view for both, so that the head fits the entries.
    try snapshot {
      let found = try first(
        """
        SELECT room.key, room.epoch, room.last, member.joined
        FROM room JOIN member ON member.room = room.key JOIN account ON account.key = member.account
        WHERE room.id = \(room) AND account.id = \(user)
        """
      ) { row in
        (key: try row.integer(0), epoch: try row.unsigned(1), last: try row.unsigned(2), joined: try row.unsigned(3))
      }
      guard let found else { throw RelayError.noSuchRoom }
      var response = LogResponse(
        entries: [], last: StreamPosition(incarnation: incarnation, sequence: found.last), epoch: found.epoch)
      // What came before a member joined is not for it. `sequence` is the caller's: it may be any number.
      guard limit > 0, sequence < found.last else { return response }
      var size = 0
      try forEach(
        """
        SELECT sequence, kind, epoch, time, message FROM entry
        WHERE room = \(found.key) AND sequence >= \(max(sequence + 1, found.joined)) ORDER BY sequence
        LIMIT \(min(limit, Limits.entriesPerPage))
        """
      ) { row in
        guard let kind = UInt8(exactly: try row.integer(1)).flatMap(EntryKind.init(rawValue:)) else {
          throw StorageError(.typeMismatch)
        }
        let length = try row.withBlob(4) { $0.count }
        guard response.entries.isEmpty || size + length <= bytes else { return false }
        size += length
        response.entries.append(
          LogEntry(
            room: room, sequence: try row.unsigned(0), kind: kind, epoch: try row.unsigned(2),
            time: try row.unsigned(3), message: try row.blob(4)))
        return true
      }
      return response
    }
  }

  // MARK: Welcomes

  /// The oldest Welcomes that wait, as many as one answer holds; deleting them makes way for the next.
  func welcomes(for device: DeviceID, incarnation: UInt64) throws -> [WelcomesResponse.Waiting] {
    var size = 0
    var welcomes: [WelcomesResponse.Waiting] = []
    try forEach(
      """
      SELECT waiting.key, room.id, welcome.sequence, welcome.welcome
      FROM device JOIN waiting ON waiting.device = device.key JOIN room ON room.key = waiting.room
      JOIN welcome ON welcome.key = waiting.welcome
      WHERE device.id = \(device) ORDER BY waiting.key LIMIT 100
      """
    ) { row in
      size += try row.withBlob(3) { $0.count }
      guard welcomes.isEmpty || size <= Limits.commitRequest else { return false }
      welcomes.append(
        .init(
          id: try row.unsigned(0), room: try row.identifier(1),
          position: StreamPosition(incarnation: incarnation, sequence: try row.unsigned(2)),
          welcome: try row.blob(3)))
      return true
    }
    return welcomes
  }
}

extension AccountRecord {
  static let columns: StaticString = """
    account.id, account.username, account.email, account.password_hash, account.role, account.created,
    coalesce(person.state, 0), person.phone, coalesce(person.display_name, ''), coalesce(person.avatar, ''),
    coalesce(person.presence, 1), coalesce(person.shows_presence, 1), coalesce(person.last_seen, 0)
    FROM account LEFT JOIN person ON person.account = account.key
    """

  init(row: borrowing Row) throws {
    self.init(
      id: try row.identifier(0), username: try row.text(1), email: try row.optionalText(2),
      passwordHash: try row.text(3), role: try row.text(4), created: try row.unsigned(5))
    guard let state = AccountState(rawValue: try row.integer(6)) else { throw StorageError(.typeMismatch) }
    self.state = state
    phone = try row.optionalText(7)
    profile = Profile(displayName: try row.text(8), avatar: try row.text(9))
    presence = try PresenceStatus(row: row, 10)
    showsPresence = try row.integer(11) != 0
    lastSeen = try row.unsigned(12)
  }
}

extension SessionRecord {
  static let columns: StaticString = """
    session.key, account.id, device.id, session.refresh_hash, session.created, session.expires
    FROM session JOIN device ON device.key = session.device JOIN account ON account.key = device.account
    """

  init(row: borrowing Row) throws {
    self.init(
      id: try row.unsigned(0), user: try row.identifier(1), device: try row.identifier(2),
      refreshHash: try row.blob(3), created: try row.unsigned(4), expires: try row.unsigned(5))
  }
}

extension RoomResponse {
  static let columns: StaticString = """
    room.id, room.epoch, room.last, (SELECT count(*) FROM member AS other WHERE other.room = room.key),
    member.role, room.join_rule
    """

  init(row: borrowing Row, incarnation: UInt64) throws {
    self.init(
      room: try row.identifier(0), epoch: try row.unsigned(1),
      position: StreamPosition(incarnation: incarnation, sequence: try row.unsigned(2)), members: try row.count(3),
      role: MemberRole(rank: try row.unsigned(4)), joinRule: try JoinRule(row: row, 5))
  }
}
