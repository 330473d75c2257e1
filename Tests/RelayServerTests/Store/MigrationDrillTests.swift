import Foundation
import Glibc
import PostgresFixture
import RelayProtocol
import Storage
import Synchronization
import Testing

@testable import RelayServer

/// The ways between versions on databases that hold something, with somebody at work on them meanwhile.
@Suite struct MigrationDrillTests {
  /// An older relay, as far as the database sees one: it numbers a room's entries, one a transaction.
  private final class OldRelay: Sendable {
    private let isOver = Atomic<Bool>(false)
    private let done = Milestone(count: 1)
    let written = Atomic<Int>(0)
    let failed = Atomic<Int>(0)

    init(_ open: @escaping @Sendable () throws -> any SQLConnection) {
      _ = WorkThread.start { [self] in
        if let database = try? open() {
          while !isOver.load(ordering: .relaxed) {
            do {
              try database.transaction {
                let last = try database.first("SELECT last FROM room WHERE key = 1 \(lock: "room")") {
                  try $0.integer(0)
                }
                let next = (last ?? 0) + 1
                try database.execute(
                  """
                  INSERT INTO entry (room, sequence, kind, epoch, time, message)
                  VALUES (1, \(next), 1, 0, \(next), \([UInt8](repeating: UInt8(next & 255), count: 300)))
                  """)
                try database.execute("UPDATE room SET last = \(next) WHERE key = 1")
              }
              written.add(1, ordering: .relaxed)
            } catch {
              // What a lock that is held too long looks like: the client tries again.
              failed.add(1, ordering: .relaxed)
            }
            // SQLite's lock knows no queue: who takes it again at once starves all others.
            usleep(3000)
          }
        }
        done.arrive()
      }
    }

    func wrote(atLeast count: Int) async throws {
      #expect(try await eventually { written.load(ordering: .relaxed) >= count })
    }

    func end() async {
      isOver.store(true, ordering: .relaxed)
      await done.wait()
    }
  }

  private static let user = UserID.random()
  private static let device = DeviceID.random()
  private static let room = RoomID.random()

  /// Somebody, a device and a room, in the words of the first version.
  private static func fill(_ database: any SQLConnection) throws {
    try database.execute("INSERT INTO relay (key, incarnation) VALUES (1, 77)")
    try database.execute(
      """
      INSERT INTO account (id, username, password_hash, role, created, list_number, list)
      VALUES (\(user), 'alice', '$argon2id$', 'user', 1, 1, \([1] as [UInt8]))
      """)
    try database.execute("INSERT INTO device (id, account) VALUES (\(device), 1)")
    try database.execute("INSERT INTO room (id, epoch, last, created) VALUES (\(room), 0, 0, 1)")
    try database.execute("INSERT INTO member (room, account, joined) VALUES (1, 1, 0)")
  }

  /// What somebody of a newer relay finds: all that the older one wrote, and a room that goes on.
  private static func expectAll(in store: any RelayStore, atLeast count: Int) async throws -> UInt64 {
    let last = try await store.room(room, for: user).position.sequence
    #expect(last >= UInt64(count))
    var after: UInt64 = 0
    while after < last {
      let page = try await store.entries(of: room, after: after, limit: 500, bytes: 1 << 22, for: user)
      #expect(page.entries.map(\.sequence) == Array(after + 1...after + UInt64(page.entries.count)))
      for entry in page.entries.prefix(3) {
        #expect(entry.message.bytes == [UInt8](repeating: UInt8(entry.sequence & 255), count: 300))
      }
      guard !page.entries.isEmpty else { break }
      after += UInt64(page.entries.count)
    }
    #expect(after == last)
    let alice = StoreWorld.Person(user: user, device: device, name: "alice")
    #expect(try await store.account(login: "alice")?.id == user)
    #expect(
      try await store.send([StoreWorld.message(room, from: alice)])[0].get().response.position.sequence == last + 1)
    return last + 1
  }

  @Test func fromTheFirstSchemaWhileSomebodyWritesToSQLite() async throws {
    let folder = StoreFolder()
    let database = try SQLiteDatabase(path: folder.database)
    try database.executeScript(FrozenSchema.first)
    try Self.fill(database)
    let path = folder.database
    let old = OldRelay { try SQLiteDatabase(path: path) }
    try await old.wrote(atLeast: 50)
    let store = try SQLiteStore(path: path)
    await old.end()
    let then = old.written.load(ordering: .relaxed)
    #expect(store.incarnation == 77)
    let last = try await Self.expectAll(in: store, atLeast: then)
    // Only a relay that has ended lets the schema go back.
    let held = try await BackupTests.run(["schema", "--data", folder.path, "--to", "1"])
    #expect(held.exit == 3 && held.complaint.contains("another process has the database open"))
    await store.close()
    let back = try await BackupTests.run(["schema", "--data", folder.path, "--to", "1"])
    #expect(back.exit == 0 && back.output.hasPrefix("schema 1\nprogram "), "\(back)")
    #expect(try database.first("SELECT count(*) FROM entry WHERE room = 1", { try $0.unsigned(0) }) == last)
    let now = try await BackupTests.run(["schema", "--data", folder.path])
    #expect(now.output == back.output)
    // And forward once more, as a relay's start does.
    let again = try SQLiteStore(path: path)
    #expect(try await again.room(Self.room, for: Self.user).position.sequence == last)
    await again.close()
  }

  @Test func fromTheFirstSchemaWhileSomebodyWritesToPostgreSQL() async throws {
    let server = try PostgresServer.shared()
    let address = try server.makeDatabase()
    try server.run("\(FrozenSchema.firstPostgres)", in: address)
    let connect: @Sendable () throws -> PostgresConnection = {
      let connection = PostgresConnection(PostgresSettings(address), for: .writing)
      try connection.connect()
      return connection
    }
    try Self.fill(try connect())
    let old = OldRelay(connect)
    try await old.wrote(atLeast: 50)
    let store = try PostgresStore(PostgresStore.Configuration(PostgresSettings(address)))
    let then = old.written.load(ordering: .relaxed)
    try await old.wrote(atLeast: then + 50)
    // Back and forth by the command, while both are at work.
    let folder = StoreFolder()
    let file = folder.path + "/database"
    try address.write(toFile: file, atomically: true, encoding: .utf8)
    chmod(file, 0o600)
    let newest = RelaySchema.steps.count
    for version in [newest - 1, newest] {
      let moved = try await BackupTests.run([
        "schema", "--store", "postgres", "--postgres-url-file", file, "--to", "\(version)",
      ])
      #expect(moved.exit == 0 && moved.output == "schema \(version)\nprogram \(newest)\n", "\(moved)")
    }
    try await old.wrote(atLeast: old.written.load(ordering: .relaxed) + 20)
    await old.end()
    #expect(old.failed.load(ordering: .relaxed) == 0)
    #expect(store.incarnation == 77)
    _ = try await Self.expectAll(in: store, atLeast: then)
    await store.close()
    let wrong = try await BackupTests.run(["schema", "--data", folder.path, "--to", "\(newest + 1)"])
    #expect(wrong.exit == 1)
  }

  /// A primary that became a standby, as far as a session sees it: nothing is acknowledged, nobody speaks of a bug, and
  /// once there is a server to write to all goes on by itself.
  @Test func aServerThatMayOnlyBeReadIsWaitedFor() async throws {
    let world = try StoreWorld(.postgres)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    try await world.send(StoreWorld.message(room, from: alice))
    let server = try PostgresServer.shared()
    let address = try world.folder.postgres()
    let name = try server.run("SELECT current_database()", in: address)[0][0] ?? ""
    func become(readOnly: Bool) throws {
      try server.run("ALTER DATABASE \(name) SET default_transaction_read_only = \(readOnly ? "on" : "off")")
      guard readOnly else { return }
      try server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)'")
    }
    try become(readOnly: true)
    for _ in 0..<2 {
      #expect(await world.send([StoreWorld.message(room, from: alice)])[0].refusal == .unavailable)
      #expect(try await refusal { _ = try await world.person("bob") } == .unavailable)
    }
    #expect(try await world.log(room, for: alice).last.sequence == 1)
    // The sessions that learned it are not kept: no second termination is needed.
    try become(readOnly: false)
    #expect(try await world.send(StoreWorld.message(room, from: alice)).response.position.sequence == 2)
    _ = try await world.person("bob")
    await world.store.close()
  }
}
