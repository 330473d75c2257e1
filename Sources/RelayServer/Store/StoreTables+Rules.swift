import RelayProtocol
import Storage

// Who may do what in a room: the facts for `RoomRules`, and what follows from a commit's changes.
extension StoreTables {
  func role(of account: Int64, in head: RoomHead) throws -> MemberRole? {
    try database.first("SELECT role FROM member WHERE room = \(head.key) AND account = \(account)") {
      MemberRole(rank: try $0.unsigned(0))
    } ?? nil
  }

  /// A room in which the sender has at least this role; a plain member is told that it may not.
  func room(_ room: RoomID, of sender: DeviceKeys, as least: MemberRole) throws -> RoomHead {
    let head = try joinedRoom(room, sender)
    guard let role = try role(of: sender.account, in: head), role >= least else {
      throw RelayError(.forbidden, "The member's role does not allow this.")
    }
    return head
  }

  func joinRule(of head: RoomHead) throws -> JoinRule {
    try database.first("SELECT join_rule FROM room WHERE key = \(head.key)") { try JoinRule(row: $0, 0) } ?? .closed
  }

  func isBanned(_ account: Int64, from head: RoomHead) throws -> Bool {
    try database.first("SELECT 1 FROM banned WHERE room = \(head.key) AND account = \(account)") { _ in true } ?? false
  }

  func checkRules(_ commit: NewCommit, _ sender: DeviceKeys, in head: RoomHead) throws {
    let pair = try database.query(
      """
      SELECT account.id FROM direct_room JOIN account ON account.key = direct_room.low OR account.key = direct_room.high
      WHERE direct_room.room = \(head.key)
      """
    ) { try $0.identifier(0, as: UserID.self) }
    var roles: [UserID: MemberRole] = [:]
    var banned: Set<UserID> = []
    for user in RoomRules.named(in: commit.request).union([commit.sender]) {
      guard let account = try accountKey(user) else { continue }
      if let role = try role(of: account, in: head) { roles[user] = role }
      if try isBanned(account, from: head) { banned.insert(user) }
    }
    let rules = RoomRules(
      sender: commit.sender, joinRule: try joinRule(of: head), pair: pair.isEmpty ? nil : Set(pair), roles: roles,
      banned: banned)
    if let refusal = rules.refusal(of: commit.request) { throw RelayError(.forbidden, refusal.title) }
  }

  /// What a commit that was allowed changes beside the members.
  func apply(_ changes: RoomChanges, in head: RoomHead) throws {
    for change in changes.roles ?? [] {
      let account = try account(change.user)
      try database.execute(
        "UPDATE member SET role = \(change.role.rank) WHERE room = \(head.key) AND account = \(account)")
    }
    if let retention = changes.retention {
      let (milliseconds, isTooLong) = retention.multipliedReportingOverflow(by: 1000)
      guard !isTooLong, milliseconds <= UInt64(Int64.max) else {
        throw RelayError(.invalidRequest, "The time is too long.")
      }
      try setRetention(milliseconds == 0 ? nil : milliseconds, in: head)
    }
    for user in changes.unbanned ?? [] {
      guard let account = try accountKey(user) else { continue }
      try database.execute("DELETE FROM banned WHERE room = \(head.key) AND account = \(account)")
    }
    for user in changes.banned ?? [] {
      let account = try account(user)
      try database.execute(
        "INSERT INTO banned (room, account) VALUES (\(head.key), \(account)) ON CONFLICT DO NOTHING")
      try database.execute("DELETE FROM asking WHERE room = \(head.key) AND account = \(account)")
    }
    let banned = try database.first("SELECT count(*) FROM banned WHERE room = \(head.key)") { try $0.count(0) } ?? 0
    guard banned <= Limits.bannedPerRoom else { throw RelayError(.tooLarge, "Too many are banned.") }
    try apply(invites: changes, in: head)
    if let rule = changes.joinRule { try set(rule, in: head) }
  }

  private func apply(invites changes: RoomChanges, in head: RoomHead) throws {
    for invite in changes.revoked ?? [] {
      try database.execute("DELETE FROM invite WHERE id = \(invite) AND room = \(head.key)")
    }
    for terms in changes.invites ?? [] {
      let uses: Int64? = terms.uses == 0 ? nil : Int64(terms.uses)
      guard let expires = Int64(exactly: terms.expires) else {
        throw RelayError(.invalidRequest, "The time is too far away.")
      }
      try execute(
        """
        INSERT INTO invite (id, room, expires, uses)
        VALUES (\(terms.invite), \(head.key), \(expires), \(optional: uses))
        """, ifTaken: RelayError(.invalidRequest, "The link's id is taken."))
    }
    let count = try database.first("SELECT count(*) FROM invite WHERE room = \(head.key)") { try $0.count(0) } ?? 0
    guard count <= Limits.invitesPerRoom else { throw RelayError(.tooLarge, "The room has too many links.") }
  }

  /// A room that closes forgets all ways in.
  private func set(_ rule: JoinRule, in head: RoomHead) throws {
    try database.execute("UPDATE room SET join_rule = \(rule.number) WHERE key = \(head.key)")
    guard rule == .closed else { return }
    try database.execute("DELETE FROM invite WHERE room = \(head.key)")
    try database.execute("DELETE FROM join_code WHERE room = \(head.key)")
    try database.execute("DELETE FROM asking WHERE room = \(head.key) AND device IS NULL")
  }

  /// Throws unless the first account may draw the second into rooms.
  func requireReach(from sender: Int64, to target: Int64) throws {
    guard try mayReach(from: sender, to: target) else {
      // As if nobody were there: whoever is blocked is not told so.
      throw RelayError(.userNotFound, "There is no such user.")
    }
  }

  private func mayReach(from sender: Int64, to target: Int64) throws -> Bool {
    try database.mayReach(account: target, from: sender)
  }

  // MARK: Rooms of two

  /// How long the maker of a room of two has to bring the other in, in milliseconds, before the other may make one.
  static var directPatience: UInt64 { 60_000 }

  /// The room of a pair, if there is one that both can use.
  func directRoom(of owner: Int64, and peer: Int64, now: UInt64) throws -> RoomResponse? {
    let locked = try database.first(
      """
      SELECT room.key FROM direct_room JOIN room ON room.key = direct_room.room
      WHERE direct_room.low = \(min(owner, peer)) AND direct_room.high = \(max(owner, peer)) \(lock: "room")
      """
    ) { try $0.integer(0) }
    guard let locked else { return nil }
    // By a statement of its own: what one counts that waits for a lock is how it was before.
    let found = try database.first(
      """
      SELECT room.id, room.key, room.epoch, room.last, room.created,
        (SELECT count(*) FROM member WHERE member.room = room.key),
        (SELECT count(*) FROM member WHERE member.room = room.key AND member.account = \(owner))
      FROM direct_room JOIN room ON room.key = direct_room.room
      WHERE direct_room.room = \(locked)
      """
    ) { row in
      (
        response: RoomResponse(
          room: try row.identifier(0), epoch: try row.unsigned(2),
          position: StreamPosition(incarnation: incarnation, sequence: try row.unsigned(3)),
          members: try row.count(5), joinRule: .closed), key: try row.integer(1), created: try row.unsigned(4),
        isMine: try row.count(6) > 0
      )
    }
    guard let found else { return nil }
    let isUnfinished = found.response.epoch == 0
    let isAbandoned =
      isUnfinished ? found.isMine || found.created + Self.directPatience < now : found.response.members < 2
    guard isAbandoned else { return found.response }
    // Whoever made it never brought the other in, or one of the two has left: the pair is free for another.
    if isUnfinished {
      try erase(found.key, id: found.response.room)
    } else {
      try database.execute("DELETE FROM direct_room WHERE room = \(found.key)")
    }
    return nil
  }
}

extension RoomRules.Refusal {
  /// As the text of a problem document.
  var title: StaticString {
    switch self {
    case .remove: "The member may not remove this one."
    case .add: "The member may not add anybody."
    case .banned: "The account is banned from this room."
    case .direct: "A room of two takes nobody else and is not changed."
    case .roles: "The member may not change roles."
    case .settings: "The member may not change the room."
    case .invites: "The room takes no links."
    case .replacement: "The member may not replace a commit."
    }
  }
}

extension JoinRule {
  var number: Int {
    switch self {
    case .closed: 0
    case .ask: 1
    case .open: 2
    }
  }

  init(row: borrowing Row, _ column: Int) throws {
    switch try row.integer(column) {
    case 0: self = .closed
    case 1: self = .ask
    case 2: self = .open
    default: throw StorageError(.typeMismatch)
    }
  }
}
