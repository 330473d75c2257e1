import CSQLite
import Glibc

/// A connection to a SQLite file, in WAL mode with full sync: what was committed survives a power cut.
///
/// Not `Sendable`: it belongs to one thread or one actor, and the compiler keeps it there. A second thread opens a
/// second connection; readers and one writer do not hinder each other.
package final class SQLiteDatabase: SQLConnection {
  package struct Configuration: Sendable {
    /// Memory for pages.
    package var cacheBytes = 8 << 20
    /// How long the write-ahead log grows before its pages are moved into the file, in pages of 4 KiB.
    package var checkpointPages = 1000
    /// How long to wait for another writer before `busy`, in milliseconds.
    package var busyTimeout: Int32 = 5000
    /// Whether deleted content is overwritten with zeroes.
    ///
    /// The write-ahead log keeps older versions of pages until ``SQLiteDatabase/checkpoint()``.
    package var secureDelete = false
    /// Opens an existing file, for reading only.
    package var isReadOnly = false

    package init() {}
  }

  private let connection: Connection
  private var cache: [String: PreparedStatement] = [:]
  private var isInTransaction: Bool { sqlite3_get_autocommit(connection.handle) == 0 }

  /// Opens the database at `path`, and makes it if there is none, with mode 0600; `:memory:` is a database of its own.
  ///
  /// Throws `cannotOpen`, `notADatabase`, `corrupt` or `busy`: each is for the operator or the user to mend.
  package init(path: String, configuration: Configuration = Configuration()) throws(StorageError) {
    // As a file name this would quietly be a temporary database.
    guard !path.isEmpty else { throw StorageError(.cannotOpen) }
    if path != ":memory:" { try Self.prepareFile(path, isReadOnly: configuration.isReadOnly) }
    var handle: OpaquePointer?
    // One thread at a time uses a connection, so that SQLite need not lock. 0x02000000: extended result codes.
    let access = configuration.isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let result = sqlite3_open_v2(path, &handle, access | SQLITE_OPEN_NOMUTEX | 0x0200_0000, nil)
    guard let handle else { throw StorageError(.outOfMemory) }
    connection = Connection(handle: handle)
    guard result == SQLITE_OK else { throw StorageError(result: result) }
    try configure(configuration)
  }

  private func configure(_ configuration: Configuration) throws(StorageError) {
    sqlite3_busy_timeout(connection.handle, configuration.busyTimeout)
    // No value or statement of ours is near these sizes; a damaged file's may be.
    sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, 256 << 20)
    sqlite3_limit(connection.handle, SQLITE_LIMIT_ATTACHED, 0)
    // The schema of a damaged or hostile file must not be able to do more than hold data.
    for (option, value) in [
      (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_ENABLE_FKEY, 1),
      (SQLITE_DBCONFIG_DQS_DML, 0), (SQLITE_DBCONFIG_DQS_DDL, 0),
    ] as [(Int32, Int32)] {
      let result = kin_sqlite3_db_config(connection.handle, option, value)
      guard result == SQLITE_OK else { throw StorageError(result: result) }
    }
    // These pragmas take no parameters; the numbers come from the program's configuration.
    var pragmas = [
      "synchronous = FULL", "temp_store = MEMORY", "mmap_size = 0", "cell_size_check = ON",
      "cache_size = -\(configuration.cacheBytes.magnitude >> 10)",
      "secure_delete = \(configuration.secureDelete ? "ON" : "OFF")",
    ]
    if !configuration.isReadOnly {
      pragmas.insert("journal_mode = WAL", at: 0)
      pragmas.append("wal_autocheckpoint = \(configuration.checkpointPages.magnitude)")
      pragmas.append("journal_size_limit = \(configuration.checkpointPages.magnitude * 4096)")
    }
    for pragma in pragmas { try Statement("PRAGMA " + pragma, on: connection, isPersistent: false).run() }
  }

  /// How many other files may be attached.
  func allowAttached(_ count: Int32) throws(StorageError) {
    guard !isInTransaction else { throw StorageError(.misuse) }
    sqlite3_limit(connection.handle, SQLITE_LIMIT_ATTACHED, count)
  }

  // MARK: Running statements

  @discardableResult
  package func execute(_ sql: SQL) throws(StorageError) -> Int {
    let prepared = try checkOut(sql.text)
    defer { cache[sql.text] = prepared }
    try prepared.statement.run(sql.values)
    return Int(sqlite3_changes64(connection.handle))
  }

  package func forEach(_ sql: SQL, _ body: (borrowing Row) throws -> Bool) throws {
    let prepared = try checkOut(sql.text)
    defer { cache[sql.text] = prepared }
    try prepared.statement.forEach(sql.values, body)
  }

  /// Prepares a statement that the caller keeps; its parameters are written `?`.
  package func prepare(_ text: StaticString) throws(StorageError) -> Statement {
    try Statement(text.description, on: connection, isPersistent: true)
  }

  /// Runs statements separated by semicolons, without parameters: for schemas.
  package func executeScript(_ script: StaticString) throws(StorageError) {
    let result = sqlite3_exec(connection.handle, script.description, nil, nil, nil)
    guard result == SQLITE_OK else { throw StorageError(result: result) }
  }

  /// Rows that the last statement inserted, changed or deleted.
  package var changes: Int { Int(sqlite3_changes64(connection.handle)) }
  /// Rows changed since the connection was opened, those by foreign keys and triggers included.
  package var totalChanges: Int { Int(sqlite3_total_changes64(connection.handle)) }
  /// The key of the row inserted last.
  package var lastInsertedKey: Int64 { sqlite3_last_insert_rowid(connection.handle) }

  // MARK: Transactions

  /// Runs `body` in a transaction, which is on disk when this returns, and undone if `body` throws.
  ///
  /// The write lock is taken at once, so that a transaction never fails half-way for want of it. Throws `misuse` inside
  /// another transaction (there use ``savepoint(_:)``), `busy` without the lock, and whatever `body` throws.
  @discardableResult
  package func transaction<T>(_ body: () throws -> T) throws -> T { try transaction("BEGIN IMMEDIATE", body) }

  /// Runs `body` on one unchanging view of the database.
  @discardableResult
  package func snapshot<T>(_ body: () throws -> T) throws -> T { try transaction("BEGIN DEFERRED", body) }

  private func transaction<T>(_ begin: SQL, _ body: () throws -> T) throws -> T {
    guard !isInTransaction else { throw StorageError(.misuse) }
    try execute(begin)
    do {
      let result = try body()
      try execute("COMMIT")
      return result
    } catch {
      // Some failures (a full disk, for one) have rolled back already.
      if isInTransaction { _ = try? execute("ROLLBACK") }
      throw error
    }
  }

  /// Runs `body` inside a transaction so that only its own changes are undone if it throws.
  @discardableResult
  package func savepoint<T>(_ body: () throws -> T) throws -> T {
    guard isInTransaction else { throw StorageError(.misuse) }
    try execute("SAVEPOINT part")
    do {
      let result = try body()
      try execute("RELEASE part")
      return result
    } catch {
      if isInTransaction {
        try execute("ROLLBACK TO part")
        try execute("RELEASE part")
      }
      throw error
    }
  }

  /// Moves the write-ahead log into the file and empties it, as far as other connections let it.
  package func checkpoint() throws(StorageError) {
    let result = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard result == SQLITE_OK else { throw StorageError(result: result) }
  }

  /// Pragmas take no parameters; both numbers are the program's own.
  func setVersion(_ version: Int, applicationID: Int64) throws(StorageError) {
    try Statement("PRAGMA user_version = \(version)", on: connection, isPersistent: false).run()
    try Statement("PRAGMA application_id = \(applicationID)", on: connection, isPersistent: false).run()
  }

  // MARK: Statements and files

  /// Takes a statement out of the cache while it runs: the same text inside its own rows gets another.
  private func checkOut(_ text: String) throws(StorageError) -> PreparedStatement {
    if let prepared = cache.removeValue(forKey: text) { return prepared }
    // Texts stand in the source, so there are few; the bound is for mistakes.
    if cache.count >= 256 { cache.removeAll() }
    return PreparedStatement(try Statement(text, on: connection, isPersistent: true))
  }

  /// Makes the file for its owner alone; SQLite gives the files beside it the same mode.
  ///
  /// An existing file is not opened here: closing it would drop the locks that other connections of this process hold.
  private static func prepareFile(_ path: String, isReadOnly: Bool) throws(StorageError) {
    if !isReadOnly {
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
      if descriptor >= 0 {
        close(descriptor)
        return
      }
      guard errno == EEXIST else { throw StorageError(.cannotOpen) }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw StorageError(.cannotOpen) }
    if status.st_mode & 0o077 != 0, !isReadOnly, chmod(path, 0o600) != 0 { throw StorageError(.cannotOpen) }
  }
}

/// A statement in the cache, which holds copyable things only.
private final class PreparedStatement {
  let statement: Statement

  init(_ statement: consuming Statement) { self.statement = statement }
}
