import CryptoPrimitives
import RelayProtocol
import Storage
import WireCodec

/// One transaction of an ``EncryptedStore``: seals what goes in, opens what comes out.
struct SealedTransaction: StoreTransaction {
  private let database: SQLiteDatabase
  private let keys: EncryptedStore.Keys
  private let beforeWrite: (@Sendable () throws -> Void)?

  init(_ database: SQLiteDatabase, _ keys: EncryptedStore.Keys, _ beforeWrite: (@Sendable () throws -> Void)?) {
    (self.database, self.keys, self.beforeWrite) = (database, keys, beforeWrite)
  }

  // MARK: Sealing

  /// A key that tells nothing: the same for the same bytes, and only in this store.
  private func hidden(_ purpose: StaticString, _ parts: [UInt8]...) -> [UInt8] {
    var writer = Writer()
    writer.write("\(purpose)")
    for part in parts { writer.writeVector(part) }
    return Array(HMAC.code(.sha256, key: keys.index, message: writer.bytes).prefix(16))
  }

  private func place(_ table: StaticString, _ write: (inout Writer) -> Void) -> [UInt8] {
    var writer = Writer()
    writer.write("\(table)")
    write(&writer)
    return writer.bytes
  }

  private func open(_ key: Secret, _ place: [UInt8], _ sealed: [UInt8]) throws -> [UInt8] {
    do { return try XChaCha20Poly1305.open(key: key, associatedData: place, sealed: sealed) } catch {
      throw ChatError(.storeDamaged, underlying: error)
    }
  }

  // MARK: Records

  private func recordPlace(_ kind: RecordKind, _ key: [UInt8]) -> [UInt8] {
    place("record") {
      $0.write(kind.rawValue)
      $0.writeVector(key)
    }
  }

  func record(_ kind: RecordKind, _ key: [UInt8]) throws -> [UInt8]? {
    let key = hidden("record", [kind.rawValue], key)
    let sealed = try database.first("SELECT value FROM record WHERE kind = \(kind.rawValue) AND key = \(key)") {
      try $0.blob(0)
    }
    return try sealed.map { try open(keys.record, recordPlace(kind, key), $0) }
  }

  func records(_ kind: RecordKind) throws -> [[UInt8]] {
    try database.query("SELECT key, value FROM record WHERE kind = \(kind.rawValue) ORDER BY number") {
      try open(keys.record, recordPlace(kind, try $0.blob(0)), try $0.blob(1))
    }
  }

  func set(_ kind: RecordKind, _ key: [UInt8], to value: [UInt8]) throws {
    try beforeWrite?()
    let key = hidden("record", [kind.rawValue], key)
    let sealed = try XChaCha20Poly1305.seal(
      key: keys.record, associatedData: recordPlace(kind, key), plaintext: value)
    try database.execute(
      """
      INSERT INTO record (kind, key, value) VALUES (\(kind.rawValue), \(key), \(sealed))
      ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value
      """)
  }

  func remove(_ kind: RecordKind, _ key: [UInt8]) throws {
    try beforeWrite?()
    let key = hidden("record", [kind.rawValue], key)
    try database.execute("DELETE FROM record WHERE kind = \(kind.rawValue) AND key = \(key)")
  }

  // MARK: Messages

  private func messagePlace(_ room: [UInt8], _ id: [UInt8], _ position: UInt64, own: Bool) -> [UInt8] {
    place("message") {
      $0.writeVector(room)
      $0.writeVector(id)
      $0.write(position)
      $0.write(own)
    }
  }

  private func sealed(_ record: MessageRecord) throws -> (room: [UInt8], id: [UInt8], value: [UInt8]) {
    let room = hidden("room", record.message.room.bytes)
    let id = hidden("message", record.message.room.bytes, record.message.id.bytes)
    let place = messagePlace(room, id, record.position, own: record.isOwn)
    return (
      room, id, try XChaCha20Poly1305.seal(key: keys.message, associatedData: place, plaintext: record.encoded)
    )
  }

  func insert(_ record: MessageRecord) throws {
    try beforeWrite?()
    let (room, id, value) = try sealed(record)
    try database.execute(
      """
      INSERT INTO message (room, id, position, own, value)
      VALUES (\(room), \(id), \(record.position), \(record.isOwn), \(value))
      """)
  }

  func update(_ record: MessageRecord) throws {
    try beforeWrite?()
    let (room, id, value) = try sealed(record)
    try database.execute(
      """
      UPDATE message SET position = \(record.position), own = \(record.isOwn), value = \(value)
      WHERE room = \(room) AND id = \(id)
      """)
  }

  func message(_ id: Message.ID, in room: RoomID) throws -> MessageRecord? {
    let (roomKey, key) = (hidden("room", room.bytes), hidden("message", room.bytes, id.bytes))
    return try database.first(
      "SELECT id, position, own, value FROM message WHERE room = \(roomKey) AND id = \(key)"
    ) { try read($0, roomKey) }
  }

  func message(at sequence: UInt64, in room: RoomID) throws -> MessageRecord? {
    let roomKey = hidden("room", room.bytes)
    return try database.first(
      "SELECT id, position, own, value FROM message WHERE room = \(roomKey) AND position = \(sequence)"
    ) { try read($0, roomKey) }
  }

  func messages(in room: RoomID, before position: UInt64, limit: Int) throws -> [MessageRecord] {
    let roomKey = hidden("room", room.bytes)
    return try database.query(
      """
      SELECT id, position, own, value FROM message WHERE room = \(roomKey) AND position < \(position)
      ORDER BY position DESC LIMIT \(limit)
      """
    ) { try read($0, roomKey) }
  }

  private func read(_ row: borrowing Row, _ room: [UInt8]) throws -> MessageRecord {
    let place = messagePlace(room, try row.blob(0), try row.unsigned(1), own: try row.bool(2))
    return try MessageRecord(stored: try open(keys.message, place, try row.blob(3)))
  }

  func countMessages(in room: RoomID, after sequence: UInt64) throws -> Int {
    let roomKey = hidden("room", room.bytes)
    return try database.first(
      "SELECT count(*) FROM message WHERE room = \(roomKey) AND position > \(sequence) AND own = 0"
    ) { try $0.count(0) } ?? 0
  }

  // MARK: Outbox

  private func outboxPlace(_ number: UInt64, _ room: [UInt8]) -> [UInt8] {
    place("outbox") {
      $0.write(number)
      $0.writeVector(room)
    }
  }

  func put(_ entry: OutboxEntry) throws -> OutboxEntry {
    try beforeWrite?()
    let room = hidden("room", entry.room.bytes)
    var entry = entry
    if entry.number == 0 {
      // The number is part of what the seal covers, so that the row is made first.
      try database.execute("INSERT INTO outbox (room, value) VALUES (\(room), \([UInt8]()))")
      entry.number = UInt64(database.lastInsertedKey)
    }
    let sealed = try XChaCha20Poly1305.seal(
      key: keys.outbox, associatedData: outboxPlace(entry.number, room), plaintext: entry.encoded)
    try database.execute("UPDATE outbox SET value = \(sealed) WHERE number = \(entry.number)")
    return entry
  }

  func removeOutbox(_ number: UInt64) throws {
    try beforeWrite?()
    try database.execute("DELETE FROM outbox WHERE number = \(number)")
  }

  func outbox(of room: RoomID) throws -> [OutboxEntry] {
    let roomKey = hidden("room", room.bytes)
    return try database.query("SELECT number, value FROM outbox WHERE room = \(roomKey) ORDER BY number") {
      try OutboxEntry(stored: try open(keys.outbox, outboxPlace(try $0.unsigned(0), roomKey), try $0.blob(1)))
    }
  }

  func eraseRoom(_ room: RoomID) throws {
    try beforeWrite?()
    for kind in [RecordKind.room, .groupEpoch, .groupMessage, .pendingCommit, .pendingJoin] {
      try remove(kind, room.bytes)
    }
    let key = hidden("room", room.bytes)
    try database.execute("DELETE FROM message WHERE room = \(key)")
    try database.execute("DELETE FROM outbox WHERE room = \(key)")
  }

  // MARK: Findings

  private static let findingsKept: Int64 = 1000

  func add(_ finding: Finding) throws {
    try beforeWrite?()
    try database.execute("INSERT INTO finding (value) VALUES (\([UInt8]()))")
    let number = database.lastInsertedKey
    let place = place("finding") { $0.write(UInt64(number)) }
    let sealed = try XChaCha20Poly1305.seal(
      key: keys.finding, associatedData: place, plaintext: StoredFinding(finding).encoded)
    try database.execute("UPDATE finding SET value = \(sealed) WHERE number = \(number)")
    // Bounded: a relay that sends rubbish must not fill the disk.
    try database.execute("DELETE FROM finding WHERE number <= \(number - Self.findingsKept)")
  }

  func findings(limit: Int) throws -> [Finding] {
    try database.query("SELECT number, value FROM finding ORDER BY number DESC LIMIT \(limit)") { row in
      let number = try row.unsigned(0)
      return try StoredFinding(
        stored: try open(keys.finding, place("finding") { $0.write(number) }, try row.blob(1))
      ).finding
    }
  }
}
