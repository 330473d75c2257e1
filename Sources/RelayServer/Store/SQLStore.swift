import CryptoPrimitives
package import RelayProtocol
package import Storage

/// A store in a database that speaks SQL: what each method does is written once, for all of them.
///
/// Each method names the work: ``StoreTables`` writes, and the extension of `SQLConnection` in `StoreReads.swift` reads.
package protocol SQLStore: RelayStore {
  /// Adds to a room's log, in a transaction that undoes only this part if it fails. `stored` is called on the writing
  /// thread, in the order in which sequences were given. `body` may be called again if the database had to undo it for
  /// others' sake.
  func write<T: Sendable>(
    in room: RoomID, bytes: Int, stored: @escaping @Sendable (T) -> Void,
    _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T

  /// Writes anything else; `bytes` says how much, if it is much.
  func write<T: Sendable>(
    bytes: Int, _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T

  /// Reads what is on disk, without waiting for writers.
  func read<T: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> T) async throws(RelayError) -> T
}

extension SQLStore {
  func write<T: Sendable>(_ body: @escaping @Sendable (StoreTables) throws -> T) async throws(RelayError) -> T {
    try await write(bytes: 0, body)
  }

  // MARK: Accounts and devices

  package func account(login: String) async throws(RelayError) -> AccountRecord? {
    try await read { try $0.account(login: login) }
  }

  package func account(id: UserID) async throws(RelayError) -> AccountRecord? {
    try await read { try $0.account(id: id) }
  }

  package func deviceList(of user: UserID) async throws(RelayError) -> DeviceListRecord? {
    try await read { try $0.deviceList(of: user) }
  }

  package func replaceDeviceList(of user: UserID, with list: DeviceListRecord) async throws(RelayError) {
    try await write { try $0.replaceDeviceList(of: user, with: list) }
  }

  package func updatePasswordHash(of user: UserID, to hash: String) async throws(RelayError) {
    try await write { try $0.updatePasswordHash(of: user, to: hash) }
  }

  // MARK: Sessions

  package func createSession(_ session: SessionRecord, redeeming redemption: Redemption?) async throws(RelayError)
    -> [UInt64]
  {
    try await write {
      if let redemption { try $0.redeem(redemption) }
      if let identity = redemption?.identity { try $0.require(identity, of: session.user) }
      return try $0.createSession(session)
    }
  }

  package func rotateSession(
    from old: [UInt8], to new: [UInt8], now: UInt64, expires: UInt64
  ) async throws(RelayError) -> SessionRecord {
    let session = try await write { try $0.rotateSession(from: old, to: new, now: now, expires: expires) }
    guard let session else { throw RelayError(.sessionEnded, "The refresh token is not good any more.") }
    return session
  }

  package func session(id: UInt64) async throws(RelayError) -> SessionRecord? {
    try await read { try $0.session(id: id) }
  }

  package func endSession(id: UInt64) async throws(RelayError) {
    try await write { try $0.endSession(id: id) }
  }

  // MARK: Key packages

  package func addKeyPackages(
    _ packages: [[UInt8]], lastResort: [UInt8]?, device: DeviceID
  ) async throws(RelayError) -> KeyPackageCount {
    try await write(bytes: packages.reduce(0) { $0 + $1.count }) {
      try $0.addKeyPackages(packages, lastResort: lastResort, device: device)
    }
  }

  package func keyPackageCount(device: DeviceID) async throws(RelayError) -> KeyPackageCount {
    try await read { try $0.keyPackageCount(device: device) }
  }

  package func claimKeyPackages(of user: UserID) async throws(RelayError) -> ClaimResponse {
    try await write { try $0.claimKeyPackages(of: user) }
  }

  // MARK: Rooms

  package func rooms(of user: UserID) async throws(RelayError) -> [RoomResponse] {
    try await read { [incarnation] in try $0.rooms(of: user, incarnation: incarnation) }
  }

  package func room(_ room: RoomID, for user: UserID) async throws(RelayError) -> RoomResponse {
    try await read { [incarnation] in try $0.room(room, for: user, incarnation: incarnation) }
  }

  package func members(of room: RoomID, for user: UserID) async throws(RelayError) -> [MembersResponse.Member] {
    try await read { try $0.members(of: room, for: user) }
  }

  package func entries(
    of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int, for user: UserID
  ) async throws(RelayError) -> LogResponse {
    try await read { [incarnation] in
      try $0.entries(of: room, after: sequence, limit: limit, bytes: bytes, for: user, incarnation: incarnation)
    }
  }

  package func commit(
    _ commit: NewCommit, stored: @escaping @Sendable (Appended) -> Void
  ) async throws(RelayError) -> Appended {
    let bytes = commit.request.message.bytes.count + (commit.request.welcome?.bytes.count ?? 0)
    return try await write(in: commit.room, bytes: bytes, stored: stored) { try $0.commit(commit) }
  }

  package func leave(
    _ message: NewMessage, stored: @escaping @Sendable (Appended) -> Void
  ) async throws(RelayError) -> Appended {
    try await write(in: message.room, bytes: message.request.message.bytes.count, stored: stored) {
      try $0.leave(message)
    }
  }

  // MARK: Retention

  package func sweep(_ retention: Retention, after: Int64, now: UInt64) async throws(RelayError) -> SweepStep {
    try await write { try $0.sweep(retention, after: after, now: now) }
  }

  // MARK: Operation

  package func devicesLowOnKeyPackages(atMost count: Int) async throws(RelayError) -> Int {
    try await read { try $0.devicesLowOnKeyPackages(atMost: count) }
  }

  // MARK: Other nodes

  package func ends(of rooms: [RoomID]) async throws(RelayError) -> [RoomID: UInt64] {
    try await read { try $0.ends(of: rooms) }
  }

  package func feed(
    of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int
  ) async throws(RelayError) -> [FeedEntry] {
    try await read { try $0.feed(of: room, after: sequence, limit: limit, bytes: bytes) }
  }

  package func liveSessions(among sessions: [UInt64]) async throws(RelayError) -> Set<UInt64> {
    try await read { try $0.liveSessions(among: sessions) }
  }

  package func newestWelcomes(for devices: [DeviceID]) async throws(RelayError) -> [DeviceID: UInt64] {
    try await read { try $0.newestWelcomes(for: devices) }
  }

  package func nodeSecret() async throws(RelayError) -> [UInt8] { try await write { try $0.nodeSecret() } }

  // MARK: Welcomes

  package func welcomes(for device: DeviceID) async throws(RelayError) -> [WelcomesResponse.Waiting] {
    try await read { [incarnation] in try $0.welcomes(for: device, incarnation: incarnation) }
  }

  package func deleteWelcome(_ id: UInt64, for device: DeviceID) async throws(RelayError) {
    try await write { try $0.deleteWelcome(id, for: device) }
  }
}

extension StoreTables {
  func nodeSecret() throws -> [UInt8] {
    try database.execute(
      "INSERT INTO node_secret (key, secret) VALUES (1, \(Random.bytes(32))) ON CONFLICT DO NOTHING")
    let stored = try database.first("SELECT secret FROM node_secret WHERE key = 1") { try $0.blob(0) }
    guard let stored, stored.count == 32 else { throw StorageError(.noRow) }
    return stored
  }
}

extension SQLConnection {
  /// The number of this database's logs, drawn when it is first asked for.
  func incarnation() throws -> UInt64 {
    try transaction {
      let drawn = UInt64.random(in: .min ... .max)
      try execute("INSERT INTO relay (key, incarnation) VALUES (1, \(drawn)) ON CONFLICT DO NOTHING")
      let stored = try first("SELECT incarnation FROM relay WHERE key = 1") { try $0.unsigned(0) }
      guard let stored else { throw StorageError(.noRow) }
      return stored
    }
  }
}
