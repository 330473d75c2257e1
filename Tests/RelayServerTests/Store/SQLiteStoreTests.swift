import Glibc
import RelayProtocol
import Storage
import Synchronization
import Testing

@testable import RelayServer

/// What only the SQLite store promises: its file, its schema, and how it dies.
@Suite struct SQLiteStoreTests {
  @Test func everyFileIsForItsOwnerAlone() async throws {
    let world = try StoreWorld(.sqlite)
    _ = try await world.person("alice")
    #expect(world.folder.files() == ["relay.db", "relay.db-shm", "relay.db-wal", "relay.db.lock"])
    for name in world.folder.files() {
      var status = stat()
      #expect(stat(world.folder.path + "/" + name, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600, "\(name)")
    }
    await world.store.close()
    #expect(world.folder.files() == ["relay.db", "relay.db.lock"])
  }

  @Test func aStoreIsOpenOnce() async throws {
    let world = try StoreWorld(.sqlite)
    #expect(throws: StorageError(.inUse)) { try SQLiteStore(path: world.folder.database) }
    await world.store.close()
    await (try SQLiteStore(path: world.folder.database)).close()
  }

  @Test func twoStoresHaveTwoIncarnations() async throws {
    let (one, two) = (try StoreWorld(.sqlite), try StoreWorld(.sqlite))
    #expect(one.store.incarnation != two.store.incarnation)
  }

  // MARK: Schema

  @Test func theFrozenFirstSchemaBecomesTheCommittedOne() throws {
    let database = try SQLiteDatabase(path: ":memory:")
    try database.executeScript(FrozenSchema.first)
    try RelaySchema.sqlite.migrate(database)
    #expect(try database.schemaDump() == FrozenSchema.current)
    let fresh = try SQLiteDatabase(path: ":memory:")
    try RelaySchema.sqlite.migrate(fresh)
    #expect(try fresh.schemaDump() == FrozenSchema.current)
  }

  @Test func theSchemaGoesDownAndUpAgain() throws {
    let database = try SQLiteDatabase(path: ":memory:")
    try RelaySchema.sqlite.migrate(database)
    try RelaySchema.sqlite.migrate(database, to: 0)
    #expect(try database.schemaDump() == "")
    try RelaySchema.sqlite.migrate(database)
    #expect(try database.schemaDump() == FrozenSchema.current)
  }

  @Test func theLogAndItsSendsPassTheStepBothWays() async throws {
    let world = try StoreWorld(.sqlite)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    let message = StoreWorld.message(room, from: alice)
    let sent = try #require(await world.store.send([message]).first).get()
    await world.store.close()
    do {
      let database = try SQLiteDatabase(path: world.folder.database)
      let dump = { try database.query("SELECT * FROM entry JOIN sent USING (room, sequence)") { try $0.blob(6) } }
      let before = try dump()
      #expect(before.count == 1)
      let version = RelaySchema.steps.firstIndex { $0.sqlite.up.description == RelaySchema.log.sqlite.up.description }
      try RelaySchema.sqlite.migrate(database, to: try #require(version))
      #expect(try dump() == before)
      #expect(throws: StorageError.self) { try database.execute("UPDATE sent SET device = 1000") }
      try RelaySchema.sqlite.migrate(database)
      #expect(try dump() == before)
    }
    let store = try SQLiteStore(path: world.folder.database)
    let again = try #require(await store.send([message]).first).get()
    #expect(again.response == sent.response && again.entry == nil)
    await store.close()
  }

  @Test func remembersTheNewestSends() {
    var sends = RecentSends(remembered: 8)
    let ids = (0..<20).map { _ in StoreWorld.random() as SendID }
    for (key, id) in ids.enumerated() {
      #expect(sends.key(of: id, by: 7) == nil)
      sends.insert(id, of: 7, key: Int64(key))
      #expect(sends.key(of: id, by: 7) == Int64(key))
      #expect(sends.key(of: id, by: 8) == nil, "another device's")
    }
    let known = ids.indices.filter { sends.key(of: ids[$0], by: 7) != nil }
    #expect(known.count <= 8 && known == Array((20 - known.count)..<20) && known.count >= 4)
  }

  @Test func aNewerSchemaIsRefused() async throws {
    let world = try StoreWorld(.sqlite)
    await world.store.close()
    try SQLiteDatabase(path: world.folder.database).executeScript("PRAGMA user_version = 1000")
    #expect(throws: StorageError(.tooNew)) { try SQLiteStore(path: world.folder.database) }
  }

  // MARK: Damage

  @Test func impossibleValuesAreErrorsNotCrashes() async throws {
    let world = try StoreWorld(.sqlite)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let damaged = try await world.room(of: alice, with: bob)
    let healthy = try await world.room(of: alice, with: bob)
    try await world.send(StoreWorld.message(damaged, from: alice, epoch: 1))
    await world.store.close()
    do {
      let database = try SQLiteDatabase(path: world.folder.database)
      let room = damaged.bytes
      try database.executeScript("PRAGMA ignore_check_constraints = ON")
      try database.execute(
        "UPDATE entry SET kind = 77 WHERE room = (SELECT key FROM room WHERE id = \(room)) AND sequence = 2")
      // The head claims less than the log holds: the next number is taken.
      try database.execute("UPDATE room SET last = 1 WHERE id = \(room)")
      try database.execute("UPDATE account SET id = x'01' WHERE username = 'bob'")
    }
    let store = try SQLiteStore(path: world.folder.database)
    #expect(
      try await refusal {
        _ = try await store.entries(of: damaged, after: 0, limit: 9, bytes: 999, for: alice.user)
      } == .internalError)
    #expect(try await refusal { _ = try await store.account(login: "bob") } == .internalError)
    let outcomes = await store.send([
      StoreWorld.message(healthy, from: alice, epoch: 1), StoreWorld.message(damaged, from: alice, epoch: 1),
      StoreWorld.message(healthy, from: alice, epoch: 1), StoreWorld.message(healthy, from: bob, epoch: 1),
    ])
    // One damaged room or account does not take the others of the batch with it.
    #expect(
      outcomes.map(\.refusal)
        == [nil, .internalError, nil, .internalError])
    #expect(try await store.room(healthy, for: alice.user).position.sequence == 3)
    let read = try await refusal {
      _ = try await store.members(of: healthy, for: alice.user)
    }
    #expect(read == .internalError)
    await store.close()
  }

  @Test func aFullQueueRefusesInsteadOfGrowing() async throws {
    let folder = StoreFolder()
    var configuration = SQLiteStore.Configuration()
    configuration.pendingWrites = 10
    let store = try SQLiteStore(path: folder.database, configuration: configuration)
    let outcomes = Mutex<[Result<Appended, RelayError>]>([])
    let (room, nobody) = (
      StoreWorld.random(RoomID.self),
      StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "")
    )
    // The writer is held inside the first completion, so that what follows can only wait.
    let gate = Mutex(())
    let isHeld = Mutex(false)
    gate.withLock { _ in
      store.append([StoreWorld.message(room, from: nobody)]) { _ in
        isHeld.withLock { $0 = true }
        gate.withLock { _ in }
      }
      while !isHeld.withLock({ $0 }) { usleep(1000) }
      for _ in 0..<50 {
        store.append([StoreWorld.message(room, from: nobody)]) { some in outcomes.withLock { $0 += some } }
      }
    }
    await store.close()
    let codes = outcomes.withLock { $0 }.map(\.refusal)
    #expect(codes.count { $0 == .unavailable } == 40)
    #expect(codes.count { $0 == .deviceUnknown } == 10)
  }

  @Test func rememberedSendsAreForgottenInTime() async throws {
    let folder = StoreFolder()
    var configuration = SQLiteStore.Configuration()
    configuration.sendRetention = 1000
    let store = try SQLiteStore(path: folder.database, configuration: configuration)
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
    let room: RoomID = StoreWorld.random()
    _ = try await store.createRoom(room, owner: alice.user, now: 1)
    for time in [1000, 1500, 9000] as [UInt64] {
      _ = await store.send((0..<1000).map { _ in StoreWorld.message(room, from: alice, now: time) })
    }
    await store.close()
    let database = try SQLiteDatabase(path: folder.database)
    #expect(try database.first("SELECT count(*) FROM sent") { try $0.count(0) } == 1000)
    #expect(try database.first("SELECT count(*) FROM entry") { try $0.count(0) } == 3000)
  }

  // MARK: Crashes

  private final class Acknowledgements: Sendable {
    let value = Atomic<Int>(0)
  }

  /// A process sends as fast as it can and is killed; whatever it was told is stored must be there.
  @Test(arguments: 1...4) func aKilledProcessLosesNothingItAcknowledged(_ round: Int) async throws {
    let folder = StoreFolder()
    let room: RoomID = StoreWorld.random()
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    let incarnation: UInt64
    do {
      let store = try SQLiteStore(path: folder.database)
      incarnation = store.incarnation
      try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
      _ = try await store.createRoom(room, owner: alice.user, now: 1)
      await store.close()
    }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [
        path = folder.path as String, room = room as RoomID, user = alice.user as UserID,
        device = alice.device as DeviceID, enough = round * 200 as Int
      ] in
      let alice = StoreWorld.Person(user: user, device: device, name: "alice")
      let store = try SQLiteStore(path: path + "/relay.db")
      let log = open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
      let count = Acknowledgements()
      await withTaskGroup { group in
        for task in 0..<16 as Range<UInt8> {
          group.addTask {
            for index in 0..<UInt16.max {
              let content = [task, UInt8(index >> 8), UInt8(index & 255)]
              guard let appended = try? await store.send([StoreWorld.message(room, from: alice, content)])[0].get()
              else { return }
              let sequence = appended.response.position.sequence
              let record = content + [UInt8(sequence >> 16 & 255), UInt8(sequence >> 8 & 255), UInt8(sequence & 255)]
              _ = record.withUnsafeBytes { write(log, $0.baseAddress, $0.count) }
              count.value.wrappingAdd(1, ordering: .relaxed)
            }
          }
        }
        group.addTask {
          while count.value.load(ordering: .relaxed) < enough { usleep(100) }
          // Anywhere within the work on a batch.
          usleep(.random(in: 0...3000))
          kill(getpid(), SIGKILL)
        }
      }
    }
    let acknowledged = try Self.acknowledged(folder.path + "/acknowledged")
    #expect(acknowledged.count >= round * 200)
    let store = try SQLiteStore(path: folder.database)
    #expect(store.incarnation == incarnation)
    var entries: [LogEntry] = []
    while case let page = try await store.entries(
      of: room, after: entries.last?.sequence ?? 0, limit: 500, bytes: 1 << 20, for: alice.user
    ).entries, !page.isEmpty { entries += page }
    #expect(entries.map(\.sequence) == Array(1...UInt64(entries.count)))
    #expect(Set(entries.map(\.message.bytes)).count == entries.count)
    let lost = acknowledged.filter { record in
      record.sequence > entries.count || entries[record.sequence - 1].message.bytes != record.content
    }
    #expect(lost.isEmpty)
    let next = try await store.send([StoreWorld.message(room, from: alice)])[0].get()
    #expect(next.response.position.sequence == UInt64(entries.count + 1))
    await store.close()
  }

  private static func acknowledged(_ path: String) throws -> [(content: [UInt8], sequence: Int)] {
    let descriptor = open(path, O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 8 << 20)
    let count = max(0, read(descriptor, &bytes, bytes.count))
    return stride(from: 0, to: count - count % 6, by: 6).map { start in
      let record = Array(bytes[start..<start + 6])
      return (Array(record[..<3]), Int(record[3]) << 16 | Int(record[4]) << 8 | Int(record[5]))
    }
  }
}
