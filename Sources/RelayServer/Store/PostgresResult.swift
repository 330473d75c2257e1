import CPostgres
import Storage

/// What one statement came to, with its rows, freed when it goes out of scope.
struct PostgresResult: ~Copyable {
  private let handle: OpaquePointer

  init(_ handle: OpaquePointer) { self.handle = handle }

  deinit { PQclear(handle) }

  var status: ExecStatusType { PQresultStatus(handle) }
  var rows: Int { Int(PQntuples(handle)) }
  /// The first word of what the statement did: after a transaction that failed, a `COMMIT` says `ROLLBACK`.
  var isRollback: Bool { String(cString: PQcmdStatus(handle)) == "ROLLBACK" }
  /// Rows that the statement inserted, changed or deleted, those of a `SELECT` not counted.
  var changes: Int {
    guard PQcmdStatus(handle).pointee != UInt8(ascii: "S") else { return 0 }
    return Int(String(cString: PQcmdTuples(handle))) ?? 0
  }

  /// The five characters that say what went wrong, or nil where the server said nothing.
  var state: String? { kin_pq_sqlstate(handle).map { String(cString: $0) } }

  /// One row as the values that all databases have.
  ///
  /// Throws `typeMismatch` for a type that is none of ours, and for bytes that are not what they should be.
  func values(ofRow row: Int) throws(StorageError) -> [SQLValue] {
    var values: [SQLValue] = []
    let columns = PQnfields(handle)
    values.reserveCapacity(Int(columns))
    for column in 0..<columns { values.append(try value(row: Int32(row), column: column)) }
    return values
  }

  func integer(row: Int, column: Int) throws(StorageError) -> Int64 {
    guard case .integer(let value) = try value(row: Int32(row), column: Int32(column)) else {
      throw StorageError(.typeMismatch)
    }
    return value
  }

  func isNull(row: Int, column: Int) -> Bool { PQgetisnull(handle, Int32(row), Int32(column)) == 1 }

  /// The bytes of a column where they lie, for the length of the call.
  func withBytes<T>(row: Int, column: Int, _ body: (UnsafeRawBufferPointer) throws -> T) rethrows -> T {
    let start = PQgetvalue(handle, Int32(row), Int32(column))
    return try body(
      UnsafeRawBufferPointer(start: start, count: Int(max(0, PQgetlength(handle, Int32(row), Int32(column))))))
  }

  private func value(row: Int32, column: Int32) throws(StorageError) -> SQLValue {
    guard PQgetisnull(handle, row, column) == 0 else { return .null }
    guard PQfformat(handle, column) == 1, let start = PQgetvalue(handle, row, column) else {
      throw StorageError(.typeMismatch)
    }
    let bytes = UnsafeRawBufferPointer(start: start, count: Int(max(0, PQgetlength(handle, row, column))))
    switch PostgresType(PQftype(handle, column)) {
    case .bytes: return .blob(Array(bytes))
    case .text:
      guard let text = String(validating: bytes, as: UTF8.self) else { throw StorageError(.typeMismatch) }
      return .text(text)
    case .integer(let size):
      guard bytes.count == size else { throw StorageError(.typeMismatch) }
      return .integer(Self.integer(bytes))
    case .truth:
      guard bytes.count == 1, bytes[0] <= 1 else { throw StorageError(.typeMismatch) }
      return .integer(Int64(bytes[0]))
    case .numeric: return .integer(try Self.numeric(bytes))
    case nil: throw StorageError(.typeMismatch)
    }
  }

  /// A number with its highest byte first and its sign in that.
  private static func integer(_ bytes: some Sequence<UInt8>) -> Int64 {
    var value: Int64?
    for byte in bytes { value = value.map { $0 << 8 | Int64(byte) } ?? Int64(Int8(bitPattern: byte)) }
    return value ?? 0
  }

  /// What `sum` gives: digits to the base 10,000, of which only whole numbers of 64 bits are good.
  private static func numeric(_ bytes: UnsafeRawBufferPointer) throws(StorageError) -> Int64 {
    guard bytes.count >= 8, bytes.count % 2 == 0 else { throw StorageError(.typeMismatch) }
    func word(_ index: Int) -> Int64 { integer(bytes[index * 2..<index * 2 + 2]) }
    let (count, weight, sign) = (word(0), word(1), word(2))
    guard count == bytes.count / 2 - 4, count <= weight + 1, weight < 8, sign == 0 || sign == 0x4000 else {
      throw StorageError(.typeMismatch)
    }
    var value: Int64 = 0
    for index in 0..<(count == 0 ? 0 : weight + 1) {
      let digit = index < count ? word(4 + Int(index)) : 0
      let (product, isTooBig) = value.multipliedReportingOverflow(by: 10_000)
      let (sum, isStillTooBig) = product.addingReportingOverflow(sign == 0 ? digit : -digit)
      guard !isTooBig, !isStillTooBig else { throw StorageError(.typeMismatch) }
      value = sum
    }
    return value
  }
}

/// The types of the server that stand for ours, by their numbers in its catalog (`pg_type`), which never change.
enum PostgresType: Equatable {
  case bytes
  case text
  case integer(size: Int)
  case truth
  case numeric

  static let int8: Oid = 20
  static let textOid: Oid = 25
  static let bytea: Oid = 17
  static let int8Array: Oid = 1016
  static let byteaArray: Oid = 1001

  init?(_ number: Oid) {
    switch number {
    case Self.bytea: self = .bytes
    case 19, Self.textOid, 1043: self = .text
    case Self.int8: self = .integer(size: 8)
    case 23: self = .integer(size: 4)
    case 21: self = .integer(size: 2)
    case 16: self = .truth
    case 1700: self = .numeric
    default: return nil
    }
  }
}
