import CryptoPrimitives
import RelayProtocol
import Storage

// Ways into a room that nobody was invited to: links, codes, and asking.
extension StoreTables {
  /// An external commit, by compare-and-set on the epoch like any other.
  func join(_ new: NewJoin) throws -> Appended {
    let request = new.request
    let infoSize = request.groupInfo?.bytes.count ?? 0
    try MessageRules.checkSize(request.message.bytes, max: Limits.commitRequest)
    guard infoSize <= Limits.groupInfo else { throw RelayError(.tooLarge, "The group info is too large.") }
    let sender = try self.sender(new.sender, new.device)
    let message = NewMessage(
      room: new.room, sender: new.sender, device: new.device,
      request: SendRequest(
        sendID: request.sendID, kind: .commit, epoch: request.epoch, message: request.message.bytes),
      now: new.now)
    // Locked first, so that a retry that another node is storing at this moment is waited for and found.
    let found = try head(of: new.room)
    if let earlier = try earlierOutcome(message, from: sender) { return earlier }
    guard let head = found else { throw RelayError.noSuchRoom }
    let isMember = try isMember(sender.account, of: head)
    if let invite = request.invite, !isMember {
      try use(invite, by: sender.account, in: head, now: new.now, epoch: request.epoch)
    } else {
      guard isMember else { throw RelayError.noSuchRoom }
    }
    guard request.epoch == head.epoch else {
      throw RelayError(.epochConflict, "Another commit ended this epoch.")
    }
    let appended = try add(message, in: head, from: sender)
    if !isMember { try beginMembership(of: sender.account, role: .member, in: head) }
    try begin(head.epoch + 1, groupInfo: request.groupInfo, in: head)
    head.members.insert(sender.account)
    return appended
  }

  /// Takes one use of a link. All reasons why it is not good look alike.
  private func use(_ invite: InviteID, by account: Int64, in head: RoomHead, now: UInt64, epoch: UInt64) throws {
    let refusal = RelayError(.inviteInvalid, "The link is not good.")
    let found = try database.first(
      """
      SELECT invite.key, invite.uses FROM invite
      WHERE invite.id = \(invite) AND invite.room = \(head.key)
        AND (invite.expires = 0 OR invite.expires > \(now)) AND (invite.uses IS NULL OR invite.uses > 0) \(lock: "invite")
      """
    ) { (key: try $0.integer(0), isLimited: try !$0.isNull(1)) }
    guard let found, try !isBanned(account, from: head), try joinRule(of: head) != .closed else { throw refusal }
    // A commit that comes too late has not used the link.
    guard epoch == head.epoch else { throw RelayError(.epochConflict, "Another commit ended this epoch.") }
    if found.isLimited {
      try database.execute("UPDATE invite SET uses = uses - 1 WHERE key = \(found.key)")
    }
  }

  // MARK: Codes

  func newCode(_ new: NewCode) throws -> CodeResponse {
    let sender = try self.sender(new.sender, new.device)
    let head = try room(new.room, of: sender, as: .admin)
    guard try joinRule(of: head) != .closed else {
      throw RelayError(.forbidden, "The room lets nobody ask.")
    }
    let expires = new.now + new.request.lifetime * 1000
    try database.execute("DELETE FROM join_code WHERE expires <= \(new.now)")
    for _ in 0..<16 {
      let code = Self.drawCode()
      let isTaken =
        try database.first("SELECT 1 FROM join_code WHERE code = \(code) AND room <> \(head.key)") { _ in true }
        ?? false
      guard !isTaken else { continue }
      try execute(
        """
        INSERT INTO join_code (room, code, expires, uses)
        VALUES (\(head.key), \(code), \(expires), \(Int(new.request.uses)))
        ON CONFLICT (room) DO UPDATE SET code = excluded.code, expires = excluded.expires, uses = excluded.uses
        """, ifTaken: RelayError(.unavailable, "Another took this code just now.", retryAfter: 1))
      return CodeResponse(code: code, expires: expires, uses: new.request.uses)
    }
    throw RelayError(.unavailable, "No code is free.", retryAfter: 60)
  }

  /// 30 bits, five for each character.
  private static func drawCode() -> String {
    String(decoding: Random.bytes(JoinCode.length).map { JoinCode.alphabet[Int($0 & 31)] }, as: UTF8.self)
  }

  func revokeCode(_ room: RoomID, by user: UserID, device: DeviceID) throws {
    let head = try self.room(room, of: try sender(user, device), as: .admin)
    try database.execute("DELETE FROM join_code WHERE room = \(head.key)")
  }

  // MARK: Asking

  /// Guesses of one account in an hour, and of all accounts in a minute.
  static var guessesPerHour: Int { 30 }
  static var guessesOfAllPerMinute: Int { 600 }
  /// How long a request waits for an answer, in milliseconds.
  static var askingLifetime: UInt64 { 14 * 86_400_000 }

  /// Puts a request before those who may answer it, and says whose devices to tell.
  ///
  /// Whatever the code is, the same statements run and a guess is written, so that time tells nothing.
  func ask(_ new: NewAsking) throws -> [DeviceID] {
    let sender = try self.sender(new.sender, new.device)
    let hour = new.now - min(new.now, 3_600_000)
    try database.execute("DELETE FROM code_guess WHERE time < \(hour)")
    let mine = try database.first(
      "SELECT count(*) FROM code_guess WHERE account = \(sender.account) AND time >= \(hour)"
    ) { try $0.count(0) }
    let all = try database.first(
      "SELECT count(*) FROM code_guess WHERE time >= \(new.now - min(new.now, 60_000))"
    ) { try $0.count(0) }
    guard mine ?? 0 < Self.guessesPerHour else {
      throw RelayError(.rateLimited, "Too many codes were tried.", retryAfter: 600)
    }
    guard all ?? 0 < Self.guessesOfAllPerMinute else {
      throw RelayError(.rateLimited, "Too many codes were tried.", retryAfter: 60)
    }
    try database.execute("INSERT INTO code_guess (account, time) VALUES (\(sender.account), \(new.now))")
    let room: Int64? =
      if let code = new.request.code {
        try database.first(
          """
          SELECT join_code.room FROM join_code JOIN room ON room.key = join_code.room
          WHERE join_code.code = \(JoinCode.normalised(code) ?? "") AND join_code.expires > \(new.now)
            AND join_code.uses > 0 AND room.join_rule > 0 \(lock: "join_code")
          """
        ) { try $0.integer(0) }
      } else {
        try database.first(
          """
          SELECT room.key FROM room JOIN listing ON listing.room = room.key
          WHERE room.id = \(new.request.room ?? RoomID(high: 0, low: 0)) AND room.join_rule > 0
          """
        ) { try $0.integer(0) }
      }
    return try put(asking: sender.account, device: nil, in: room ?? 0, byCode: new.request.code != nil, now: new.now)
  }

  /// The same for a member whose device fell out of step.
  func askBack(_ room: RoomID, by user: UserID, device: DeviceID, now: UInt64) throws -> [DeviceID] {
    let sender = try self.sender(user, device)
    let head = try joinedRoom(room, sender)
    try database.execute("DELETE FROM asking WHERE room = \(head.key) AND account = \(sender.account)")
    return try put(asking: sender.account, device: sender.device, in: head.key, byCode: false, now: now)
  }

  private func put(asking account: Int64, device: Int64?, in room: Int64, byCode: Bool, now: UInt64) throws
    -> [DeviceID]
  {
    try database.execute("DELETE FROM asking WHERE room = \(room) AND time < \(now - min(now, Self.askingLifetime))")
    let facts = try database.first(
      """
      SELECT
        (SELECT count(*) FROM member WHERE room = \(room) AND account = \(account)),
        (SELECT count(*) FROM banned WHERE room = \(room) AND account = \(account)),
        (SELECT count(*) FROM asking WHERE room = \(room)),
        (SELECT count(*) FROM asking WHERE room = \(room) AND account = \(account))
      """
    ) { (member: try $0.count(0), banned: try $0.count(1), waiting: try $0.count(2), mine: try $0.count(3)) }
    let isHeard =
      facts.map { facts in
        facts.banned == 0 && facts.mine == 0 && facts.waiting < Limits.requestsPerRoom
          && (facts.member > 0) == (device != nil)
      } ?? false
    // No room has the key 0: who is not heard asks at nothing, by the same statements.
    let room = isHeard ? room : 0
    try database.execute(
      """
      INSERT INTO asking (room, account, device, time)
      SELECT room.key, \(account), \(optional: device), \(now) FROM room WHERE room.key = \(room)
      ON CONFLICT DO NOTHING
      """)
    if byCode { try database.execute("UPDATE join_code SET uses = uses - 1 WHERE room = \(room)") }
    return try database.query(
      """
      SELECT device.id FROM member JOIN room ON room.key = member.room JOIN device ON device.account = member.account
      WHERE member.room = \(room) AND (member.role > 0 OR room.join_rule = 2)
      """
    ) { try $0.identifier(0) }
  }

  func refuseRequest(of asking: UserID, in room: RoomID, by user: UserID, device: DeviceID) throws {
    let head = try self.room(room, of: try sender(user, device), as: .admin)
    guard let account = try accountKey(asking) else { return }
    try database.execute("DELETE FROM asking WHERE room = \(head.key) AND account = \(account)")
  }
}
