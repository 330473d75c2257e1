import Glibc
import Storage

extension Subcommand {
  /// The way back to an older relay, which refuses a schema that is newer than itself.
  static let schema = Subcommand(
    "schema",
    """
    Says which version the database's schema has and which one this program makes; with --to moves the database there.
    The relay itself only moves it forward, at its start.
    """,
    options: [
      Option(
        "to", "N",
        "Lead the schema to version N, also back for an older relay: what only the newer one keeps is lost. A SQLite relay must have ended; others on PostgreSQL go on."
      )
    ]
  ) { call async throws(SubcommandFailure) in
    let newest = RelaySchema.steps.count
    var target: Int?
    if let text = call.value("to") {
      guard let number = Int(text), (1...newest).contains(number) else {
        throw SubcommandFailure("--to takes a version from 1 to \(newest)", exitCode: SubcommandFailure.usage)
      }
      target = number
    }
    let version: Int
    switch call.configuration.store {
    case .sqlite: version = try sqlite(call.configuration.dataDirectory + "/relay.db", target)
    case .postgres: version = try postgres(call.configuration, target)
    }
    call.print("schema \(version)")
    call.print("program \(newest)")
  }

  private static func sqlite(_ path: String, _ target: Int?) throws(SubcommandFailure) -> Int {
    // Opening would make one.
    guard access(path, F_OK) == 0 else {
      throw SubcommandFailure(
        "there is no database", hint: "give the relay's own settings, such as --data",
        exitCode: SubcommandFailure.environment)
    }
    do {
      var options = SQLiteDatabase.Configuration()
      options.isReadOnly = target == nil
      options.secureDelete = true
      let lock = target == nil ? nil : try FileLock(path: path + ".lock")
      defer { withExtendedLifetime(lock) {} }
      let database = try SQLiteDatabase(path: path, configuration: options)
      if let target {
        try RelaySchema.sqlite.migrate(database, to: target)
        try database.checkpoint()
      }
      return try RelaySchema.sqlite.version(of: database)
    } catch { throw SubcommandFailure(StoreFault.sqliteStart(error)) }
  }

  private static func postgres(_ settings: RelayConfiguration, _ target: Int?) throws(SubcommandFailure) -> Int {
    let connection: PostgresConnection
    do throws(RelayError) {
      connection = PostgresConnection(try settings.postgresServer(), for: target == nil ? .reading : .writing)
    } catch { throw SubcommandFailure(error) }
    do {
      try connection.connect()
      if let target { try RelaySchema.postgres.migrate(connection, to: target) }
      return try RelaySchema.postgres.version(of: connection)
    } catch { throw SubcommandFailure(StoreFault.postgresStart(error)) }
  }
}
