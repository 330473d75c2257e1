import RelayProtocol
import Storage

extension StoreTables {
  func createRoom(_ new: NewRoom) throws -> CreatedRoom {
    let owner = try account(new.owner)
    var peer: Int64?
    if let direct = new.direct {
      guard direct != new.owner else { throw RelayError(.invalidRequest, "A room of two takes two.") }
      let other = try account(direct)
      if let known = try directRoom(of: owner, and: other, now: new.now) {
        return CreatedRoom(response: known, isNew: false)
      }
      try requireReach(from: owner, to: other)
      peer = other
    }
    let rule = peer == nil ? new.joinRule : .closed
    let key = try insert(
      """
      INSERT INTO room (id, epoch, last, created, join_rule)
      VALUES (\(new.room), 0, 0, \(new.now), \(rule.number)) RETURNING key
      """, ifTaken: RelayError(.roomExists, "The room id is taken."))
    try database.execute(
      """
      INSERT INTO member (room, account, joined, role) VALUES (\(key), \(owner), 1, \(MemberRole.owner.rank))
      """)
    if let peer {
      // The pair is unique: whoever comes second at the same instant finds it taken, and asks again.
      try execute(
        """
        INSERT INTO direct_room (room, low, high) VALUES (\(key), \(min(owner, peer)), \(max(owner, peer)))
        """, ifTaken: RelayError(.unavailable, "The other makes this room just now.", retryAfter: 1))
    }
    return CreatedRoom(
      response: RoomResponse(
        room: new.room, epoch: 0, position: StreamPosition(incarnation: incarnation, sequence: 0), members: 1,
        role: .owner, joinRule: rule), isNew: true)
  }

  /// The compare-and-set that orders a room's epochs.
  func commit(_ commit: NewCommit) throws -> Appended {
    let request = commit.request
    try MessageRules.checkSize(request.message.bytes, max: Limits.commitRequest)
    let welcomeSize = request.welcome?.bytes.count ?? 0
    let infoSize = request.groupInfo?.bytes.count ?? 0
    guard infoSize <= Limits.groupInfo, request.message.bytes.count + welcomeSize + infoSize <= Limits.commitRequest
    else {
      throw RelayError(.tooLarge, "The commit is too large.")
    }
    guard (welcomeSize > 0) == !request.recipients.isEmpty else {
      throw RelayError(.invalidRequest, "A Welcome and its recipients go together.")
    }
    guard !request.removed.contains(commit.sender) else {
      throw RelayError(.invalidRequest, "A member leaves by its own route.")
    }
    let sender = try self.sender(commit.sender, commit.device)
    let message = NewMessage(
      room: commit.room, sender: commit.sender, device: commit.device,
      request: SendRequest(
        sendID: request.sendID, kind: .commit, epoch: request.epoch, message: request.message.bytes),
      now: commit.now)
    // Locked first, so that a retry that another node is storing at this moment is waited for and found.
    _ = try head(of: commit.room)
    if let earlier = try earlierOutcome(message, from: sender) { return earlier }
    let head = try joinedRoom(commit.room, sender)
    let next = try epoch(after: request, in: head)
    try checkRules(commit, sender, in: head)
    let appended = try add(message, in: head, from: sender)
    try applyMembership(request, from: sender, in: head)
    try apply(request.changes ?? RoomChanges(), in: head)
    try begin(next, groupInfo: request.groupInfo, in: head)
    if let welcome = request.welcome { try queue(welcome.bytes, for: request, in: head) }
    // The accounts that were removed; those that joined are looked up when they first send.
    head.members = [sender.account]
    return appended
  }

  /// The epoch that a commit begins, if it is for the room's present one, or takes the place of the commit that ended it.
  private func epoch(after request: CommitRequest, in head: RoomHead) throws -> UInt64 {
    guard let sequence = request.instead else {
      guard request.epoch == head.epoch else {
        throw RelayError(.epochConflict, "Another commit ended this epoch.")
      }
      return head.epoch + 1
    }
    guard head.epoch > 0, request.epoch == head.epoch - 1, let sequence = Int64(exactly: sequence) else {
      throw RelayError(.epochConflict, "Another commit ended this epoch.")
    }
    let newest = try database.first(
      """
      SELECT sequence FROM entry WHERE room = \(head.key) AND kind = \(EntryKind.commit.rawValue)
      ORDER BY sequence DESC LIMIT 1
      """
    ) { try $0.integer(0) }
    guard newest == sequence else { throw RelayError(.epochConflict, "Another commit ended this epoch.") }
    return head.epoch
  }

  /// Begins an epoch. A group info of the one before must not outlive it.
  func begin(_ epoch: UInt64, groupInfo: Base64URL?, in head: RoomHead) throws {
    try database.execute("UPDATE room SET epoch = \(epoch) WHERE key = \(head.key)")
    if let groupInfo {
      try database.execute(
        """
        INSERT INTO group_info (room, epoch, info) VALUES (\(head.key), \(epoch), \(groupInfo.bytes))
        ON CONFLICT (room) DO UPDATE SET epoch = excluded.epoch, info = excluded.info
        """)
    } else {
      try database.execute("DELETE FROM group_info WHERE room = \(head.key)")
    }
    head.epoch = epoch
  }

  /// Ends and begins memberships, in this order, so that an account in both lists starts anew.
  ///
  /// Both are sets to be reached: removing an account that has left, or adding a device of one that is a member, is no
  /// error.
  private func applyMembership(_ request: CommitRequest, from sender: DeviceKeys, in head: RoomHead) throws {
    for user in request.removed {
      if let account = try accountKey(user) { try endMembership(of: account, in: head) }
    }
    let isDirect = try database.first("SELECT 1 FROM direct_room WHERE room = \(head.key)") { _ in true } ?? false
    for user in request.added {
      let account = try account(user)
      // Where it is a member already, anybody may bring in another of its devices.
      if account != sender.account, try !statements.isMember(account, ofRoom: head.key) {
        try requireReach(from: sender.account, to: account)
      }
      try beginMembership(of: account, role: isDirect ? .owner : .member, in: head)
    }
  }

  func beginMembership(of account: Int64, role: MemberRole, in head: RoomHead) throws {
    try database.execute(
      """
      INSERT INTO member (room, account, joined, role) VALUES (\(head.key), \(account), \(head.last), \(role.rank))
      ON CONFLICT DO NOTHING
      """)
    try database.execute("DELETE FROM asking WHERE room = \(head.key) AND account = \(account)")
    let count = try database.first("SELECT count(*) FROM member WHERE room = \(head.key)") { try $0.count(0) }
    guard let count, count <= Limits.membersPerRoom else { throw RelayError(.tooLarge, "The room is full.") }
  }

  /// Ends a membership; Welcomes to this room that wait for the account's devices go with it.
  private func endMembership(of account: Int64, in head: RoomHead) throws {
    let ended = try database.execute("DELETE FROM member WHERE room = \(head.key) AND account = \(account)")
    if ended > 0 { try noteRemoval(of: account, in: head) }
    try database.execute(
      """
      DELETE FROM waiting WHERE room = \(head.key)
      AND device IN (SELECT key FROM device WHERE account = \(account))
      """)
  }

  /// Entries for which it is kept whom they removed: more than any node can lag behind.
  private static var removalsKept: UInt64 { 100_000 }

  /// Notes for other nodes that the newest entry ended a membership.
  private func noteRemoval(of account: Int64, in head: RoomHead) throws {
    try database.execute(
      """
      DELETE FROM removal WHERE room = \(head.key) AND sequence < \(head.last - min(head.last, Self.removalsKept))
      """)
    try database.execute(
      """
      INSERT INTO removal (room, sequence, account) VALUES (\(head.key), \(head.last), \(account)) ON CONFLICT DO NOTHING
      """)
  }

  /// Stores one Welcome for all its recipients, each of which must belong to a member whom this commit adds: nobody else's
  /// Welcome is to be replaced.
  private func queue(_ welcome: [UInt8], for request: CommitRequest, in head: RoomHead) throws {
    let recipients = request.recipients
    let added = Set(try request.added.map { try account($0) })
    guard Set(recipients).count == recipients.count else {
      throw RelayError(.invalidRequest, "A recipient is named twice.")
    }
    let key = try database.insert(
      "INSERT INTO welcome (sequence, welcome) VALUES (\(head.last), \(welcome)) RETURNING key")
    for recipient in recipients {
      let found = try database.first(
        """
        SELECT device.key, device.account FROM device JOIN member ON member.account = device.account
        WHERE device.id = \(recipient) AND member.room = \(head.key)
        """
      ) { (key: try $0.integer(0), account: try $0.integer(1)) }
      guard let found, added.contains(found.account) else {
        throw RelayError(.deviceUnknown, "A recipient is not a device of a new member.")
      }
      let device = found.key
      // An older Welcome to the same room leads to a leaf that this one replaces.
      try database.execute("DELETE FROM waiting WHERE device = \(device) AND room = \(head.key)")
      try database.execute(
        "INSERT INTO waiting (device, room, welcome) VALUES (\(device), \(head.key), \(key))")
    }
  }

  /// Stores a leaver's proposal and ends its membership.
  func leave(_ message: NewMessage) throws -> Appended {
    let request = message.request
    guard request.kind == .proposal else { throw RelayError(.invalidRequest, "Leaving takes a proposal.") }
    try MessageRules.checkSize(request.message.bytes, max: Limits.message)
    let sender = try self.sender(message.sender, message.device)
    _ = try head(of: message.room)
    if let earlier = try earlierOutcome(message, from: sender) { return earlier }
    let head = try joinedRoom(message.room, sender)
    guard request.epoch == head.epoch else {
      throw RelayError(.epochConflict, "The proposal is for an epoch that ended.")
    }
    let appended = try add(message, in: head, from: sender)
    try endMembership(of: sender.account, in: head)
    head.members.remove(sender.account)
    return appended
  }

  func deleteWelcome(_ id: UInt64, for device: DeviceID) throws {
    guard let key = Int64(exactly: id), let device = try self.device(device) else { return }
    try database.execute("DELETE FROM waiting WHERE key = \(key) AND device = \(device.device)")
  }

  // MARK: Accounts

  /// An account's key, or `userNotFound`.
  func account(_ user: UserID) throws -> Int64 {
    guard let key = try accountKey(user) else { throw RelayError(.userNotFound, "There is no such user.") }
    return key
  }

  func accountKey(_ user: UserID) throws -> Int64? {
    try database.first("SELECT key FROM account WHERE id = \(user)") { try $0.integer(0) }
  }
}
