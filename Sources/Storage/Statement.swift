import CSQLite

/// A prepared statement: parsed once, run often.
///
/// For hot paths that keep it; elsewhere ``SQLiteDatabase/execute(_:)`` caches by text. It cannot be copied and is
/// finalized when it goes out of scope.
package struct Statement: ~Copyable {
  private let connection: Connection
  private let handle: OpaquePointer
  private let columns: Int32
  private let parameters: Int32

  init(_ text: String, on connection: Connection, isPersistent: Bool) throws(StorageError) {
    var handle: OpaquePointer?
    var isAlone = true
    var text = text
    let flags = isPersistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
    let result = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        var tail: UnsafePointer<CChar>?
        let result = sqlite3_prepare_v3(
          connection.handle, characters.baseAddress, Int32(clamping: characters.count), flags, &handle, &tail)
        // A second statement behind the first would silently not run.
        if let tail, let start = characters.baseAddress {
          isAlone = characters[(tail - start)...].allSatisfy { [9, 10, 13, 32, 59].contains($0) }
        }
        return result
      }
    }
    guard result == SQLITE_OK else { throw StorageError(result: result) }
    guard let handle else { throw StorageError(.misuse) }
    guard isAlone else {
      sqlite3_finalize(handle)
      throw StorageError(.misuse)
    }
    self.connection = connection
    self.handle = handle
    columns = sqlite3_column_count(handle)
    parameters = sqlite3_bind_parameter_count(handle)
  }

  deinit { sqlite3_finalize(handle) }

  /// Runs to the end; rows, if any, are passed over.
  ///
  /// Throws what the statement failed with; nothing of it was done then.
  package borrowing func run(_ values: SQLValue...) throws(StorageError) { try run(values) }

  package borrowing func run(_ values: [SQLValue]) throws(StorageError) {
    try bind(values)
    defer { reset() }
    while try step() {}
  }

  /// Calls `body` with each row in turn, for as long as it returns true.
  package borrowing func forEach(_ values: [SQLValue], _ body: (borrowing Row) throws -> Bool) throws {
    try bind(values)
    defer { reset() }
    while try step() {
      guard try body(Row(handle: handle, columns: columns)) else { return }
    }
  }

  /// What `read` makes of the first row, or nil where there is none.
  package borrowing func first<T>(_ values: SQLValue..., read: (borrowing Row) throws -> T) throws -> T? {
    var result: T?
    try forEach(values) { row in
      result = try read(row)
      return false
    }
    return result
  }

  private borrowing func step() throws(StorageError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let result: throw StorageError(result: result)
    }
  }

  private borrowing func reset() {
    sqlite3_reset(handle)
    // Bound values may be large or sensitive: they do not stay behind.
    sqlite3_clear_bindings(handle)
  }

  private borrowing func bind(_ values: [SQLValue]) throws(StorageError) {
    guard values.count == Int(parameters) else { throw StorageError(.misuse) }
    for (index, value) in values.enumerated() {
      let result = bind(value, at: Int32(index) + 1)
      guard result == SQLITE_OK else {
        reset()
        throw StorageError(result: result)
      }
    }
  }

  private borrowing func bind(_ value: SQLValue, at index: Int32) -> Int32 {
    switch value {
    case .null: return sqlite3_bind_null(handle, index)
    case .integer(let integer): return sqlite3_bind_int64(handle, index, integer)
    case .text(var text):
      return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { characters in
          // A null address would bind NULL.
          guard let start = characters.baseAddress else {
            return sqlite3_bind_text64(handle, index, "", 0, transient, UInt8(SQLITE_UTF8))
          }
          return sqlite3_bind_text64(
            handle, index, start, UInt64(characters.count), transient, UInt8(SQLITE_UTF8))
        }
      }
    case .blob(let bytes):
      guard !bytes.isEmpty else { return sqlite3_bind_zeroblob(handle, index, 0) }
      return bytes.withUnsafeBytes {
        sqlite3_bind_blob64(handle, index, $0.baseAddress, UInt64($0.count), transient)
      }
    }
  }
}

/// SQLite's sign for "copy the value now".
private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

/// Closes the database when the last of its users is gone.
final class Connection {
  let handle: OpaquePointer

  init(handle: OpaquePointer) { self.handle = handle }

  deinit { sqlite3_close_v2(handle) }
}
