package import RelayProtocol

/// Where the relay keeps everything. The store is the truth: whatever a method returned from is on disk.
///
/// Writes may be gathered into one database transaction (group commit), each write still all or nothing. Every method
/// throws ``RelayError``: with a ``RelayCode`` for what the caller must be told, `unavailable` when the database fails.
/// Times are milliseconds since 1970. Implementations pass the same suite of tests.
package protocol RelayStore: RoomStore, PeopleStore {
  /// Drawn at random when this store was made.
  var incarnation: UInt64 { get }

  // MARK: Accounts and devices

  /// An account by username or email.
  func account(login: String) async throws(RelayError) -> AccountRecord?
  func account(id: UserID) async throws(RelayError) -> AccountRecord?
  func deviceList(of user: UserID) async throws(RelayError) -> DeviceListRecord?
  /// Replaces the list if `list.number` is one more than the stored one, else `deviceListConflict`. Sessions, key
  /// packages and Welcomes of devices that the new list lacks are deleted in the same transaction. A device id that
  /// another account has is a `deviceListConflict` too, here and in ``createAccount(_:devices:invite:identity:redeeming:)``.
  func replaceDeviceList(of user: UserID, with list: DeviceListRecord) async throws(RelayError)
  func updatePasswordHash(of user: UserID, to hash: String) async throws(RelayError)

  // MARK: Sessions

  /// Refuses accounts that are not active with `accountDisabled`. A token of another issuer for which the session is given
  /// is redeemed in the same transaction: one that was redeemed before is `externalTokenInvalid`, and one for which no session
  /// began is not redeemed. Returns the oldest sessions of the device, which make way where there are too many.
  func createSession(_ session: SessionRecord, redeeming redemption: Redemption?) async throws(RelayError) -> [UInt64]
  /// Replaces the refresh token whose hash is `old`. A token that was replaced before ends its session. That token, one
  /// that is unknown and one of an expired session are all `sessionEnded`.
  ///
  /// Once, and for ``Limits/refreshGrace`` only, the token before the present one is taken again if the present one was
  /// never used: its answer was lost on the way. The present one is a replaced one then.
  func rotateSession(from old: [UInt8], to new: [UInt8], now: UInt64, expires: UInt64) async throws(RelayError)
    -> SessionRecord
  func session(id: UInt64) async throws(RelayError) -> SessionRecord?
  func endSession(id: UInt64) async throws(RelayError)

  // MARK: Key packages

  /// Adds one-time packages, of which the newest ``Limits/keyPackagesPerDevice`` are kept, and replaces that of last
  /// resort. A package that was added before is not added again, even if it was handed out since.
  func addKeyPackages(_ packages: [[UInt8]], lastResort: [UInt8]?, device: DeviceID) async throws(RelayError)
    -> KeyPackageCount
  func keyPackageCount(device: DeviceID) async throws(RelayError) -> KeyPackageCount
  /// Takes one package for each device of the user; a one-time package is deleted as it is handed out.
  func claimKeyPackages(of user: UserID) async throws(RelayError) -> ClaimResponse

  // MARK: Rooms

  func rooms(of user: UserID) async throws(RelayError) -> [RoomResponse]
  /// `roomNotFound` for all but members, as with everything below.
  func room(_ room: RoomID, for user: UserID) async throws(RelayError) -> RoomResponse
  func members(of room: RoomID, for user: UserID) async throws(RelayError) -> [MembersResponse.Member]
  /// Entries after `sequence` in order, at most `limit` and `bytes` (but one at least), and the room as it stands.
  ///
  /// A member sees entries from the commit that made it one; what came before is left out.
  func entries(of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int, for user: UserID)
    async throws(RelayError) -> LogResponse

  /// Stores messages of any rooms. `completion` is called once, from the store's own thread, after all of them are on
  /// disk, with one outcome for each in the same order. Calls complete in the order in which sequences were given, so
  /// that broadcasting from `completion` keeps each room's order; it should return soon, for the next writes wait. If
  /// too much is pending, or the store is closed, it is called at once on the caller's thread with `unavailable`.
  ///
  /// Each is checked in the transaction: that the device is the sender's (`deviceUnknown`), membership
  /// (`roomNotFound`), the epoch, and the send id, whose second use returns the first outcome
  /// if the content is the same, and is `sendIDReused` if it is not. An application message's epoch is within ``Limits/pastEpochs`` (`epochStale`, `epochUnknown`), a
  /// proposal's is the room's (`epochConflict`).
  func append(_ messages: [NewMessage], completion: @escaping @Sendable ([Result<Appended, RelayError>]) -> Void)
  /// Applies a commit by compare-and-set on the epoch (`epochConflict`); all of it in one transaction, or nothing.
  ///
  /// Removals come before additions; to remove who is no member or add who is one is no error. Added accounts must
  /// exist (`userNotFound`), recipients must be devices of members as they are then (`deviceUnknown`), and the sender
  /// cannot remove itself (`invalidRequest`). Welcomes of removed accounts to this room are deleted; a device keeps only
  /// the newest Welcome to a room.
  ///
  /// `stored` is called as `append` calls its completion: from the store's thread, in the order of sequences, before
  /// this returns. Broadcast there: whoever waits here may run after later entries were broadcast.
  func commit(
    _ commit: NewCommit, stored: @escaping @Sendable (Appended) -> Void
  ) async throws(RelayError) -> Appended
  /// Stores the leaver's proposal, for the room's epoch, and ends its membership. A retry finds the first outcome.
  /// `stored` is as with a commit.
  func leave(
    _ message: NewMessage, stored: @escaping @Sendable (Appended) -> Void
  ) async throws(RelayError) -> Appended

  // MARK: Welcomes

  func welcomes(for device: DeviceID) async throws(RelayError) -> [WelcomesResponse.Waiting]
  func deleteWelcome(_ id: UInt64, for device: DeviceID) async throws(RelayError)

  // MARK: Retention

  /// Erases what is past its time in some of the rooms; `after` is 0 and then what the last step named.
  func sweep(_ retention: Retention, after: Int64, now: UInt64) async throws(RelayError) -> SweepStep
  /// Makes what was erased and deleted unreadable in the database's files, as far as the database can.
  func scrub() async throws(RelayError)

  // MARK: Other nodes

  /// Where the rooms' logs end; those that do not exist are left out. For the relay's own use, as what follows is.
  func ends(of rooms: [RoomID]) async throws(RelayError) -> [RoomID: UInt64]
  /// Entries after `sequence` in order, at most `limit` and `bytes` (but one at least), with whom they removed.
  func feed(of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int) async throws(RelayError) -> [FeedEntry]
  /// Those of the sessions that have not ended.
  func liveSessions(among sessions: [UInt64]) async throws(RelayError) -> Set<UInt64>
  /// For each device that a Welcome waits for, a number that grows with each Welcome.
  func newestWelcomes(for devices: [DeviceID]) async throws(RelayError) -> [DeviceID: UInt64]

  /// 32 bytes that all relays on this store have in common, drawn when they are first asked for. Nobody else learns them.
  func nodeSecret() async throws(RelayError) -> [UInt8]

  // MARK: Operation

  /// How many devices have at most `count` one-time key packages left.
  func devicesLowOnKeyPackages(atMost count: Int) async throws(RelayError) -> Int
  /// How full the queue of writes is, from 0 to 1: at 1 the store refuses more.
  var backlog: Double { get }

  /// Whether the store answers: for `/readyz`.
  func check() async throws(RelayError)
  /// Finishes what was begun and closes; later calls throw `unavailable`.
  func close() async
}

extension RelayStore {
  package func createAccount(_ account: AccountRecord, devices: DeviceListRecord) async throws(RelayError) {
    try await createAccount(account, devices: devices, invite: nil, identity: nil, redeeming: nil)
  }

  package func createSession(_ session: SessionRecord) async throws(RelayError) {
    _ = try await createSession(session, redeeming: nil)
  }

  package func commit(_ commit: NewCommit) async throws(RelayError) -> Appended {
    try await self.commit(commit) { _ in }
  }

  package func leave(_ message: NewMessage) async throws(RelayError) -> Appended {
    try await leave(message) { _ in }
  }
}

package struct AccountRecord: Sendable, Hashable {
  package var id: UserID
  package var username: String
  package var email: String?
  /// PHC text of Argon2id, or ``noPassword``.
  package var passwordHash: String
  package var role: String
  package var created: UInt64
  package var state = AccountState.active
  package var phone: String?
  package var profile = Profile()
  /// What the person shows while connected.
  package var presence = PresenceStatus.online
  package var showsPresence = true
  package var lastSeen: UInt64 = 0

  /// Of accounts that log in with another issuer's tokens only: no password is right for it.
  package static let noPassword = ""

  package init(id: UserID, username: String, email: String?, passwordHash: String, role: String, created: UInt64) {
    (self.id, self.username, self.email) = (id, username, email)
    (self.passwordHash, self.role, self.created) = (passwordHash, role, created)
  }
}

package struct DeviceListRecord: Sendable, Hashable {
  package var number: UInt64
  package var devices: [DeviceID]
  /// The encoded ``SignedDeviceList``.
  package var encoded: [UInt8]

  package init(number: UInt64, devices: [DeviceID], encoded: [UInt8]) {
    (self.number, self.devices, self.encoded) = (number, devices, encoded)
  }
}

package struct SessionRecord: Sendable, Hashable {
  /// Drawn at random, below 2^63.
  package var id: UInt64
  package var user: UserID
  package var device: DeviceID
  /// SHA-256 of the refresh token: the token itself is never stored.
  package var refreshHash: [UInt8]
  package var created: UInt64
  package var expires: UInt64

  package init(id: UInt64, user: UserID, device: DeviceID, refreshHash: [UInt8], created: UInt64, expires: UInt64) {
    (self.id, self.user, self.device) = (id, user, device)
    (self.refreshHash, self.created, self.expires) = (refreshHash, created, expires)
  }
}

package struct NewMessage: Sendable {
  package var room: RoomID
  package var sender: UserID
  package var device: DeviceID
  package var request: SendRequest
  package var now: UInt64

  package init(room: RoomID, sender: UserID, device: DeviceID, request: SendRequest, now: UInt64) {
    (self.room, self.sender, self.device, self.request, self.now) = (room, sender, device, request, now)
  }
}

package struct NewCommit: Sendable {
  package var room: RoomID
  package var sender: UserID
  package var device: DeviceID
  package var request: CommitRequest
  package var now: UInt64

  package init(room: RoomID, sender: UserID, device: DeviceID, request: CommitRequest, now: UInt64) {
    (self.room, self.sender, self.device, self.request, self.now) = (room, sender, device, request, now)
  }
}

package struct Appended: Sendable {
  package var response: SendResponse
  /// What to broadcast, or `nil` where a retry found the entry stored and broadcast before.
  package var entry: LogEntry?

  package init(response: SendResponse, entry: LogEntry?) { (self.response, self.entry) = (response, entry) }
}
