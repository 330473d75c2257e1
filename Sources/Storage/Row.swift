import CSQLite

/// One row of a result, good only inside the closure that it is passed to.
///
/// Readers are strict: a column of another type throws `typeMismatch` instead of being converted, because a value of
/// the wrong type means a damaged file.
package struct Row: ~Copyable {
  let handle: OpaquePointer
  let columns: Int32

  package borrowing func integer(_ column: Int) throws(StorageError) -> Int64 {
    sqlite3_column_int64(handle, try index(column, SQLITE_INTEGER))
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
    let column = try index(column, SQLITE_TEXT)
    guard let bytes = sqlite3_column_text(handle, column) else { throw StorageError(.outOfMemory) }
    let buffer = UnsafeBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column)))
    guard let text = String(validating: buffer, as: UTF8.self) else { throw StorageError(.typeMismatch) }
    return text
  }

  package borrowing func blob(_ column: Int) throws(StorageError) -> [UInt8] {
    let column = try index(column, SQLITE_BLOB)
    // An empty blob has no address.
    guard let bytes = sqlite3_column_blob(handle, column) else { return [] }
    return Array(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(handle, column))))
  }

  /// The bytes of a blob where they lie, for the length of the call.
  package borrowing func withBlob<T>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> T) throws -> T {
    let column = try index(column, SQLITE_BLOB)
    let bytes = sqlite3_column_blob(handle, column)
    return try body(
      UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sqlite3_column_bytes(handle, column))))
  }

  package borrowing func isNull(_ column: Int) throws(StorageError) -> Bool {
    guard (0..<Int(columns)).contains(column) else { throw StorageError(.misuse) }
    return sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL
  }

  package borrowing func optionalText(_ column: Int) throws(StorageError) -> String? {
    try isNull(column) ? nil : try text(column)
  }

  package borrowing func optionalBlob(_ column: Int) throws(StorageError) -> [UInt8]? {
    try isNull(column) ? nil : try blob(column)
  }

  private borrowing func index(_ column: Int, _ type: Int32) throws(StorageError) -> Int32 {
    guard (0..<Int(columns)).contains(column) else { throw StorageError(.misuse) }
    guard sqlite3_column_type(handle, Int32(column)) == type else { throw StorageError(.typeMismatch) }
    return Int32(column)
  }
}
