import RelayProtocol
import Storage

/// The statements that every message of a log runs: each store has its fastest way.
protocol EntryStatements {
  /// The newest of a room's log. Where several write at once the room is locked until the transaction ends.
  func head(of room: RoomID) throws -> RoomHead?
  func device(_ device: DeviceID) throws -> DeviceKeys?
  func isMember(_ account: Int64, ofRoom room: Int64) throws -> Bool
  /// The row of `sent` with this id of the device, as a condition.
  func isSend(_ id: SendID, of device: Int64) -> SQL
  /// False if the device used this id before.
  func insertSent(_ id: SendID, device: Int64, room: Int64, sequence: UInt64, time: UInt64) throws -> Bool
  func insertEntry(
    room: Int64, sequence: UInt64, kind: EntryKind, epoch: UInt64, time: UInt64, message: [UInt8]) throws
  func updateLast(_ last: UInt64, ofRoom room: Int64) throws
  /// Forgets sends of an earlier time, the oldest first, of which retries are not answered any more.
  func forgetSends(before time: UInt64, atMost count: Int) throws
}

/// As statements that are prepared once and kept. One thread writes, so what was sent of late can be known in memory.
final class SQLiteStatements: EntryStatements {
  private let database: SQLiteDatabase
  private var recentSends = RecentSends()
  private let selectHead: Statement
  private let selectDevice: Statement
  private let selectMember: Statement
  private let selectSent: Statement
  private let insertSent: Statement
  private let insertEntry: Statement
  private let updateLast: Statement

  init(_ database: SQLiteDatabase) throws {
    self.database = database
    selectHead = try database.prepare("SELECT key, epoch, last FROM room WHERE id = ?")
    selectDevice = try database.prepare(
      """
      SELECT device.key, account.key, account.id
      FROM device JOIN account ON account.key = device.account WHERE device.id = ?
      """)
    selectMember = try database.prepare("SELECT 1 FROM member WHERE room = ? AND account = ?")
    selectSent = try database.prepare("SELECT 1 FROM sent WHERE key = ? AND device = ? AND send_id = ?")
    insertSent = try database.prepare("INSERT INTO sent (device, send_id, room, sequence, time) VALUES (?, ?, ?, ?, ?)")
    insertEntry = try database.prepare(
      "INSERT INTO entry (room, sequence, kind, epoch, time, message) VALUES (?, ?, ?, ?, ?, ?)")
    updateLast = try database.prepare("UPDATE room SET last = ? WHERE key = ?")
    try database.forEach(
      """
      SELECT key, device, send_id FROM sent WHERE key > (SELECT max(key) FROM sent) - \(RecentSends.remembered)
      ORDER BY key
      """
    ) { row in
      recentSends.insert(try row.identifier(2), of: try row.integer(1), key: try row.integer(0))
      return true
    }
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

  func isSend(_ id: SendID, of device: Int64) -> SQL {
    // The row may be gone, and its key another's: what memory says is where to look.
    "sent.key = \(recentSends.key(of: id, by: device) ?? 0) AND sent.device = \(device) AND sent.send_id = \(id)"
  }

  func insertSent(_ id: SendID, device: Int64, room: Int64, sequence: UInt64, time: UInt64) throws -> Bool {
    let sendID = id.sqlValue
    if let key = recentSends.key(of: id, by: device),
      try selectSent.first(.integer(key), .integer(device), sendID, read: { _ in true }) == true
    {
      return false
    }
    try insertSent.run(.integer(device), sendID, .integer(room), sequence.sqlValue, time.sqlValue)
    recentSends.insert(id, of: device, key: database.lastInsertedKey)
    return true
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
        SELECT key FROM (SELECT key, time FROM sent ORDER BY key LIMIT \(count))
        WHERE time < \(time) OR key <= (SELECT max(key) FROM sent) - \(RecentSends.remembered))
      """)
  }
}
