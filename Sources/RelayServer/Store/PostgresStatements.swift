import RelayProtocol
import Storage

/// The statements of a log where several write at once: what they read is locked until the transaction ends.
///
/// A room is locked by whoever appends to it; a device only against being deleted, for it may send to many rooms at once.
final class PostgresStatements: EntryStatements {
  private let database: PostgresConnection

  init(_ database: PostgresConnection) { self.database = database }

  func head(of room: RoomID) throws -> RoomHead? {
    try database.first("SELECT key, epoch, last FROM room WHERE id = \(room) \(lock: "room")") { row in
      RoomHead(key: try row.integer(0), epoch: try row.unsigned(1), last: try row.unsigned(2))
    }
  }

  func device(_ device: DeviceID) throws -> DeviceKeys? {
    try database.first(
      """
      SELECT device.key, account.key, account.id
      FROM device JOIN account ON account.key = device.account WHERE device.id = \(device) FOR KEY SHARE OF device
      """
    ) { row in
      DeviceKeys(device: try row.integer(0), account: try row.integer(1), user: try row.identifier(2))
    }
  }

  func isMember(_ account: Int64, ofRoom room: Int64) throws -> Bool {
    try database.first("SELECT joined FROM member WHERE room = \(room) AND account = \(account)") { _ in true } ?? false
  }

  func isSend(_ id: SendID, of device: Int64) -> SQL { "sent.device = \(device) AND sent.send_id = \(id)" }

  func insertSent(_ id: SendID, device: Int64, room: Int64, sequence: UInt64, time: UInt64) throws -> Bool {
    try database.execute(
      """
      INSERT INTO sent (device, send_id, room, sequence, time)
      VALUES (\(device), \(id), \(room), \(sequence), \(time)) ON CONFLICT DO NOTHING
      """) == 1
  }

  func insertEntry(
    room: Int64, sequence: UInt64, kind: EntryKind, epoch: UInt64, time: UInt64, message: [UInt8]
  ) throws {
    try database.execute(
      """
      INSERT INTO entry (room, sequence, kind, epoch, time, message)
      VALUES (\(room), \(sequence), \(kind.rawValue), \(epoch), \(time), \(message))
      """)
  }

  func updateLast(_ last: UInt64, ofRoom room: Int64) throws {
    try database.execute("UPDATE room SET last = \(last) WHERE key = \(room)")
  }

  func forgetSends(before time: UInt64, atMost count: Int) throws {
    // Rows that another node is deleting are left to it.
    try database.execute(
      """
      DELETE FROM sent WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sent WHERE time < \(time) LIMIT \(count) FOR UPDATE SKIP LOCKED))
      """)
  }
}
