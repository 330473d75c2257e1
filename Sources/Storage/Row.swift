import CSQLite

/// One row of a result, good only inside the closure that it is passed to.
///
/// Readers are strict: a column of another type throws `typeMismatch` instead of being converted, because a value of
/// the wrong type means damaged data.
package struct Row: ~Copyable {
  private enum Source {
    /// Where SQLite's statement stands now.
    case statement(OpaquePointer, columns: Int32)
    case values([SQLValue])
  }

  private let source: Source

  init(handle: OpaquePointer, columns: Int32) { source = .statement(handle, columns: columns) }

  /// A row of another database, its values turned into those that SQLite has.
  package init(_ values: [SQLValue]) { source = .values(values) }

  package borrowing func integer(_ column: Int) throws(StorageError) -> Int64 {
    switch source {
    case .statement(let handle, let columns):
      return sqlite3_column_int64(handle, try Self.index(column, of: columns, handle, SQLITE_INTEGER))
    case .values(let values):
      guard case .integer(let value) = try Self.value(column, of: values) else { throw StorageError(.typeMismatch) }
      return value
    }
  }

  /// The 64 bits as they were bound from a `UInt64`.
  package borrowing func unsigned(_ column: Int) throws(StorageError) -> UInt64 {
    UInt64(bitPattern: try integer(column))
  }

  /// A count or size; negative values throw.
  package borrowing func count(_ column: Int) throws(StorageError) -> Int {
    guard let count = Int(exactly: try integer(column)), count >= 0 else { throw StorageError(.typeMismatch) }
    return count
  }

  /// A truth value; anything but 0 and 1 throws.
  package borrowing func bool(_ column: Int) throws(StorageError) -> Bool {
    switch try integer(column) {
    case 0: return false
    case 1: return true
    default: throw StorageError(.typeMismatch)
    }
  }

  package borrowing func text(_ column: Int) throws(StorageError) -> String {
    switch source {
    case .statement(let handle, let columns):
      let column = try Self.index(column, of: columns, handle, SQLITE_TEXT)
      guard let bytes = sqlite3_column_text(handle, column) else { throw StorageError(.outOfMemory) }
      let buffer = UnsafeBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column)))
      guard let text = String(validating: buffer, as: UTF8.self) else { throw StorageError(.typeMismatch) }
      return text
    case .values(let values):
      guard case .text(let text) = try Self.value(column, of: values) else { throw StorageError(.typeMismatch) }
      return text
    }
  }

  package borrowing func blob(_ column: Int) throws(StorageError) -> [UInt8] {
    switch source {
    case .statement(let handle, let columns):
      let column = try Self.index(column, of: columns, handle, SQLITE_BLOB)
      // An empty blob has no address.
      guard let bytes = sqlite3_column_blob(handle, column) else { return [] }
      return Array(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column))))
    case .values(let values):
      guard case .blob(let bytes) = try Self.value(column, of: values) else { throw StorageError(.typeMismatch) }
      return bytes
    }
  }

  /// The bytes of a blob where they lie, for the length of the call.
  package borrowing func withBlob<T>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> T) throws -> T {
    guard case .statement(let handle, let columns) = source else {
      return try blob(column).withUnsafeBytes { try body($0) }
    }
    let column = try Self.index(column, of: columns, handle, SQLITE_BLOB)
    let bytes = sqlite3_column_blob(handle, column)
    return try body(
      UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sqlite3_column_bytes(handle, column))))
  }

  package borrowing func isNull(_ column: Int) throws(StorageError) -> Bool {
    switch source {
    case .statement(let handle, let columns):
      guard (0..<Int(columns)).contains(column) else { throw StorageError(.misuse) }
      return sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL
    case .values(let values): return try Self.value(column, of: values) == .null
    }
  }

  package borrowing func optionalInteger(_ column: Int) throws(StorageError) -> Int64? {
    try isNull(column) ? nil : try integer(column)
  }

  package borrowing func optionalText(_ column: Int) throws(StorageError) -> String? {
    try isNull(column) ? nil : try text(column)
  }

  package borrowing func optionalBlob(_ column: Int) throws(StorageError) -> [UInt8]? {
    try isNull(column) ? nil : try blob(column)
  }

  private static func index(
    _ column: Int, of columns: Int32, _ handle: OpaquePointer, _ type: Int32
  ) throws(StorageError) -> Int32 {
    guard (0..<Int(columns)).contains(column) else { throw StorageError(.misuse) }
    guard sqlite3_column_type(handle, Int32(column)) == type else { throw StorageError(.typeMismatch) }
    return Int32(column)
  }

  private static func value(_ column: Int, of values: [SQLValue]) throws(StorageError) -> SQLValue {
    guard values.indices.contains(column) else { throw StorageError(.misuse) }
    return values[column]
  }
}
