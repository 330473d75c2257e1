import RelayProtocol
import Storage

/// What is written of people besides their keys.
extension StoreTables {
  // MARK: Accounts

  /// Returns the sessions that ended by it.
  func changeState(of user: UserID, to state: AccountState) throws -> [UInt64] {
    let account = try account(user)
    try database.forEach("SELECT key FROM account WHERE key = \(account) \(lock: "account")") { _ in true }
    try database.execute(
      """
      INSERT INTO person (account, state) VALUES (\(account), \(state.rawValue))
      ON CONFLICT (account) DO UPDATE SET state = excluded.state
      """)
    return state == .active ? [] : try endSessions(of: account, only: nil)
  }

  func changeRole(of user: UserID, to role: AccountRole) throws {
    let changed = try database.execute("UPDATE account SET role = \(role.rawValue) WHERE id = \(user)")
    guard changed == 1 else { throw RelayError(.userNotFound, "There is no such user.") }
  }

  func changeProfile(of user: UserID, to profile: Profile) throws {
    try database.execute(
      """
      INSERT INTO person (account, display_name, avatar)
      VALUES (\(try account(user)), \(profile.displayName), \(profile.avatar))
      ON CONFLICT (account) DO UPDATE SET display_name = excluded.display_name, avatar = excluded.avatar
      """)
  }

  func changePresence(of user: UserID, to status: PresenceStatus, isShown: Bool) throws {
    try database.execute(
      """
      INSERT INTO person (account, presence, shows_presence) VALUES (\(try account(user)), \(status.rawValue), \(isShown))
      ON CONFLICT (account) DO UPDATE SET presence = excluded.presence, shows_presence = excluded.shows_presence
      """)
  }

  func noteSeen(_ users: [UserID], at time: UInt64) throws {
    // In one order, so that relays which note the same people do not wait for each other in a circle.
    for user in users.sorted(by: { ($0.high, $0.low) < ($1.high, $1.low) }) {
      try database.execute(
        """
        INSERT INTO person (account, last_seen) SELECT key, \(time) FROM account WHERE id = \(user)
        ON CONFLICT (account) DO UPDATE SET last_seen = excluded.last_seen
        """)
    }
  }

  // MARK: Sessions

  func endSessions(of account: Int64, only session: UInt64?) throws -> [UInt64] {
    if let session {
      return try database.query(
        """
        DELETE FROM session WHERE key = \(session) AND device IN (SELECT key FROM device WHERE account = \(account))
        RETURNING key
        """
      ) { try $0.unsigned(0) }
    }
    return try database.query(
      "DELETE FROM session WHERE device IN (SELECT key FROM device WHERE account = \(account)) RETURNING key"
    ) { try $0.unsigned(0) }
  }

  /// Throws unless sessions of the account may begin. The row is locked, so that no session slips in beside a change.
  func checkActive(_ account: Int64) throws {
    try database.forEach("SELECT key FROM account WHERE key = \(account) \(lock: "account")") { _ in true }
    // By a statement of its own: one that waits for a lock may see what it joins as it was before.
    let state = try database.first("SELECT state FROM person WHERE account = \(account)") { try $0.integer(0) }
    guard state ?? 0 == AccountState.active.rawValue else {
      throw RelayError(.accountDisabled, "The account is not active.")
    }
  }

  // MARK: Invitations

  func createInvite(_ invite: InviteRecord, hash: [UInt8]) throws -> InviteRecord {
    var invite = invite
    let key = try database.insert(
      """
      INSERT INTO account_invite (hash, uses, used, created, expires, revoked)
      VALUES (\(hash), \(invite.uses), 0, \(invite.created), \(invite.expires), 0) RETURNING key
      """)
    invite.id = UInt64(bitPattern: key)
    return invite
  }

  /// One statement decides, so that of two who redeem the last use one is refused.
  func redeem(_ hash: [UInt8], now: UInt64) throws {
    let changed = try database.execute(
      """
      UPDATE account_invite SET used = used + 1
      WHERE hash = \(hash) AND used < uses AND expires > \(now) AND revoked = 0
      """)
    guard changed == 1 else { throw RelayError(.invitationInvalid, "The invitation is not good, or not any more.") }
  }

  func revokeInvite(_ id: UInt64) throws {
    let changed = try database.execute("UPDATE account_invite SET revoked = 1 WHERE key = \(id)")
    guard changed == 1 else { throw RelayError(.notFound, "There is no such invitation.") }
  }

  // MARK: Audit

  func note(_ act: AuditRecord) throws {
    try database.execute(
      """
      INSERT INTO audit (time, actor, act, subject)
      VALUES (\(act.time), \(act.actor), \(act.act), \(act.subject))
      """)
  }
}
