import RelayProtocol
import Storage

extension StoreTables {
  func createRoom(_ room: RoomID, owner: UserID, now: UInt64) throws -> RoomResponse {
    let account = try account(owner)
    let key = try insert(
      "INSERT INTO room (id, epoch, last, created) VALUES (\(room), 0, 0, \(now)) RETURNING key",
      ifTaken: RelayError(.roomExists, "The room id is taken."))
    try database.execute("INSERT INTO member (room, account, joined) VALUES (\(key), \(account), 1)")
    return RoomResponse(
      room: room, epoch: 0, position: StreamPosition(incarnation: incarnation, sequence: 0), members: 1)
  }

  /// The compare-and-set that orders a room's epochs.
  func commit(_ commit: NewCommit) throws -> Appended {
    let request = commit.request
    try MessageRules.checkSize(request.message.bytes, max: Limits.commitRequest)
    let welcomeSize = request.welcome?.bytes.count ?? 0
    guard request.message.bytes.count + welcomeSize <= Limits.commitRequest else {
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
    guard request.epoch == head.epoch else {
      throw RelayError(.epochConflict, "Another commit ended this epoch.")
    }
    let appended = try add(message, in: head, from: sender)
    try applyMembership(request, in: head)
    try database.execute("UPDATE room SET epoch = \(head.epoch + 1) WHERE key = \(head.key)")
    if let welcome = request.welcome { try queue(welcome.bytes, for: request.recipients, in: head) }
    head.epoch += 1
    // The accounts that were removed; those that joined are looked up when they first send.
    head.members = [sender.account]
    return appended
  }

  /// Ends and begins memberships, in this order, so that an account in both lists starts anew.
  ///
  /// Both are sets to be reached: removing an account that has left, or adding a device of one that is a member, is no
  /// error.
  private func applyMembership(_ request: CommitRequest, in head: RoomHead) throws {
    for user in request.removed {
      if let account = try accountKey(user) { try endMembership(of: account, in: head) }
    }
    for user in request.added {
      let account = try account(user)
      try database.execute(
        """
        INSERT INTO member (room, account, joined) VALUES (\(head.key), \(account), \(head.last))
        ON CONFLICT DO NOTHING
        """)
    }
    guard !request.added.isEmpty else { return }
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

  /// Stores one Welcome for all its recipients, each of which must belong to a member.
  private func queue(_ welcome: [UInt8], for recipients: [DeviceID], in head: RoomHead) throws {
    guard Set(recipients).count == recipients.count else {
      throw RelayError(.invalidRequest, "A recipient is named twice.")
    }
    let key = try database.insert(
      "INSERT INTO welcome (sequence, welcome) VALUES (\(head.last), \(welcome)) RETURNING key")
    for recipient in recipients {
      let device = try database.first(
        """
        SELECT device.key FROM device JOIN member ON member.account = device.account
        WHERE device.id = \(recipient) AND member.room = \(head.key)
        """
      ) { try $0.integer(0) }
      guard let device else { throw RelayError(.deviceUnknown, "A recipient is not a device of a member.") }
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

  private func accountKey(_ user: UserID) throws -> Int64? {
    try database.first("SELECT key FROM account WHERE id = \(user)") { try $0.integer(0) }
  }
}
