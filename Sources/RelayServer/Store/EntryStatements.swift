import RelayProtocol
import Storage

/// The statements that every message of a log runs: each store has its fastest way.
protocol EntryStatements {
  /// The newest of a room's log. Where several write at once the room is locked until the transaction ends.
  func head(of room: RoomID) throws -> RoomHead?
  func device(_ device: DeviceID) throws -> DeviceKeys?
  func isMember(_ account: Int64, ofRoom room: Int64) throws -> Bool
  /// False if the device used this id before.
  func insertSent(_ id: SendID, device: Int64, room: Int64, sequence: UInt64, time: UInt64) throws -> Bool
  func insertEntry(
    room: Int64, sequence: UInt64, kind: EntryKind, epoch: UInt64, time: UInt64, message: [UInt8]) throws
  func updateLast(_ last: UInt64, ofRoom room: Int64) throws
  /// Forgets sends of an earlier time, the oldest first, of which retries are not answered any more.
  func forgetSends(before time: UInt64, atMost count: Int) throws
}

/// As statements that are prepared once and kept.
final class SQLiteStatements: EntryStatements {
  private let database: SQLiteDatabase
  private let selectHead: Statement
  private let selectDevice: Statement
  private let selectMember: Statement
  private let insertSent: Statement
  private let insertEntry: Statement
  private let updateLast: Statement

  init(_ database: SQLiteDatabase) throws(StorageError) {
    self.database = database
    selectHead = try database.prepare("SELECT key, epoch, last FROM room WHERE id = ?")
    selectDevice = try database.prepare(
      """
      SELECT device.key, account.key, account.id
      FROM device JOIN account ON account.key = device.account WHERE device.id = ?
      """)
    selectMember = try database.prepare("SELECT 1 FROM member WHERE room = ? AND account = ?")
    insertSent = try database.prepare(
      "INSERT INTO sent (device, send_id, room, sequence, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
    insertEntry = try database.prepare(
      "INSERT INTO entry (room, sequence, kind, epoch, time, message) VALUES (?, ?, ?, ?, ?, ?)")
    updateLast = try database.prepare("UPDATE room SET last = ? WHERE key = ?")
  }

  func head(of room: RoomID) throws -> RoomHead? {
    try selectHead.first(room.sqlValue) { row in
      RoomHead(key: try row.integer(0), epoch: try row.unsigned(1), last: try row.unsigned(2))
    }
  }

  func device(_ device: DeviceID) throws -> DeviceKeys? {
    try selectDevice.first(device.sqlValue) { row in
      DeviceKeys(device: try row.integer(0), account: try row.integer(1), user: try row.identifier(2))
    }
  }

  func isMember(_ account: Int64, ofRoom room: Int64) throws -> Bool {
    try selectMember.first(.integer(room), .integer(account)) { _ in true } ?? false
  }

  func insertSent(_ id: SendID, device: Int64, room: Int64, sequence: UInt64, time: UInt64) throws -> Bool {
    try insertSent.run(.integer(device), id.sqlValue, .integer(room), sequence.sqlValue, time.sqlValue)
    return database.changes == 1
  }

  func insertEntry(
    room: Int64, sequence: UInt64, kind: EntryKind, epoch: UInt64, time: UInt64, message: [UInt8]
  ) throws {
    try insertEntry.run(
      .integer(room), sequence.sqlValue, kind.rawValue.sqlValue, epoch.sqlValue, time.sqlValue, .blob(message))
  }

  func updateLast(_ last: UInt64, ofRoom room: Int64) throws {
    try updateLast.run(last.sqlValue, .integer(room))
  }

  func forgetSends(before time: UInt64, atMost count: Int) throws {
    // Keys grow with time, so the oldest come first.
    try database.execute(
      """
      DELETE FROM sent WHERE key IN (
        SELECT key FROM (SELECT key, time FROM sent ORDER BY key LIMIT \(count)) WHERE time < \(time))
      """)
  }
}
