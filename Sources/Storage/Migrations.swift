/// One step of a schema, both ways.
package struct Migration: Sendable {
  package let up: StaticString
  package let down: StaticString

  /// Statements separated by semicolons that lead one version up, and those that lead back.
  package init(up: StaticString, down: StaticString) { (self.up, self.down) = (up, down) }
}

/// All versions of a schema.
///
/// Version `n` is what the first `n` steps make; the database remembers its own.
///
/// A step that was released never changes again: what comes later is a new step.
package struct Migrations: Sendable {
  private let applicationID: Int64
  private let steps: [Migration]

  /// `applicationID` (32 bits, above zero) tells this kind of database from all others.
  package init(applicationID: Int32, _ steps: [Migration]) {
    (self.applicationID, self.steps) = (Int64(applicationID), steps)
  }

  /// The newest version.
  package var version: Int { steps.count }

  /// Brings the database to the newest version, each step in a transaction of its own.
  ///
  /// Throws `tooNew` if a newer program made it (update this one), `foreignFile` if it is of another kind.
  package func migrate(_ database: SQLiteDatabase) throws { try migrate(database, to: version) }

  /// Brings the database to a version of choice, up or down.
  ///
  /// Going down can lose data.
  package func migrate(_ database: SQLiteDatabase, to target: Int) throws {
    guard (0...version).contains(target) else { throw StorageError(.misuse) }
    while try step(database, towards: target) {}
  }

  /// The version of a database: 0 for an empty one.
  package func version(of database: SQLiteDatabase) throws -> Int {
    let applicationID = try Self.integer("PRAGMA application_id", in: database)
    let stored = try Self.integer("PRAGMA user_version", in: database)
    if applicationID == 0, stored == 0, try Self.integer("SELECT count(*) FROM sqlite_schema", in: database) == 0 {
      return 0
    }
    guard applicationID == self.applicationID, stored >= 0 else { throw StorageError(.foreignFile) }
    guard stored <= steps.count else { throw StorageError(.tooNew) }
    return Int(stored)
  }

  private func step(_ database: SQLiteDatabase, towards target: Int) throws -> Bool {
    // The version is read under the write lock: two programs that start at once take each step once.
    try database.transaction {
      let current = try version(of: database)
      guard current != target else { return false }
      let next = current < target ? current + 1 : current - 1
      try database.executeScript(current < target ? steps[current].up : steps[next].down)
      try database.setVersion(next, applicationID: applicationID)
      return next != target
    }
  }

  private static func integer(_ sql: SQL, in database: SQLiteDatabase) throws -> Int64 {
    guard let value = try database.first(sql, { try $0.integer(0) }) else { throw StorageError(.noRow) }
    return value
  }
}

extension SQLiteDatabase {
  /// The schema as text, the same for the same schema: for tests that compare.
  package func schemaDump() throws -> String {
    try query(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name"
    ) { try $0.text(0) + ";" }.joined(separator: "\n")
  }
}
