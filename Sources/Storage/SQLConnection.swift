/// A connection to a database, of whatever make: what is written over it runs on SQLite and on PostgreSQL.
///
/// Statements keep to what both understand: `RETURNING`, `ON CONFLICT`, `FILTER`, and no function that only one has. Rows that are
/// read to be changed are locked by `\(lock: "table")`, which only several writers need. It belongs to one thread.
package protocol SQLConnection: AnyObject {
  /// Runs one statement and tells how many rows it inserted, changed or deleted; rows that it gives are passed over.
  ///
  /// Throws what it failed with: `notUnique`, `foreignKey` and `constraint` are for the caller to interpret.
  @discardableResult
  func execute(_ sql: SQL) throws(StorageError) -> Int

  /// Calls `body` with each row in turn, for as long as it returns true.
  func forEach(_ sql: SQL, _ body: (borrowing Row) throws -> Bool) throws

  /// Rows changed since the connection was opened.
  var totalChanges: Int { get }

  /// Runs `body` in a transaction, which is on disk when this returns, and undone if `body` throws.
  @discardableResult
  func transaction<T>(_ body: () throws -> T) throws -> T

  /// Runs `body` on one unchanging view of the database.
  @discardableResult
  func snapshot<T>(_ body: () throws -> T) throws -> T

  /// Runs `body` inside a transaction so that only its own changes are undone if it throws.
  @discardableResult
  func savepoint<T>(_ body: () throws -> T) throws -> T
}

extension SQLConnection {
  /// What `read` makes of each row, in order.
  package func query<T>(_ sql: SQL, _ read: (borrowing Row) throws -> T) throws -> [T] {
    var results: [T] = []
    try forEach(sql) { row in
      results.append(try read(row))
      return true
    }
    return results
  }

  /// What `read` makes of the first row, or nil where there is none.
  package func first<T>(_ sql: SQL, _ read: (borrowing Row) throws -> T) throws -> T? {
    var result: T?
    try forEach(sql) { row in
      result = try read(row)
      return false
    }
    return result
  }

  /// The key that an `INSERT … RETURNING key` gave.
  package func insert(_ sql: SQL) throws -> Int64 {
    guard let key = try first(sql, { try $0.integer(0) }) else { throw StorageError(.noRow) }
    return key
  }
}
