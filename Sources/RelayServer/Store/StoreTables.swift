import RelayProtocol
import Storage

/// The tables as the writing thread sees them: its connection, its statements, and what it remembers of them.
///
/// Only one thread writes, so what it remembers stays true until a transaction is undone. Every change to what is
/// remembered follows the writes that it mirrors.
final class StoreTables {
  let database: SQLiteDatabase
  let incarnation: UInt64
  /// How long a retry of a send is recognised, in milliseconds.
  let sendRetention: UInt64
  let insertSent: Statement
  let insertEntry: Statement
  let updateLast: Statement
  private let selectHead: Statement
  private let selectMember: Statement
  private let selectDevice: Statement
  // Held until this thread is done with the file.
  private let lock: FileLock

  private var heads: [RoomID: RoomHead] = [:]
  private var devices: [DeviceID: DeviceKeys] = [:]
  private var changedHeads: [RoomHead] = []
  private var storedEntries: UInt64 = 0
  private var sinceTrim = 0
  /// The latest time that any writer named.
  private var now: UInt64 = 0

  init(
    database: SQLiteDatabase, incarnation: UInt64, sendRetention: UInt64, lock: FileLock
  ) throws(StorageError) {
    self.database = database
    self.incarnation = incarnation
    self.sendRetention = sendRetention
    insertSent = try database.prepare(
      "INSERT INTO sent (device, send_id, room, sequence, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
    insertEntry = try database.prepare(
      "INSERT INTO entry (room, sequence, kind, epoch, time, message) VALUES (?, ?, ?, ?, ?, ?)")
    updateLast = try database.prepare("UPDATE room SET last = ? WHERE key = ?")
    selectHead = try database.prepare("SELECT key, epoch, last FROM room WHERE id = ?")
    selectMember = try database.prepare("SELECT 1 FROM member WHERE room = ? AND account = ?")
    selectDevice = try database.prepare(
      """
      SELECT device.key, account.key, account.id
      FROM device JOIN account ON account.key = device.account WHERE device.id = ?
      """)
    self.lock = lock
  }

  // MARK: What is remembered

  /// A room's head, or nil if there is no such room.
  func head(of room: RoomID) throws -> RoomHead? {
    if let head = heads[room] { return head }
    let head = try selectHead.first(room.sqlValue) { row in
      RoomHead(key: try row.integer(0), epoch: try row.unsigned(1), last: try row.unsigned(2))
    }
    // Rooms at rest need not be remembered; those with unwritten heads are in `changedHeads` too, so they stay valid.
    if heads.count >= 65_536 { heads = heads.filter { $0.value.isChanged } }
    if let head { heads[room] = head }
    return head
  }

  /// The keys of a device, or nil if it is not (or no longer) in its account's list.
  func device(_ id: DeviceID) throws -> DeviceKeys? {
    if let keys = devices[id] { return keys }
    let keys = try selectDevice.first(id.sqlValue) { row in
      DeviceKeys(device: try row.integer(0), account: try row.integer(1), user: try row.identifier(2))
    }
    if devices.count >= 65_536 { devices = [:] }
    if let keys { devices[id] = keys }
    return keys
  }

  func isMember(_ account: Int64, of head: RoomHead) throws -> Bool {
    if head.members.contains(account) { return true }
    let isMember = try selectMember.first(.integer(head.key), .integer(account)) { _ in true } ?? false
    if isMember { head.members.insert(account) }
    return isMember
  }

  func forgetDevices() { devices = [:] }

  /// After a transaction was undone.
  func forget() {
    heads = [:]
    devices = [:]
    changedHeads = []
    storedEntries = 0
  }

  // MARK: Transactions

  /// Notes that an entry was stored at `head.last`, whose row is written when the transaction ends.
  func didStoreEntry(in head: RoomHead, now: UInt64) {
    storedEntries += 1
    sinceTrim += 1
    self.now = max(self.now, now)
    guard !head.isChanged else { return }
    head.isChanged = true
    changedHeads.append(head)
  }

  func takeStoredEntries() -> UInt64 {
    defer { storedEntries = 0 }
    return storedEntries
  }

  /// Runs one job that can fail half-way, undoing only its own part then.
  func part<T>(_ body: () throws -> T) throws -> T {
    // What others stored in this transaction must not depend on what is remembered.
    try writeHeads()
    let before = (changes: database.totalChanges, entries: storedEntries)
    do { return try database.savepoint(body) } catch {
      storedEntries = before.entries
      if database.totalChanges != before.changes {
        heads = [:]
        devices = [:]
        changedHeads = []
      }
      throw error
    }
  }

  /// Runs a statement whose refusal by a constraint is the caller's to hear of.
  func execute(_ sql: SQL, ifTaken taken: RelayError, ifRefused refused: RelayError? = nil) throws {
    do { try database.execute(sql) } catch {
      if error.code == .notUnique { throw taken }
      if error.code == .constraint, let refused { throw refused }
      throw error
    }
  }

  func finishTransaction() throws {
    try writeHeads()
    guard sinceTrim >= 1000 else { return }
    // Twice as many go as came, until only the retained are left. Keys grow with time, so the oldest come first.
    try database.execute(
      """
      DELETE FROM sent WHERE key IN (
        SELECT key FROM (SELECT key, time FROM sent ORDER BY key LIMIT \(sinceTrim * 2))
        WHERE time < \(now - min(now, sendRetention)))
      """)
    sinceTrim = 0
  }

  /// One update for each room that grew, however many entries it got.
  private func writeHeads() throws {
    for head in changedHeads {
      try updateLast.run(head.last.sqlValue, .integer(head.key))
      head.isChanged = false
    }
    changedHeads.removeAll(keepingCapacity: true)
  }
}

/// The growing end of a room's log.
final class RoomHead {
  let key: Int64
  var epoch: UInt64
  /// The newest entry's sequence.
  var last: UInt64
  /// Accounts known to be members; others have to be looked up.
  var members: Set<Int64> = []
  var isChanged = false

  init(key: Int64, epoch: UInt64, last: UInt64) { (self.key, self.epoch, self.last) = (key, epoch, last) }
}

struct DeviceKeys {
  let device: Int64
  let account: Int64
  let user: UserID
}
