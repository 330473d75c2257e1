import Testing

@testable import Storage

@Suite struct MigrationsTests {
  private static let steps = [
    Migration(up: "CREATE TABLE thing (key INTEGER PRIMARY KEY)", down: "DROP TABLE thing"),
    Migration(up: "ALTER TABLE thing ADD COLUMN name TEXT", down: "ALTER TABLE thing DROP COLUMN name"),
    Migration(up: "CREATE TABLE part (thing INTEGER); CREATE INDEX parts ON part (thing)", down: "DROP TABLE part"),
  ]
  private let all = Migrations(applicationID: 77, steps)

  @Test func everyPathLeadsToTheSameSchema() throws {
    // Each version, reached from each other one.
    var schemas: [String] = []
    for version in 0...3 {
      let database = try SQLiteDatabase(path: ":memory:")
      try all.migrate(database, to: version)
      #expect(try all.version(of: database) == version)
      schemas.append(try database.schemaDump())
    }
    #expect(Set(schemas).count == 4)
    for from in 0...3 {
      for to in 0...3 {
        let database = try SQLiteDatabase(path: ":memory:")
        try all.migrate(database, to: from)
        try all.migrate(database, to: to)
        #expect(try database.schemaDump() == schemas[to], "from \(from) to \(to)")
      }
    }
  }

  @Test func anOlderProgramRefusesANewerSchema() throws {
    let database = try SQLiteDatabase(path: ":memory:")
    try all.migrate(database)
    let older = Migrations(applicationID: 77, Array(Self.steps.prefix(2)))
    let before = try database.schemaDump()
    #expect(throws: StorageError(.tooNew)) { try older.migrate(database) }
    #expect(try database.schemaDump() == before)
  }

  @Test func aFileOfAnotherKindIsLeftAlone() throws {
    let database = try SQLiteDatabase(path: ":memory:")
    try all.migrate(database)
    #expect(throws: StorageError(.foreignFile)) {
      try Migrations(applicationID: 78, Self.steps).migrate(database)
    }
    let foreign = try SQLiteDatabase(path: ":memory:")
    try foreign.executeScript("CREATE TABLE recipes (name TEXT)")
    #expect(throws: StorageError(.foreignFile)) { try all.migrate(foreign) }
  }

  @Test func aStepThatFailsLeavesTheVersionBefore() throws {
    let database = try SQLiteDatabase(path: ":memory:")
    let broken = Migrations(
      applicationID: 77,
      Self.steps.prefix(1) + [Migration(up: "CREATE TABLE other (a); CREATE TABLE thing (b)", down: "")])
    #expect(throws: StorageError(.statement)) { try broken.migrate(database) }
    #expect(try all.version(of: database) == 1)
    #expect(try !database.schemaDump().contains("other"))
    try all.migrate(database)
  }
}
