import Glibc
import RelayProtocol
import Storage

/// Copies of the embedded store: made while the relay serves, verified, and put back.
///
/// A copy is one SQLite file. It holds what the relay's database holds (no key that could open a message) and not the
/// keys that sign access tokens: a restored relay without them makes new ones, and clients refresh their tokens.
struct Backup {
  /// What a verified copy holds.
  struct Contents: Equatable, Sendable {
    var accounts: Int
    var devices: Int
    var rooms: Int
    var entries: Int
    var incarnation: UInt64
  }

  let path: String

  // MARK: Making one

  /// Copies the database of a data folder as it is at this moment; the relay may go on serving.
  ///
  /// - Throws: `refused` when the file exists; `environment` when something cannot be read or written. Nothing stays
  ///   half done then.
  static func make(of folder: String, to path: String) throws(SubcommandFailure) -> (Backup, Contents) {
    let backup = Backup(path: path)
    guard access(path, F_OK) != 0 else {
      throw SubcommandFailure("the file exists", hint: "a backup is never written over another", exitCode: 5)
    }
    let partial = Backup(path: path + ".partial")
    unlink(partial.path)
    let contents: Contents
    do {
      var options = SQLiteDatabase.Configuration()
      options.isReadOnly = true
      let database = try SQLiteDatabase(path: folder + "/relay.db", configuration: options)
      try database.copy(to: partial.path)
      contents = try partial.verify()
      try partial.settle(as: path)
    } catch {
      unlink(partial.path)
      throw failure(error, doing: "the backup cannot be made")
    }
    return (backup, contents)
  }

  // MARK: Verifying

  /// Reads the whole file: its pages, its references, and that each room's log is there from its first entry to its last.
  ///
  /// - Throws: `refused` for a file that is damaged, of another program or of a newer relay.
  func verify() throws(SubcommandFailure) -> Contents {
    do {
      var options = SQLiteDatabase.Configuration()
      options.isReadOnly = true
      let database = try SQLiteDatabase(path: path, configuration: options)
      guard try RelaySchema.sqlite.version(of: database) > 0 else { throw StorageError(.foreignFile) }
      return try database.snapshot {
        try database.verify()
        guard try Self.count("SELECT count(*) FROM room WHERE \(raw: Self.hasGap)", database) == 0 else {
          throw StorageError(.corrupt)
        }
        guard let incarnation = try database.first("SELECT incarnation FROM relay", { try $0.unsigned(0) }) else {
          throw StorageError(.noRow)
        }
        return Contents(
          accounts: try Self.count("SELECT count(*) FROM account", database),
          devices: try Self.count("SELECT count(*) FROM device", database),
          rooms: try Self.count("SELECT count(*) FROM room", database),
          entries: try Self.count("SELECT count(*) FROM entry", database), incarnation: incarnation)
      }
    } catch { throw Self.failure(error, doing: "the backup is not good") }
  }

  /// Sequences are unique in a room, so as many as the last one's number, none below 1, are all of them.
  private static let hasGap: StaticString = """
    last <> (SELECT count(*) FROM entry WHERE entry.room = room.key)
    OR last <> (SELECT coalesce(max(sequence), 0) FROM entry WHERE entry.room = room.key)
    OR EXISTS (SELECT 1 FROM entry WHERE entry.room = room.key AND sequence < 1)
    """

  private static func count(_ sql: SQL, _ database: SQLiteDatabase) throws -> Int {
    try database.first(sql) { try $0.count(0) } ?? 0
  }

  // MARK: Putting back

  /// Makes the copy the database of a data folder that has none, under a new incarnation: clients see that the logs may
  /// lack what they have seen, and read them from the beginning.
  ///
  /// - Throws: as ``verify()``; `refused` when the folder has a database or a relay that runs.
  func restore(to folder: String) throws(SubcommandFailure) -> Contents {
    let contents = try verify()
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
      throw SubcommandFailure("the data folder cannot be made", exitCode: SubcommandFailure.environment)
    }
    let place = folder + "/relay.db"
    let partial = Backup(path: place + ".partial")
    do {
      // Held until all is in place: no relay starts meanwhile.
      let lock = try FileLock(path: place + ".lock")
      for name in [place, place + "-wal", place + "-shm"] where access(name, F_OK) == 0 {
        throw SubcommandFailure(
          "the data folder has a database already", hint: "move relay.db, relay.db-wal and relay.db-shm away first",
          exitCode: SubcommandFailure.refused)
      }
      unlink(partial.path)
      var options = SQLiteDatabase.Configuration()
      options.isReadOnly = true
      try SQLiteDatabase(path: path, configuration: options).copy(to: partial.path)
      var restored = contents
      restored.incarnation = try partial.beginAnew(after: contents.incarnation)
      try partial.settle(as: place)
      withExtendedLifetime(lock) {}
      return restored
    } catch {
      for suffix in ["", "-wal", "-shm"] { unlink(partial.path + suffix) }
      if let failure = error as? SubcommandFailure { throw failure }
      throw Self.failure(error, doing: "the backup cannot be restored")
    }
  }

  /// Draws another incarnation, and leaves one file with nothing beside it.
  private func beginAnew(after old: UInt64) throws -> UInt64 {
    let database = try SQLiteDatabase(path: path)
    var drawn = UInt64.random(in: .min ... .max)
    while drawn == old { drawn = .random(in: .min ... .max) }
    try database.execute("UPDATE relay SET incarnation = \(drawn)")
    try database.checkpoint()
    return drawn
  }

  // MARK: Files

  /// Brings the file to disk and gives it its name, at once and for good.
  private func settle(as name: String) throws {
    try Self.sync(path)
    guard rename(path, name) == 0 else { throw StorageError(.io) }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let folder = parts.joined(separator: "/")
    try Self.sync(parts.isEmpty ? "." : folder.isEmpty ? "/" : folder)
  }

  private static func sync(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(.io) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw StorageError(.io) }
  }

  private static func failure(_ error: any Error, doing what: String) -> SubcommandFailure {
    if let failure = error as? SubcommandFailure { return failure }
    guard let error = error as? StorageError else { return SubcommandFailure(what, exitCode: SubcommandFailure.bug) }
    let isRefused = [StorageError.Code.corrupt, .notADatabase, .foreignFile, .tooNew, .inUse, .typeMismatch, .noRow]
      .contains(error.code)
    return SubcommandFailure(
      "\(what): \(error.code.text)",
      exitCode: isRefused ? SubcommandFailure.refused : SubcommandFailure.environment)
  }
}

extension Subcommand {
  static let backup = Subcommand(
    "backup", "Copies the relay's SQLite database into one file, while the relay serves, and verifies the copy.",
    options: [
      Option(
        "to", "FILE", "Where to write the copy; made with mode 0600, and never over another file.", isRequired: true)
    ]
  ) { call async throws(SubcommandFailure) in
    let path = try call.required("to")
    guard call.configuration.store == .sqlite else {
      throw SubcommandFailure(
        "this copies a SQLite database, and the settings say store = postgres",
        hint: "pg_dump copies that one: docs/operations.md, Backing PostgreSQL up", exitCode: SubcommandFailure.usage)
    }
    let (_, contents) = try Backup.make(of: call.configuration.dataDirectory, to: path)
    call.print(contents)
    call.print("token-keys left-out")
  }

  static let restore = Subcommand(
    "restore", "Verifies a copy, and makes it the database of a data folder that has none.",
    options: [
      Option("from", "FILE", "The copy, as `backup` made it.", isRequired: true),
      Option("verify", nil, "Only verify the copy; the data folder is not looked at."),
    ]
  ) { call async throws(SubcommandFailure) in
    let backup = Backup(path: try call.required("from"))
    if call.has("verify") {
      call.print(try backup.verify())
    } else {
      guard call.configuration.store == .sqlite else {
        throw SubcommandFailure(
          "this restores a SQLite database, and the settings say store = postgres",
          hint: "pg_restore does it there: docs/operations.md, Backing PostgreSQL up", exitCode: SubcommandFailure.usage
        )
      }
      call.print(try backup.restore(to: call.configuration.dataDirectory))
    }
  }
}

extension Subcommand.Call {
  /// A line for each kind of thing.
  fileprivate func print(_ contents: Backup.Contents) {
    print("accounts \(contents.accounts)")
    print("devices \(contents.devices)")
    print("rooms \(contents.rooms)")
    print("entries \(contents.entries)")
    print("incarnation \(contents.incarnation)")
  }
}
