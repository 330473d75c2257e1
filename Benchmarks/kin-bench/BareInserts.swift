import BenchKit
import CPostgres
import Storage

/// What the disk and the database give without checks, send ids or threads: rows of 64 rooms, durable in batches of 100.
protocol BareInserts: AnyObject {
  /// Inserts the next hundred rows, the first of which has that number; they are on disk when it returns.
  func insertHundred(from number: Int) throws
}

enum Bare {
  static let content = [UInt8](repeating: 0x5A, count: Dialect.payloadBytes)

  /// Returns rows a second; `rows` counts those that are there.
  static func insert(_ count: Int, into table: any BareInserts, after rows: inout Int) throws -> Double {
    let start = ContinuousClock.now
    let end = rows + count
    while rows < end {
      try table.insertHundred(from: rows)
      rows += 100
    }
    return Double(count) / (ContinuousClock.now - start).seconds
  }
}

final class SQLiteInserts: BareInserts {
  private let database: SQLiteDatabase
  private let insert: Statement

  init(in folder: Folder) throws {
    var configuration = SQLiteDatabase.Configuration()
    configuration.cacheBytes = 64 << 20
    configuration.checkpointPages = 16_384
    database = try SQLiteDatabase(path: folder.path + "/bare.db", configuration: configuration)
    try database.executeScript(
      """
      CREATE TABLE entry (key INTEGER PRIMARY KEY, room INTEGER, sequence INTEGER, message BLOB,
        UNIQUE (room, sequence))
      """)
    insert = try database.prepare("INSERT INTO entry (room, sequence, message) VALUES (?, ?, ?)")
  }

  func insertHundred(from number: Int) throws {
    try database.transaction {
      for number in number..<number + 100 {
        try insert.run(.integer(Int64(number % 64)), .integer(Int64(number / 64 + 1)), .blob(Bare.content))
      }
    }
  }
}

/// One prepared statement of a hundred rows, its values in binary.
final class PostgresInserts: BareInserts {
  private let connection: OpaquePointer

  init(at address: String) throws {
    guard let connection = PQconnectdb(address), PQstatus(connection) == CONNECTION_OK else {
      throw Child.Failed(what: "PostgreSQL cannot be reached")
    }
    self.connection = connection
    try check(
      PQexec(
        connection,
        """
        CREATE TABLE entry (key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, room bigint, sequence bigint,
          message bytea, UNIQUE (room, sequence))
        """))
    let rows = (0..<100).map { "($\(3 * $0 + 1), $\(3 * $0 + 2), $\(3 * $0 + 3))" }
    let text = "INSERT INTO entry (room, sequence, message) VALUES " + rows.joined(separator: ", ")
    // Two numbers of eight bytes, and bytes.
    let types: [Oid] = (0..<300).map { $0 % 3 == 2 ? 17 : 20 }
    try check(PQprepare(connection, "insert", text, 300, types))
  }

  deinit { PQfinish(connection) }

  func insertHundred(from number: Int) throws {
    var numbers: [UInt64] = []
    for number in number..<number + 100 {
      numbers += [UInt64(number % 64).bigEndian, UInt64(number / 64 + 1).bigEndian]
    }
    let lengths: [Int32] = (0..<300).map { $0 % 3 == 2 ? Int32(Bare.content.count) : 8 }
    let formats = [Int32](repeating: 1, count: 300)
    try numbers.withUnsafeBytes { numbers in
      try Bare.content.withUnsafeBytes { content in
        let values = (0..<300).map { place in
          (place % 3 == 2 ? content.baseAddress : numbers.baseAddress.map { $0 + place / 3 * 16 + place % 3 * 8 })?
            .assumingMemoryBound(to: CChar.self)
        }
        try check(PQexecPrepared(connection, "insert", 300, values, lengths, formats, 0))
      }
    }
  }

  private func check(_ result: OpaquePointer?) throws {
    defer { PQclear(result) }
    guard PQresultStatus(result) == PGRES_COMMAND_OK else { throw Child.Failed(what: "PostgreSQL refused an insert") }
  }
}
