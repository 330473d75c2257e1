import Glibc
import Testing

@testable import Storage

@Suite struct SQLiteDatabaseTests {
  let database: SQLiteDatabase

  init() throws {
    database = try SQLiteDatabase(path: ":memory:")
    try database.executeScript(
      """
      CREATE TABLE thing (key INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB, number INTEGER CHECK (number <> 13));
      CREATE TABLE part (thing INTEGER NOT NULL REFERENCES thing);
      """)
  }

  // MARK: Values

  @Test func valuesComeBackAsTheyWereBound() throws {
    let name = "Robert'); DROP TABLE thing;-- \0 ü"
    try database.execute(
      "INSERT INTO thing (name, data, number) VALUES (\(name), \([0, 255, 39] as [UInt8]), \(UInt64.max))")
    let row = try database.first("SELECT name, data, number FROM thing WHERE name = \(name)") { row in
      (try row.text(0), try row.blob(1), try row.unsigned(2))
    }
    let found = try #require(row)
    #expect(found == (name, [0, 255, 39], .max))
  }

  @Test func interpolatedTextIsNeverPartOfTheStatement() {
    let sql: SQL = "SELECT \(raw: "key") FROM thing WHERE name = \("x' OR 1=1") AND number = \(5 as Int64)"
    #expect(sql.text == "SELECT key FROM thing WHERE name = ? AND number = ?")
    #expect(sql.values == [.text("x' OR 1=1"), .integer(5)])
  }

  @Test func emptyValuesAreNotNull() throws {
    let nothing: String? = nil
    try database.execute("INSERT INTO thing (key, name, data) VALUES (1, \(""), \([] as [UInt8]))")
    try database.execute("INSERT INTO thing (key, name) VALUES (2, \(optional: nothing))")
    let rows = try database.query("SELECT name, data FROM thing ORDER BY key") { row in
      (try row.optionalText(0), try row.optionalBlob(1))
    }
    #expect(rows.count == 2)
    #expect(rows[0] == ("", []))
    #expect(rows[1] == (nil, nil))
  }

  @Test func readersRefuseOtherTypes() throws {
    try database.execute("INSERT INTO thing (name, number) VALUES ('a', 7)")
    func read<T>(_ read: (borrowing Row) throws -> T) throws {
      _ = try database.first("SELECT name, number, data FROM thing", read)
    }
    #expect(throws: StorageError(.typeMismatch)) { try read { try $0.integer(0) } }
    #expect(throws: StorageError(.typeMismatch)) { try read { try $0.blob(0) } }
    #expect(throws: StorageError(.typeMismatch)) { try read { try $0.text(1) } }
    #expect(throws: StorageError(.typeMismatch)) { try read { try $0.bool(1) } }
    #expect(throws: StorageError(.typeMismatch)) { try read { try $0.blob(2) } }
    #expect(throws: StorageError(.misuse)) { try read { try $0.text(3) } }
    #expect(throws: StorageError(.misuse)) { try read { try $0.isNull(-1) } }
  }

  @Test func textThatIsNotUTF8IsRefused() throws {
    try database.execute("INSERT INTO thing (name) VALUES (CAST(x'ff41' AS TEXT))")
    #expect(throws: StorageError(.typeMismatch)) {
      try database.first("SELECT name FROM thing") { try $0.text(0) }
    }
  }

  // MARK: Statements

  @Test func aStatementNestsInItsOwnRows() throws {
    for name in ["a", "b", "c"] { try database.execute("INSERT INTO thing (name) VALUES (\(name))") }
    let all = "SELECT name FROM thing ORDER BY name" as SQL
    let names = try database.query(all) { row in
      try row.text(0) + (try database.query(all) { try $0.text(0) }).joined()
    }
    #expect(names == ["aabc", "babc", "cabc"])
  }

  @Test func aPreparedStatementRunsOftenAndCountsItsParameters() throws {
    let insert = try database.prepare("INSERT INTO thing (name) VALUES (?)")
    for name in ["a", "b"] { try insert.run(.text(name)) }
    #expect(database.changes == 1)
    #expect(throws: StorageError(.misuse)) { try insert.run() }
    #expect(throws: StorageError(.notUnique)) { try insert.run(.text("a")) }
    try insert.run(.text("c"))
    #expect(try database.first("SELECT count(*) FROM thing") { try $0.count(0) } == 3)
  }

  @Test func oneStatementAtATime() throws {
    #expect(throws: StorageError(.misuse)) { try database.execute("DELETE FROM part; DELETE FROM thing") }
    #expect(throws: StorageError(.misuse)) { try database.execute("") }
    #expect(throws: StorageError(.statement)) { try database.execute("SELECT nonsense FROM nowhere") }
    // Double quotes name columns only: a misspelt one must not become a text.
    #expect(throws: StorageError(.statement)) { try database.execute("SELECT \"nonsense\" FROM thing") }
  }

  @Test func constraintsAreToldApart() throws {
    try database.execute("INSERT INTO thing (key, name) VALUES (1, 'a')")
    #expect(throws: StorageError(.notUnique)) { try database.execute("INSERT INTO thing (name) VALUES ('a')") }
    #expect(throws: StorageError(.notUnique)) { try database.execute("INSERT INTO thing (key) VALUES (1)") }
    #expect(throws: StorageError(.constraint)) { try database.execute("INSERT INTO thing (number) VALUES (13)") }
    #expect(throws: StorageError(.foreignKey)) { try database.execute("INSERT INTO part (thing) VALUES (99)") }
  }

  // MARK: Transactions

  private struct Stop: Error {}

  private func names() throws -> [String] {
    try database.query("SELECT name FROM thing ORDER BY key") { try $0.text(0) }
  }

  @Test func aTransactionIsAllOrNothing() throws {
    #expect(throws: Stop.self) {
      try database.transaction {
        try database.execute("INSERT INTO thing (name) VALUES ('a')")
        throw Stop()
      }
    }
    #expect(try names() == [])
    try database.transaction { try database.execute("INSERT INTO thing (name) VALUES ('b')") }
    #expect(try names() == ["b"])
  }

  @Test func aSavepointUndoesOnlyItsOwnPart() throws {
    try database.transaction {
      try database.execute("INSERT INTO thing (name) VALUES ('a')")
      #expect(throws: Stop.self) {
        try database.savepoint {
          try database.execute("INSERT INTO thing (name) VALUES ('b')")
          try database.savepoint { try database.execute("INSERT INTO thing (name) VALUES ('c')") }
          throw Stop()
        }
      }
      try database.savepoint { try database.execute("INSERT INTO thing (name) VALUES ('d')") }
    }
    #expect(try names() == ["a", "d"])
  }

  @Test func transactionsDoNotNestAndSavepointsNeedOne() throws {
    #expect(throws: StorageError(.misuse)) { try database.transaction { try database.transaction {} } }
    #expect(throws: StorageError(.misuse)) { try database.savepoint {} }
    try database.transaction {}
  }

  // MARK: Files

  @Test func filesAreForTheirOwnerAlone() throws {
    let folder = TemporaryFolder()
    let before = umask(0)
    defer { umask(before) }
    let database = try SQLiteDatabase(path: folder.path + "/a.db")
    try database.executeScript("CREATE TABLE thing (key INTEGER PRIMARY KEY)")
    #expect(folder.files() == ["a.db", "a.db-shm", "a.db-wal"])
    for name in folder.files() { #expect(folder.mode(of: name) == 0o600, "\(name)") }
  }

  @Test func whatIsCommittedIsSyncedAndTheSchemaIsNotTrusted() throws {
    let folder = TemporaryFolder()
    let database = try SQLiteDatabase(path: folder.path + "/a.db")
    func number(_ pragma: SQL) throws -> Int64? { try database.first(pragma) { try $0.integer(0) } }
    #expect(try database.first("PRAGMA journal_mode") { try $0.text(0) } == "wal")
    #expect(try number("PRAGMA synchronous") == 2)
    #expect(try number("PRAGMA foreign_keys") == 1)
    #expect(try number("PRAGMA trusted_schema") == 0)
    // The schema cannot be written around its own rules.
    try database.executeScript("CREATE TABLE thing (key INTEGER PRIMARY KEY); PRAGMA writable_schema = ON")
    #expect(throws: StorageError(.statement)) { try database.execute("UPDATE sqlite_schema SET sql = ''") }
  }

  @Test func aFileThatOthersCouldReadIsClosedToThem() throws {
    let folder = TemporaryFolder()
    folder.write([], to: "a.db", mode: 0o644)
    _ = try SQLiteDatabase(path: folder.path + "/a.db")
    #expect(folder.mode(of: "a.db") == 0o600)
  }

  @Test func committedIsThereForAnotherConnection() throws {
    let folder = TemporaryFolder()
    let writer = try SQLiteDatabase(path: folder.path + "/a.db")
    try writer.executeScript("CREATE TABLE thing (name TEXT)")
    var options = SQLiteDatabase.Configuration()
    options.isReadOnly = true
    let reader = try SQLiteDatabase(path: folder.path + "/a.db", configuration: options)
    try writer.transaction {
      try writer.execute("INSERT INTO thing (name) VALUES ('a')")
      #expect(try reader.first("SELECT count(*) FROM thing") { try $0.count(0) } == 0)
    }
    #expect(try reader.first("SELECT count(*) FROM thing") { try $0.count(0) } == 1)
    #expect(throws: StorageError(.readOnly)) { try reader.execute("DELETE FROM thing") }
  }

  @Test func aSecondWriterWaitsAndThenIsBusy() throws {
    let folder = TemporaryFolder()
    var options = SQLiteDatabase.Configuration()
    options.busyTimeout = 50
    let first = try SQLiteDatabase(path: folder.path + "/a.db", configuration: options)
    try first.executeScript("CREATE TABLE thing (name TEXT)")
    let second = try SQLiteDatabase(path: folder.path + "/a.db", configuration: options)
    try first.transaction {
      #expect(throws: StorageError(.busy)) { try second.transaction {} }
    }
    try second.transaction { try second.execute("INSERT INTO thing (name) VALUES ('a')") }
  }

  @Test func whatIsNoDatabaseIsRefused() throws {
    let folder = TemporaryFolder()
    folder.write(Array(repeating: 0x41, count: 8192), to: "text")
    #expect(throws: StorageError(.notADatabase)) { try SQLiteDatabase(path: folder.path + "/text") }
    #expect(throws: StorageError(.cannotOpen)) { try SQLiteDatabase(path: folder.path) }
    #expect(throws: StorageError(.cannotOpen)) { try SQLiteDatabase(path: folder.path + "/no/such") }
    #expect(throws: StorageError(.cannotOpen)) { try SQLiteDatabase(path: "") }
  }

  @Test func damagedPagesAreNoticedNotTrusted() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/a.db"
    do {
      let database = try SQLiteDatabase(path: path)
      try database.executeScript("CREATE TABLE thing (name TEXT)")
      try database.transaction {
        for index in 0..<2000 { try database.execute("INSERT INTO thing (name) VALUES (\("name \(index)"))") }
      }
      try database.checkpoint()
    }
    let descriptor = open(path, O_WRONLY)
    let noise = [UInt8](repeating: 0xA5, count: 4096)
    for page in 1..<8 { pwrite(descriptor, noise, noise.count, off_t(page * 4096)) }
    close(descriptor)
    #expect(throws: StorageError(.corrupt)) {
      let database = try SQLiteDatabase(path: path)
      _ = try database.query("SELECT name FROM thing") { try $0.text(0) }
    }
  }

  @Test func deletedContentIsOverwritten() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/a.db"
    var options = SQLiteDatabase.Configuration()
    options.secureDelete = true
    let database = try SQLiteDatabase(path: path, configuration: options)
    let secret = Array("the only copy of a secret".utf8)
    try database.executeScript("CREATE TABLE thing (data BLOB)")
    try database.execute("INSERT INTO thing (data) VALUES (\(secret))")
    try database.checkpoint()
    #expect(contains(secret, in: path))
    try database.execute("DELETE FROM thing")
    try database.checkpoint()
    #expect(!contains(secret, in: path))
    #expect(!contains(secret, in: path + "-wal"))
  }

  private func contains(_ needle: [UInt8], in path: String) -> Bool {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    let count = max(0, read(descriptor, &buffer, buffer.count))
    guard count >= needle.count else { return false }
    return (0...(count - needle.count)).contains { buffer[$0..<$0 + needle.count].elementsEqual(needle) }
  }

  @Test func aLockIsHeldByOne() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/lock"
    var lock: FileLock? = try FileLock(path: path)
    #expect(throws: StorageError(.inUse)) { try FileLock(path: path) }
    #expect(folder.mode(of: "lock") == 0o600)
    withExtendedLifetime(lock) {}
    lock = nil
    _ = try FileLock(path: path)
  }
}
