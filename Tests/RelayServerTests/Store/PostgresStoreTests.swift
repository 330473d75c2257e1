import Glibc
import PostgresFixture
import RelayProtocol
import Storage
import Testing

@testable import RelayServer

/// What only the PostgreSQL store promises: its schema, its values, and how it is laid out and backed up.
@Suite struct PostgresStoreTests {
  private func connection(_ address: String) throws -> PostgresConnection {
    let connection = PostgresConnection(PostgresSettings(address), for: .writing)
    try connection.connect()
    return connection
  }

  private func store(_ address: String) throws -> PostgresStore {
    try PostgresStore(PostgresStore.Configuration(PostgresSettings(address)))
  }

  // MARK: Values

  @Test func valuesComeBackAsTheyWere() throws {
    let connection = try connection(try PostgresServer.shared().makeDatabase())
    try connection.script("CREATE TABLE thing (number bigint, text text, bytes bytea)")
    let rows: [(Int64?, String?, [UInt8]?)] = [
      (.max, "'; DROP TABLE thing; --", [0, 255]), (.min, "", []), (nil, nil, nil), (-1, "\u{1F331}\n\\", [92, 39]),
    ]
    for row in rows {
      try connection.execute("INSERT INTO thing VALUES (\(optional: row.0), \(optional: row.1), \(optional: row.2))")
    }
    let stored = try connection.query("SELECT number, text, bytes FROM thing") { row in
      (try row.optionalInteger(0), try row.optionalText(1), try row.optionalBlob(2))
    }
    #expect(stored.map(\.0) == rows.map(\.0))
    #expect(stored.map(\.1) == rows.map(\.1))
    #expect(stored.map(\.2) == rows.map(\.2))
    // Sums are numbers of any length here; only what fits is taken.
    let sums = try connection.query(
      """
      SELECT sum(n), 4 > 3 FROM (VALUES (120000000::bigint), (-7), (10000)) AS v (n)
      UNION ALL SELECT sum(n), false FROM (VALUES (0::bigint)) AS v (n)
      """
    ) { (try $0.integer(0), try $0.bool(1)) }
    #expect(sums.map(\.0) == [120_009_993, 0] && sums.map(\.1) == [true, false])
    #expect(throws: StorageError(.typeMismatch)) {
      try connection.first("SELECT sum(number) FROM (VALUES (9223372036854775807), (1)) AS v (number)") {
        try $0.integer(0)
      }
    }
    #expect(throws: StorageError(.typeMismatch)) { try connection.first("SELECT 0.5") { try $0.integer(0) } }
    #expect(throws: StorageError(.typeMismatch)) { try connection.first("SELECT now()") { try $0.text(0) } }
  }

  /// A plan is kept for as long as a connection lives: one made for empty tables must be right for full ones.
  @Test func whatWasSentIsFoundByItsID() async throws {
    let address = try PostgresServer.shared().makeDatabase()
    await (try store(address)).close()
    let connection = try connection(address)
    _ = try connection.simple("PREPARE earlier (bytea[], bytea[]) AS " + PostgresLog.selectEarlier.description)
    let plan = try connection.simple("EXPLAIN EXECUTE earlier ('{}', '{}')")
    let lines = (0..<plan.rows).map { plan.withBytes(row: $0, column: 0) { String(decoding: $0, as: UTF8.self) } }
    #expect(
      lines.contains { $0.contains("send_id = send.id)") && $0.contains("Index Cond") },
      "\(lines.joined(separator: "\n"))")
    #expect(!lines.contains { $0.contains("Seq Scan") }, "\(lines.joined(separator: "\n"))")
  }

  @Test func faultsAreTold() throws {
    let connection = try connection(try PostgresServer.shared().makeDatabase())
    try connection.script("CREATE TABLE thing (key bigint PRIMARY KEY CHECK (key < 100))")
    try connection.execute("INSERT INTO thing VALUES (1)")
    #expect(throws: StorageError(.notUnique)) { try connection.execute("INSERT INTO thing VALUES (1)") }
    #expect(throws: StorageError(.constraint)) { try connection.execute("INSERT INTO thing VALUES (100)") }
    #expect(throws: StorageError(.statement)) { try connection.execute("SELECT nonsense") }
    #expect(throws: StorageError(.misuse)) {
      try connection.forEach("SELECT key FROM thing") { _ in
        try connection.execute("SELECT 1")
        return true
      }
    }
    // Only the part that failed is undone, and what was not cared about undoes everything.
    try connection.transaction {
      try connection.execute("INSERT INTO thing VALUES (2)")
      _ = try? connection.savepoint { try connection.execute("INSERT INTO thing VALUES (1)") }
    }
    #expect(throws: StorageError(.notUnique)) {
      try connection.transaction {
        try connection.execute("INSERT INTO thing VALUES (3)")
        _ = try? connection.execute("INSERT INTO thing VALUES (1)")
      }
    }
    #expect(try connection.query("SELECT key FROM thing ORDER BY key") { try $0.integer(0) } == [1, 2])
    #expect(PostgresConnection.translated("a ? b ? \\") == "a $1 b $2 \\")
    let locked: SQL = "SELECT key FROM room WHERE key = \(1) \(lock: "room")"
    #expect(
      PostgresConnection.translated(locked.text) == "SELECT key FROM room WHERE key = $1 FOR NO KEY UPDATE OF room")
  }

  // MARK: Schema

  /// Everything that the schema consists of, as text.
  private func dump(_ address: String) throws -> [String] {
    try PostgresServer.shared().run(
      """
      SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
        || coalesce(column_default, identity_generation, '')
      FROM information_schema.columns WHERE table_schema = 'public'
      UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
      UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
      UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
      UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      ORDER BY 1
      """, in: address
    ).compactMap { $0[0] }
  }

  @Test func theSchemaGoesDownAndUpAgain() throws {
    let (one, two) = (try PostgresServer.shared().makeDatabase(), try PostgresServer.shared().makeDatabase())
    let (first, second) = (try connection(one), try connection(two))
    try RelaySchema.postgres.migrate(first)
    let schema = try dump(one)
    #expect(schema.count > 60)
    // Step by step, and every step back and forth.
    for version in 1...RelaySchema.postgres.version {
      try RelaySchema.postgres.migrate(second, to: version)
      let before = try dump(two)
      try RelaySchema.postgres.migrate(second, to: version - 1)
      try RelaySchema.postgres.migrate(second, to: version)
      #expect(try dump(two) == before, "version \(version)")
    }
    #expect(try dump(two) == schema)
    try RelaySchema.postgres.migrate(first, to: 0)
    #expect(try dump(one) == [])
  }

  @Test func nodesThatStartTogetherTakeEachStepOnce() async throws {
    let address = try PostgresServer.shared().makeDatabase()
    let stores = try await withThrowingTaskGroup(of: PostgresStore.self) { group in
      for _ in 0..<4 { group.addTask { try PostgresStore(.init(PostgresSettings(address))) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(stores.map(\.incarnation)).count == 1)
    for store in stores { await store.close() }
  }

  @Test func newerAndForeignDatabasesAreRefused() async throws {
    let server = try PostgresServer.shared()
    let address = try server.makeDatabase()
    await (try store(address)).close()
    try server.run("UPDATE kin_schema SET version = 1000", in: address)
    #expect(throws: StorageError(.tooNew)) { try store(address) }
    try server.run("UPDATE kin_schema SET version = 1, application = 7", in: address)
    #expect(throws: StorageError(.foreignFile)) { try store(address) }
    let foreign = try server.makeDatabase()
    try server.run("CREATE TABLE recipes (name text)", in: foreign)
    #expect(throws: StorageError(.foreignFile)) { try store(foreign) }
    #expect(throws: StorageError(.cannotOpen)) { try store("host=/nowhere dbname=none") }
  }

  @Test func theSchemaMovesWhileTheRelayServes() async throws {
    let address = try PostgresServer.shared().makeDatabase()
    let store = try store(address)
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
    let room: RoomID = StoreWorld.random()
    _ = try await store.createRoom(room, owner: alice.user, now: 1)
    let next = PostgresMigrations(
      applicationID: 0x4B69_6E52,
      RelaySchema.steps.map(\.postgres) + [
        Migration(
          up: "ALTER TABLE entry ADD COLUMN colour bigint NOT NULL DEFAULT 7; CREATE INDEX by_colour ON entry (colour)",
          down: "ALTER TABLE entry DROP COLUMN colour")
      ])
    async let moved: Void = { @Sendable in
      let connection = try self.connection(address)
      for _ in 0..<10 {
        try next.migrate(connection)
        try next.migrate(connection, to: next.version - 1)
      }
    }()
    for number in 0..<400 as Range<Int> {
      let outcome = await store.send([StoreWorld.message(room, from: alice, [UInt8(number & 255)])])[0]
      #expect(outcome.refusal == nil)
      _ = try await store.entries(of: room, after: 0, limit: 10, bytes: 1000, for: alice.user)
    }
    try await moved
    #expect(try await store.room(room, for: alice.user).position.sequence == 400)
    await store.close()
  }

  // MARK: Damage

  @Test func oneDamagedRoomDoesNotTakeOthersWithIt() async throws {
    let server = try PostgresServer.shared()
    let address = try server.makeDatabase()
    let store = try store(address)
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
    let (damaged, healthy): (RoomID, RoomID) = (StoreWorld.random(), StoreWorld.random())
    for room in [damaged, healthy] { _ = try await store.createRoom(room, owner: alice.user, now: 1) }
    _ = await store.send([StoreWorld.message(damaged, from: alice)])
    // The head claims less than the log holds: the next number is taken.
    try server.run("UPDATE room SET last = 0 WHERE last = 1", in: address)
    let outcomes = await store.send([
      StoreWorld.message(healthy, from: alice), StoreWorld.message(damaged, from: alice),
      StoreWorld.message(healthy, from: alice),
    ])
    #expect(outcomes.map(\.refusal) == [nil, .internalError, nil])
    await store.close()
  }

  // MARK: Growing and keeping

  /// The layout for growth: entries spread over partitions by hash of their room.
  @Test func theLogCanBePartitionedByRoom() async throws {
    let server = try PostgresServer.shared()
    let address = try server.makeDatabase()
    await (try store(address)).close()
    try server.run(
      """
      BEGIN;
      ALTER TABLE entry RENAME TO entry_whole;
      CREATE TABLE entry (LIKE entry_whole INCLUDING DEFAULTS INCLUDING STORAGE, PRIMARY KEY (room, sequence))
        PARTITION BY HASH (room);
      CREATE TABLE entry_0 PARTITION OF entry FOR VALUES WITH (MODULUS 4, REMAINDER 0);
      CREATE TABLE entry_1 PARTITION OF entry FOR VALUES WITH (MODULUS 4, REMAINDER 1);
      CREATE TABLE entry_2 PARTITION OF entry FOR VALUES WITH (MODULUS 4, REMAINDER 2);
      CREATE TABLE entry_3 PARTITION OF entry FOR VALUES WITH (MODULUS 4, REMAINDER 3);
      INSERT INTO entry SELECT * FROM entry_whole;
      DROP TABLE entry_whole;
      COMMIT
      """, in: address)
    let store = try store(address)
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
    var rooms: [RoomID] = []
    for _ in 0..<32 {
      let room: RoomID = StoreWorld.random()
      rooms.append(room)
      _ = try await store.createRoom(room, owner: alice.user, now: 1)
      _ = try await store.commit(StoreWorld.commit(room, from: alice, epoch: 0))
    }
    let message = StoreWorld.message(rooms[0], from: alice, epoch: 1)
    for _ in 0..<5 {
      let outcomes = await store.send(rooms.map { StoreWorld.message($0, from: alice, epoch: 1) } + [message])
      #expect(outcomes.allSatisfy { $0.refusal == nil })
    }
    for (index, room) in rooms.enumerated() {
      let log = try await store.entries(of: room, after: 0, limit: 100, bytes: 1 << 20, for: alice.user)
      #expect(log.entries.map(\.sequence) == Array(1...(index == 0 ? 7 : 6)))
    }
    // Each partition has its share, and a room's log lies in one.
    let counts = try server.run(
      "SELECT tableoid::regclass::text, count(DISTINCT room) FROM entry GROUP BY 1", in: address)
    #expect(counts.count == 4)
    #expect(counts.compactMap { $0[1].flatMap(Int.init) }.reduce(0, +) == rooms.count)
    await store.close()
  }

  /// The drill of docs/operations.md: dump, restore, and begin a new incarnation.
  @Test func aRestoredDumpBeginsANewIncarnation() async throws {
    let server = try PostgresServer.shared()
    let (old, new) = (try server.makeDatabase(), try server.makeDatabase())
    let store = try store(old)
    let alice = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    try await store.createAccount(StoreWorld.account(alice), devices: StoreWorld.list(1, alice.device))
    let room: RoomID = StoreWorld.random()
    _ = try await store.createRoom(room, owner: alice.user, now: 1)
    let message = StoreWorld.message(room, from: alice)
    _ = await store.send([message])
    // While the relay serves.
    try server.copy(old, to: new)
    _ = await store.send([StoreWorld.message(room, from: alice)])
    try server.run(
      "UPDATE relay SET incarnation = ('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint", in: new)
    let restored = try self.store(new)
    #expect(restored.incarnation != store.incarnation)
    #expect(try await restored.room(room, for: alice.user).position.sequence == 1)
    // A retry is still known, and the log goes on.
    #expect(try await restored.send([message])[0].get().entry == nil)
    #expect(try await restored.send([StoreWorld.message(room, from: alice)])[0].get().response.position.sequence == 2)
    await store.close()
    await restored.close()
  }
}
