package import RelayProtocol

/// The part of ``RelayStore`` that knows people: accounts beside their keys, contacts, invitations, and the audit log.
///
/// To whom it blocks, an account is as one that was deleted: no answer tells the two apart.
package protocol PeopleStore: Sendable {
  // MARK: Accounts

  /// Stores an account with its first device list; `usernameTaken` if name, email or id exists.
  ///
  /// An invitation (the hash of its token) is redeemed in the same transaction, so its uses are exact under any race;
  /// one that is unknown, used up, expired or revoked is `invitationInvalid`. An identity at another issuer that is linked
  /// already is `identityInUse`; a token of that issuer is redeemed as by ``RelayStore/createSession(_:redeeming:)``.
  func createAccount(
    _ account: AccountRecord, devices: DeviceListRecord, invite: [UInt8]?, identity: ExternalIdentity?,
    redeeming redemption: Redemption?
  ) async throws(RelayError)
  /// Accounts in the order of their names.
  func accounts(after username: String, state: AccountState?, limit: Int) async throws(RelayError) -> [AccountRecord]
  /// Changes the state and, unless it is `active`, ends all sessions, whose numbers are returned: their sockets are the
  /// caller's to close.
  func changeState(of user: UserID, to state: AccountState, _ act: AuditRecord) async throws(RelayError) -> [UInt64]
  func changeRole(of user: UserID, to role: AccountRole, _ act: AuditRecord) async throws(RelayError)
  func changeProfile(of user: UserID, to profile: Profile) async throws(RelayError)

  // MARK: Sessions

  /// The newest first.
  func sessions(of user: UserID) async throws(RelayError) -> [SessionRecord]
  /// Ends one session of the user's, or all, and returns those that ended.
  func endSessions(of user: UserID, only session: UInt64?, _ act: AuditRecord?) async throws(RelayError) -> [UInt64]

  // MARK: External identities

  func account(identity: ExternalIdentity) async throws(RelayError) -> AccountRecord?
  func identities(of user: UserID) async throws(RelayError) -> [ExternalIdentity]
  /// `identityInUse` if the identity is another account's.
  func link(_ identity: ExternalIdentity, to user: UserID, _ act: AuditRecord) async throws(RelayError)
  /// Takes the identity away and ends all sessions of the account, whose numbers are returned. `notFound` if it is not the
  /// account's.
  func unlink(_ identity: ExternalIdentity, from user: UserID, _ act: AuditRecord) async throws(RelayError) -> [UInt64]

  // MARK: Invitations

  func createInvite(_ invite: InviteRecord, hash: [UInt8], actor: String) async throws(RelayError) -> InviteRecord
  func invites() async throws(RelayError) -> [InviteRecord]
  /// `notFound` if there is no such invitation.
  func revokeInvite(_ id: UInt64, _ act: AuditRecord) async throws(RelayError)

  // MARK: Contacts

  func contacts(of user: UserID) async throws(RelayError) -> [ContactRecord]
  /// Does one thing to a contact and returns the devices of both that should look again.
  ///
  /// Throws `userNotFound` for accounts that cannot be reached, and `notFound` where there is nothing to accept, decline,
  /// remove or unblock.
  func change(_ change: ContactChange, of user: UserID, with other: UserID, now: UInt64) async throws(RelayError)
    -> [DeviceID]
  /// Whether `sender` may add the user to rooms, claim its key packages, ask it to be a contact, and find it by name.
  func mayReach(_ user: UserID, from sender: UserID) async throws(RelayError) -> Bool
  /// Whether the two are in a room together or are contacts.
  func knowEachOther(_ user: UserID, _ other: UserID) async throws(RelayError) -> Bool

  // MARK: Presence

  func changePresence(of user: UserID, to status: PresenceStatus, isShown: Bool) async throws(RelayError)
  /// Accounts that do not exist are left out.
  func noteSeen(_ users: [UserID], at time: UInt64) async throws(RelayError)
  /// What of these users `viewer` may see; others are left out.
  func presence(of users: [UserID], for viewer: UserID) async throws(RelayError) -> [PresenceRecord]
  /// Who may see the user's presence and profile: contacts and room mates, but nobody whom it blocks.
  func audience(of user: UserID, limit: Int) async throws(RelayError) -> [UserID]

  // MARK: Administration

  func audit(limit: Int) async throws(RelayError) -> [AuditRecord]
  func note(_ act: AuditRecord) async throws(RelayError)
  func allRooms(limit: Int) async throws(RelayError) -> [RoomOverview]
  func roomOverview(_ room: RoomID) async throws(RelayError) -> RoomOverview?
}

/// What an account may do.
package enum AccountState: Int64, Sendable, CaseIterable {
  case active = 0
  /// By an administrator's decision.
  case disabled = 1
  /// For safety, until somebody has looked.
  case locked = 2
  /// Its name stays taken, and it can be restored.
  case deleted = 3

  package var text: String {
    switch self {
    case .active: "active"
    case .disabled: "disabled"
    case .locked: "locked"
    case .deleted: "deleted"
    }
  }

  init?(text: String) {
    guard let state = Self.allCases.first(where: { $0.text == text }) else { return nil }
    self = state
  }
}

package enum AccountRole: String, Sendable, CaseIterable, Comparable {
  case user, moderator, admin

  package static func < (left: AccountRole, right: AccountRole) -> Bool { left.rank < right.rank }

  private var rank: Int {
    switch self {
    case .user: 0
    case .moderator: 1
    case .admin: 2
    }
  }
}

/// What others see of a person besides the name.
package struct Profile: Sendable, Hashable {
  package var displayName: String
  package var avatar: String

  package init(displayName: String = "", avatar: String = "") {
    (self.displayName, self.avatar) = (displayName, avatar)
  }
}

/// Somebody as an issuer of tokens besides this relay names them.
package struct ExternalIdentity: Sendable, Hashable {
  package var issuer: String
  package var subject: String

  package init(issuer: String, subject: String) { (self.issuer, self.subject) = (issuer, subject) }
}

/// What is remembered of a token of another issuer that was exchanged for a session.
package struct Redemption: Sendable, Hashable {
  /// SHA-256 of what tells the token from all others.
  package var hash: [UInt8]
  package var now: UInt64
  /// When it may be forgotten, since the token has expired.
  package var expires: UInt64

  /// Whom the token names: still the account's when a session begins by it.
  package var identity: ExternalIdentity?

  package init(hash: [UInt8], now: UInt64, expires: UInt64, identity: ExternalIdentity? = nil) {
    (self.hash, self.now, self.expires, self.identity) = (hash, now, expires, identity)
  }
}

package struct InviteRecord: Sendable, Hashable {
  package var id: UInt64
  package var uses: Int
  package var used: Int
  package var created: UInt64
  package var expires: UInt64
  package var isRevoked: Bool
}

package struct ContactRecord: Sendable, Hashable {
  package var user: UserID
  package var username: String
  package var state: ContactState
  /// Shown between contacts; empty otherwise.
  package var profile: Profile
  package var changed: UInt64
}

package enum ContactChange: Sendable, CaseIterable {
  case request, accept, decline, remove, block, unblock
}

package struct PresenceRecord: Sendable, Hashable {
  package var user: UserID
  /// What the user wants to show while connected.
  package var status: PresenceStatus
  package var lastSeen: UInt64
}

/// One act of administration: who, what, when. It holds no content.
package struct AuditRecord: Sendable, Hashable {
  package var time: UInt64
  /// `uid N` of the operating system, or a user id.
  package var actor: String
  package var act: String
  package var subject: String

  package init(time: UInt64, actor: String, act: String, subject: String) {
    (self.time, self.actor, self.act, self.subject) = (time, actor, act, subject)
  }
}

package struct RoomOverview: Sendable, Hashable {
  package var room: RoomID
  package var epoch: UInt64
  package var last: UInt64
  package var created: UInt64
  package var members: Int
}
