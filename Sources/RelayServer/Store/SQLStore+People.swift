package import RelayProtocol

extension SQLStore {
  // MARK: Accounts

  package func createAccount(
    _ account: AccountRecord, devices: DeviceListRecord, invite: [UInt8]?, identity: ExternalIdentity?,
    redeeming redemption: Redemption?
  ) async throws(RelayError) {
    try await write {
      if let redemption { try $0.redeem(redemption) }
      if let invite { try $0.redeem(invite, now: account.created) }
      try $0.createAccount(account, devices: devices)
      if let identity { try $0.link(identity, to: account.id) }
    }
  }

  package func accounts(
    after username: String, state: AccountState?, limit: Int
  ) async throws(RelayError) -> [AccountRecord] {
    try await read { try $0.accounts(after: username, state: state, limit: limit) }
  }

  package func changeState(
    of user: UserID, to state: AccountState, _ act: AuditRecord
  ) async throws(RelayError) -> [UInt64] {
    try await write {
      try $0.note(act)
      return try $0.changeState(of: user, to: state)
    }
  }

  package func changeRole(of user: UserID, to role: AccountRole, _ act: AuditRecord) async throws(RelayError) {
    try await write {
      try $0.note(act)
      try $0.changeRole(of: user, to: role)
    }
  }

  package func changeProfile(of user: UserID, to profile: Profile) async throws(RelayError) {
    try await write { try $0.changeProfile(of: user, to: profile) }
  }

  // MARK: Sessions

  package func sessions(of user: UserID) async throws(RelayError) -> [SessionRecord] {
    try await read { try $0.sessions(of: user) }
  }

  package func endSessions(
    of user: UserID, only session: UInt64?, _ act: AuditRecord?
  ) async throws(RelayError) -> [UInt64] {
    try await write {
      if let act { try $0.note(act) }
      return try $0.endSessions(of: $0.account(user), only: session)
    }
  }

  // MARK: External identities

  package func account(identity: ExternalIdentity) async throws(RelayError) -> AccountRecord? {
    try await read { try $0.account(identity: identity) }
  }

  package func identities(of user: UserID) async throws(RelayError) -> [ExternalIdentity] {
    try await read { try $0.identities(of: user) }
  }

  package func link(_ identity: ExternalIdentity, to user: UserID, _ act: AuditRecord) async throws(RelayError) {
    try await write {
      try $0.note(act)
      try $0.link(identity, to: user)
    }
  }

  package func unlink(
    _ identity: ExternalIdentity, from user: UserID, _ act: AuditRecord
  ) async throws(RelayError) -> [UInt64] {
    try await write {
      try $0.note(act)
      return try $0.unlink(identity, from: user)
    }
  }

  // MARK: Invitations

  package func createInvite(
    _ invite: InviteRecord, hash: [UInt8], actor: String
  ) async throws(RelayError) -> InviteRecord {
    try await write {
      let made = try $0.createInvite(invite, hash: hash)
      try $0.note(AuditRecord(time: made.created, actor: actor, act: "invites create", subject: "\(made.id)"))
      return made
    }
  }

  package func invites() async throws(RelayError) -> [InviteRecord] { try await read { try $0.invites() } }

  package func revokeInvite(_ id: UInt64, _ act: AuditRecord) async throws(RelayError) {
    try await write {
      try $0.revokeInvite(id)
      try $0.note(act)
    }
  }

  // MARK: Contacts

  package func contacts(of user: UserID) async throws(RelayError) -> [ContactRecord] {
    try await read { try $0.contacts(of: user) }
  }

  package func change(
    _ change: ContactChange, of user: UserID, with other: UserID, now: UInt64
  ) async throws(RelayError) -> [DeviceID] {
    try await write { try $0.change(change, of: user, with: other, now: now) }
  }

  package func mayReach(_ user: UserID, from sender: UserID) async throws(RelayError) -> Bool {
    try await read { try $0.mayReach(user, from: sender) }
  }

  package func knowEachOther(_ user: UserID, _ other: UserID) async throws(RelayError) -> Bool {
    try await read { try $0.knowEachOther(user, other) }
  }

  // MARK: Presence

  package func changePresence(
    of user: UserID, to status: PresenceStatus, isShown: Bool
  ) async throws(RelayError) {
    try await write { try $0.changePresence(of: user, to: status, isShown: isShown) }
  }

  package func noteSeen(_ users: [UserID], at time: UInt64) async throws(RelayError) {
    try await write { try $0.noteSeen(users, at: time) }
  }

  package func presence(of users: [UserID], for viewer: UserID) async throws(RelayError) -> [PresenceRecord] {
    try await read { try $0.presence(of: users, for: viewer) }
  }

  package func audience(of user: UserID, limit: Int) async throws(RelayError) -> [UserID] {
    try await read { try $0.audience(of: user, limit: limit) }
  }

  // MARK: Administration

  package func audit(limit: Int) async throws(RelayError) -> [AuditRecord] {
    try await read { try $0.audit(limit: limit) }
  }

  package func note(_ act: AuditRecord) async throws(RelayError) { try await write { try $0.note(act) } }

  package func allRooms(limit: Int) async throws(RelayError) -> [RoomOverview] {
    try await read { try $0.allRooms(limit: limit) }
  }

  package func roomOverview(_ room: RoomID) async throws(RelayError) -> RoomOverview? {
    try await read { try $0.roomOverview(room) }
  }
}
