import RelayProtocol
import Storage

extension SQLConnection {
  // MARK: Accounts

  func accounts(after username: String, state: AccountState?, limit: Int) throws -> [AccountRecord] {
    if let state {
      return try query(
        """
        SELECT \(raw: AccountRecord.columns)
        WHERE account.username > \(username) AND coalesce(person.state, 0) = \(state.rawValue)
        ORDER BY account.username LIMIT \(limit)
        """, AccountRecord.init(row:))
    }
    return try query(
      """
      SELECT \(raw: AccountRecord.columns) WHERE account.username > \(username)
      ORDER BY account.username LIMIT \(limit)
      """, AccountRecord.init(row:))
  }

  func account(identity: ExternalIdentity) throws -> AccountRecord? {
    try first(
      """
      SELECT \(raw: AccountRecord.columns) WHERE account.key =
        (SELECT identity.account FROM identity WHERE issuer = \(identity.issuer) AND subject = \(identity.subject))
      """, AccountRecord.init(row:))
  }

  func identities(of user: UserID) throws -> [ExternalIdentity] {
    try query(
      """
      SELECT identity.issuer, identity.subject FROM account JOIN identity ON identity.account = account.key
      WHERE account.id = \(user) ORDER BY identity.issuer, identity.subject
      """
    ) { row in ExternalIdentity(issuer: try row.text(0), subject: try row.text(1)) }
  }

  func sessions(of user: UserID) throws -> [SessionRecord] {
    try query(
      "SELECT \(raw: SessionRecord.columns) WHERE account.id = \(user) ORDER BY session.created DESC, session.key",
      SessionRecord.init(row:))
  }

  func invites() throws -> [InviteRecord] {
    try query("SELECT key, uses, used, created, expires, revoked FROM account_invite ORDER BY key") { row in
      InviteRecord(
        id: try row.unsigned(0), uses: try row.count(1), used: try row.count(2), created: try row.unsigned(3),
        expires: try row.unsigned(4), isRevoked: try row.integer(5) != 0)
    }
  }

  func audit(limit: Int) throws -> [AuditRecord] {
    try query("SELECT time, actor, act, subject FROM audit ORDER BY key DESC LIMIT \(limit)") { row in
      AuditRecord(
        time: try row.unsigned(0), actor: try row.text(1), act: try row.text(2), subject: try row.text(3))
    }
  }

  // MARK: Contacts

  /// What the owner may see of its contacts. Of one that cannot be reached any more, only an own request stays.
  func contacts(of user: UserID) throws -> [ContactRecord] {
    try query(
      """
      SELECT other.id, other.username, contact.state, contact.changed,
        coalesce(person.display_name, ''), coalesce(person.avatar, '')
      FROM account AS owner JOIN contact ON contact.owner = owner.key JOIN account AS other ON other.key = contact.other
      LEFT JOIN person ON person.account = other.key
      WHERE owner.id = \(user) AND contact.state < 5
        AND (contact.state IN (1, 4) OR coalesce(person.state, 0) = 0)
      ORDER BY other.username
      """
    ) { row in
      let state = try ContactState(row: row, 2)
      // Who was only asked, or only asked, shows nothing but a name: no free text reaches whom one does not know.
      let profile =
        state == .accepted ? Profile(displayName: try row.text(4), avatar: try row.text(5)) : Profile()
      return ContactRecord(
        user: try row.identifier(0), username: try row.text(1), state: state, profile: profile,
        changed: try row.unsigned(3))
    }
  }

  func mayReach(_ user: UserID, from sender: UserID) throws -> Bool {
    try first(
      """
      SELECT account.key FROM account LEFT JOIN person ON person.account = account.key
      WHERE account.id = \(user) AND coalesce(person.state, 0) = 0 AND NOT EXISTS (
        SELECT 1 FROM contact JOIN account AS sender ON sender.key = contact.other
        WHERE contact.owner = account.key AND contact.state = 4 AND sender.id = \(sender))
      """
    ) { try $0.integer(0) } != nil
  }

  func mayReach(account: Int64, from sender: Int64) throws -> Bool {
    try first(
      """
      SELECT account.key FROM account LEFT JOIN person ON person.account = account.key
      WHERE account.key = \(account) AND coalesce(person.state, 0) = 0 AND NOT EXISTS (
        SELECT 1 FROM contact
        WHERE contact.owner = account.key AND contact.other = \(sender) AND contact.state = 4)
      """
    ) { try $0.integer(0) } != nil
  }

  func knowEachOther(_ user: UserID, _ other: UserID) throws -> Bool {
    let keys = try query("SELECT key FROM account WHERE id IN (\(user), \(other))") { try $0.integer(0) }
    guard keys.count == 2 else { return keys.count == 1 && user == other }
    return try first(
      """
      SELECT 1 FROM contact WHERE owner = \(keys[0]) AND other = \(keys[1]) AND state = 3
      UNION ALL
      SELECT 1 FROM member JOIN member AS mate ON mate.room = member.room
      WHERE member.account = \(keys[0]) AND mate.account = \(keys[1])
      LIMIT 1
      """
    ) { _ in true } ?? false
  }

  // MARK: Presence

  func presence(of users: [UserID], for viewer: UserID) throws -> [PresenceRecord] {
    var records: [PresenceRecord] = []
    for user in users {
      let record = try first(
        """
        SELECT coalesce(person.presence, 1), coalesce(person.last_seen, 0)
        FROM account LEFT JOIN person ON person.account = account.key
        WHERE account.id = \(user) AND coalesce(person.shows_presence, 1) = 1
        """
      ) { row in
        PresenceRecord(user: user, status: try PresenceStatus(row: row, 0), lastSeen: try row.unsigned(1))
      }
      guard let record else { continue }
      let isSeen = try user == viewer || (mayReach(user, from: viewer) && knowEachOther(user, viewer))
      if isSeen { records.append(record) }
    }
    return records
  }

  func audience(of user: UserID, limit: Int) throws -> [UserID] {
    guard let key = try first("SELECT key FROM account WHERE id = \(user)", { try $0.integer(0) }) else { return [] }
    return try query(
      """
      SELECT account.id FROM account JOIN (
        SELECT contact.other AS viewer FROM contact WHERE contact.owner = \(key) AND contact.state = 3
        UNION
        SELECT mate.account AS viewer FROM member JOIN member AS mate ON mate.room = member.room
        WHERE member.account = \(key)
      ) AS viewers ON viewers.viewer = account.key
      WHERE account.key <> \(key) AND NOT EXISTS (
        SELECT 1 FROM contact WHERE contact.owner = \(key) AND contact.other = account.key AND contact.state = 4)
      LIMIT \(limit)
      """
    ) { try $0.identifier(0) }
  }

  // MARK: Rooms, for administrators

  func allRooms(limit: Int) throws -> [RoomOverview] {
    try query("SELECT \(raw: RoomOverview.columns) ORDER BY room.key LIMIT \(limit)", RoomOverview.init(row:))
  }

  func roomOverview(_ room: RoomID) throws -> RoomOverview? {
    try first("SELECT \(raw: RoomOverview.columns) WHERE room.id = \(room)", RoomOverview.init(row:))
  }
}

extension PresenceStatus {
  init(row: borrowing Row, _ column: Int) throws {
    guard let status = UInt8(exactly: try row.integer(column)).flatMap(PresenceStatus.init(rawValue:)) else {
      throw StorageError(.typeMismatch)
    }
    self = status
  }
}

extension RoomOverview {
  static let columns: StaticString = """
    room.id, room.epoch, room.last, room.created, (SELECT count(*) FROM member WHERE member.room = room.key) FROM room
    """

  init(row: borrowing Row) throws {
    self.init(
      room: try row.identifier(0), epoch: try row.unsigned(1), last: try row.unsigned(2), created: try row.unsigned(3),
      members: try row.count(4))
  }
}
