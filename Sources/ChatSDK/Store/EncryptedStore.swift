import CryptoPrimitives
import Storage
import Synchronization
import WireCodec

/// The store of one account: a SQLite file in which every value is sealed and every telling key is a keyed hash.
///
/// Associated data ties each value to its table and row, so that whoever can write the file cannot swap values. A whole
/// older copy of the file cannot be told from the newest by the file alone.
package final class EncryptedStore: ChatStore {
  private struct State {
    var database: SQLiteDatabase?
  }

  // SQLite's connection is not Sendable: the lock confines it to one caller at a time.
  private let lock = Mutex(())
  nonisolated(unsafe) private var state: State
  nonisolated(unsafe) private var fileLock: FileLock?
  private let keys: Keys
  /// Called before each write: how tests stop a client between any two of them.
  package let beforeWrite: (@Sendable () throws -> Void)?

  struct Keys: Sendable {
    let record: Secret
    let message: Secret
    let outbox: Secret
    let finding: Secret
    let index: Secret

    init(_ key: StoreKey) throws {
      record = try key.subkey("record")
      message = try key.subkey("message")
      outbox = try key.subkey("outbox")
      finding = try key.subkey("finding")
      index = try key.subkey("index")
    }
  }

  /// Opens the store or makes it.
  ///
  /// - Throws: `storeLocked`, `wrongPassphrase`, `storeDamaged`, `storeFailed`.
  package init(_ location: StoreLocation, beforeWrite: (@Sendable () throws -> Void)? = nil) async throws {
    var held: FileLock?
    for attempt in 0..<20 {
      do {
        held = try FileLock(path: location.path + ".lock")
        break
      } catch {
        guard error == StorageError(.inUse) else { throw ChatError(wrapping: error) }
        guard attempt < 19 else { throw ChatError(.storeLocked) }
        try await Task.sleep(for: .milliseconds(100))
      }
    }
    do {
      var configuration = SQLiteDatabase.Configuration()
      configuration.secureDelete = true
      let database = try SQLiteDatabase(path: location.path, configuration: configuration)
      try Self.migrations.migrate(database)
      keys = try Keys(try Self.unlock(database, location))
      state = State(database: database)
      fileLock = consume held
      self.beforeWrite = beforeWrite
    } catch { throw ChatError(wrapping: error) }
  }

  private static func unlock(_ database: SQLiteDatabase, _ location: StoreLocation) throws -> StoreKey {
    let stored = try database.first("SELECT value FROM meta WHERE name = 'key'") { try $0.blob(0) }
    if let stored { return try StoreKey.open(try StoreKey.Wrapping(stored: stored), for: location) }
    let (key, wrapping) = try StoreKey.make(for: location)
    try database.execute("INSERT INTO meta (name, value) VALUES ('key', \(wrapping.encoded))")
    return key
  }

  package func read<T>(_ body: (any StoreTransaction) throws -> T) throws -> T {
    try run { database in try database.snapshot { try body(SealedTransaction(database, keys, nil)) } }
  }

  package func write<T>(_ body: (any StoreTransaction) throws -> T) throws -> T {
    try run { database in
      try database.transaction {
        let result = try body(SealedTransaction(database, keys, beforeWrite))
        try beforeWrite?()
        return result
      }
    }
  }

  private func run<T>(_ body: (SQLiteDatabase) throws -> T) throws -> T {
    lock._unsafeLock()
    defer { lock._unsafeUnlock() }
    guard let database = state.database else { throw ChatError(.closed) }
    do { return try body(database) } catch { throw ChatError(wrapping: error) }
  }

  package func close() {
    lock._unsafeLock()
    defer { lock._unsafeUnlock() }
    try? state.database?.checkpoint()
    state.database = nil
    fileLock = nil
  }

  static let migrations = Migrations(
    applicationID: 0x4b69_6e43,
    [
      Migration(
        up: """
          CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
          CREATE TABLE record (
            number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
            UNIQUE (kind, key)
          ) STRICT;
          CREATE TABLE message (
            number INTEGER PRIMARY KEY, room BLOB NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL,
            own INTEGER NOT NULL, value BLOB NOT NULL, UNIQUE (room, id)
          ) STRICT;
          CREATE INDEX message_position ON message (room, position);
          CREATE TABLE outbox (
            number INTEGER PRIMARY KEY AUTOINCREMENT, room BLOB NOT NULL, value BLOB NOT NULL
          ) STRICT;
          CREATE INDEX outbox_room ON outbox (room, number);
          CREATE TABLE finding (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL) STRICT;
          """,
        down: """
          DROP TABLE finding; DROP TABLE outbox; DROP TABLE message; DROP TABLE record; DROP TABLE meta;
          """)
    ])
}
