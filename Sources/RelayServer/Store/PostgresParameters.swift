import CPostgres
import Storage

/// The values of one statement in the server's binary format, in one piece of memory.
struct PostgresParameters {
  private var bytes: [UInt8] = []
  /// Where each value begins, or nil for NULL.
  private var starts: [Int?] = []
  private var lengths: [Int32] = []
  private(set) var types: [Oid] = []

  init() {}

  init(_ values: [SQLValue]) throws(StorageError) {
    for value in values { try append(value) }
  }

  var count: Int { types.count }

  mutating func append(_ value: SQLValue) throws(StorageError) {
    let start = bytes.count
    switch value {
    case .null:
      starts.append(nil)
      lengths.append(0)
      // The server infers it from where the parameter stands.
      types.append(0)
      return
    case .integer(let integer):
      append(integer)
      types.append(PostgresType.int8)
    case .text(let text):
      bytes.append(contentsOf: text.utf8)
      types.append(PostgresType.textOid)
    case .blob(let blob):
      bytes.append(contentsOf: blob)
      types.append(PostgresType.bytea)
    }
    try close(start)
  }

  /// Appends an array of numbers.
  mutating func append(_ integers: some Collection<Int64>) throws(StorageError) {
    let start = bytes.count
    beginArray(of: PostgresType.int8, count: integers.count)
    for integer in integers {
      append(Int32(8))
      append(integer)
    }
    types.append(PostgresType.int8Array)
    try close(start)
  }

  /// Appends an array of byte strings; `write` adds the bytes of each element.
  mutating func append<Elements: Collection>(
    _ elements: Elements, _ write: (Elements.Element, inout [UInt8]) -> Void
  ) throws(StorageError) {
    let start = bytes.count
    beginArray(of: PostgresType.bytea, count: elements.count)
    for element in elements {
      let place = bytes.count
      append(Int32(0))
      write(element, &bytes)
      let length = Int32(clamping: bytes.count - place - 4)
      withUnsafeBytes(of: length.bigEndian) { source in
        for (offset, byte) in source.enumerated() { bytes[place + offset] = byte }
      }
    }
    types.append(PostgresType.byteaArray)
    try close(start)
  }

  /// One dimension that counts from 1, without NULLs.
  private mutating func beginArray(of type: Oid, count: Int) {
    append(Int32(count == 0 ? 0 : 1))
    append(Int32(0))
    append(Int32(bitPattern: type))
    guard count > 0 else { return }
    append(Int32(clamping: count))
    append(Int32(1))
  }

  private mutating func append(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
  }

  private mutating func close(_ start: Int) throws(StorageError) {
    guard bytes.count - start <= 256 << 20 else { throw StorageError(.tooBig) }
    starts.append(start)
    lengths.append(Int32(bytes.count - start))
  }

  /// The values as libpq takes them: their addresses, lengths and formats.
  func withPointers<T>(
    _ body: (
      _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
      _ formats: UnsafePointer<Int32>?
    ) -> T
  ) -> T {
    // An empty value still needs an address: none at all means NULL.
    let memory: [UInt8] = bytes.isEmpty ? [0] : bytes
    let formats = [Int32](repeating: 1, count: count)
    return memory.withUnsafeBytes { memory in
      let base = memory.bindMemory(to: CChar.self).baseAddress
      let addresses = starts.map { start in start.flatMap { start in base.map { $0 + start } } }
      return addresses.withUnsafeBufferPointer { addresses in
        lengths.withUnsafeBufferPointer { lengths in
          formats.withUnsafeBufferPointer { body(addresses.baseAddress, lengths.baseAddress, $0.baseAddress) }
        }
      }
    }
  }
}
