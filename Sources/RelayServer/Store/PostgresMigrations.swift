import Storage

/// All versions of a schema in PostgreSQL. A table of its own holds the version; nodes that start together take each
/// step once, because each step is taken under a lock.
struct PostgresMigrations: Sendable {
  private let applicationID: Int64
  private let steps: [Migration]

  init(applicationID: Int32, _ steps: [Migration]) {
    (self.applicationID, self.steps) = (Int64(applicationID), steps)
  }

  var version: Int { steps.count }

  /// Brings the database to the newest version, each step in a transaction of its own, while others use it.
  ///
  /// Throws `tooNew` if a newer program made it (update this one), `foreignFile` if it holds something else.
  func migrate(_ connection: PostgresConnection) throws { try migrate(connection, to: version) }

  /// Brings the database to a version of choice, up or down.
  ///
  /// Going down can lose data.
  func migrate(_ connection: PostgresConnection, to target: Int) throws {
    guard (0...version).contains(target) else { throw StorageError(.misuse) }
    while try step(connection, towards: target) {}
  }

  /// The version of a database: 0 for an empty one.
  func version(of connection: PostgresConnection) throws -> Int {
    guard try exists("kin_schema", connection) else {
      // Whatever lives here is not ours to add to.
      let tables = try connection.first(
        """
        SELECT count(*) FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.to_regnamespace(pg_catalog.current_schema()) AND relkind IN ('r', 'p')
        """
      ) { try $0.count(0) }
      guard tables == 0 else { throw StorageError(.foreignFile) }
      return 0
    }
    let stored = try connection.first("SELECT application, version FROM kin_schema") { row in
      (application: try row.integer(0), version: try row.count(1))
    }
    guard let stored, stored.application == applicationID else { throw StorageError(.foreignFile) }
    guard stored.version <= steps.count else { throw StorageError(.tooNew) }
    return stored.version
  }

  private func step(_ connection: PostgresConnection, towards target: Int) throws -> Bool {
    try connection.transaction {
      // Any number that nobody else locks will do: ours is the application's. Another node's step may take its time.
      try connection.script("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
      try connection.execute("SELECT pg_advisory_xact_lock(\(applicationID))")
      // Whoever serves meanwhile must not wait for a table that this step cannot get.
      try connection.script("SET LOCAL lock_timeout = '5s'")
      let current = try version(of: connection)
      guard current != target else { return false }
      let next = current < target ? current + 1 : current - 1
      try connection.script(current < target ? steps[current].up : steps[next].down)
      try connection.script(
        "CREATE TABLE IF NOT EXISTS kin_schema (application bigint NOT NULL, version bigint NOT NULL)")
      try connection.execute("DELETE FROM kin_schema")
      if next > 0 {
        try connection.execute("INSERT INTO kin_schema (application, version) VALUES (\(applicationID), \(next))")
      } else {
        try connection.script("DROP TABLE kin_schema")
      }
      return next != target
    }
  }

  private func exists(_ table: String, _ connection: PostgresConnection) throws -> Bool {
    try connection.first("SELECT to_regclass(\(table)) IS NOT NULL") { try $0.bool(0) } ?? false
  }
}
