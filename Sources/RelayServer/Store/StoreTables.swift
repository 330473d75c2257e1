import RelayProtocol
import Storage

/// The tables as one writing thread sees them: its connection, its statements, and what it remembers of them.
///
/// A thread that writes alone may remember until a transaction is undone; one of several calls ``forget()`` at the end of
/// each transaction, within which the rooms that it looked up are locked. Every change to what is remembered follows the
/// writes that it mirrors.
package final class StoreTables {
  let database: any SQLConnection
  let incarnation: UInt64
  /// How long a retry of a send is recognised, in milliseconds.
  let sendRetention: UInt64
  let statements: any EntryStatements

  private var heads: [RoomID: RoomHead] = [:]
  private var devices: [DeviceID: DeviceKeys] = [:]
  private var changedHeads: [RoomHead] = []
  private var storedEntries: UInt64 = 0
  private var sinceTrim = 0
  /// The latest time that any writer named.
  private var now: UInt64 = 0

  init(
    database: any SQLConnection, statements: any EntryStatements, incarnation: UInt64, sendRetention: UInt64
  ) {
    (self.database, self.statements) = (database, statements)
    (self.incarnation, self.sendRetention) = (incarnation, sendRetention)
  }

  // MARK: What is remembered

  /// A room's head, or nil if there is no such room.
  func head(of room: RoomID) throws -> RoomHead? {
    if let head = heads[room] { return head }
    let head = try statements.head(of: room)
    // Rooms at rest need not be remembered; those with unwritten heads are in `changedHeads` too, so they stay valid.
    if heads.count >= 65_536 { heads = heads.filter { $0.value.isChanged } }
    if let head { heads[room] = head }
    return head
  }

  /// The keys of a device, or nil if it is not (or no longer) in its account's list.
  func device(_ id: DeviceID) throws -> DeviceKeys? {
    if let keys = devices[id] { return keys }
    let keys = try statements.device(id)
    if devices.count >= 65_536 { devices = [:] }
    if let keys { devices[id] = keys }
    return keys
  }

  func isMember(_ account: Int64, of head: RoomHead) throws -> Bool {
    if head.members.contains(account) { return true }
    let isMember = try statements.isMember(account, ofRoom: head.key)
    if isMember { head.members.insert(account) }
    return isMember
  }

  func forgetDevices() { devices = [:] }

  /// After a room was erased. What was to be written of it is not.
  func forgetRoom(_ room: RoomID) {
    guard let head = heads.removeValue(forKey: room) else { return }
    head.isChanged = false
    changedHeads.removeAll { $0 === head }
  }

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
    do { try database.execute(sql) } catch { throw Self.refusal(error, taken, refused) }
  }

  /// The same for an `INSERT … RETURNING key`, whose key it returns.
  func insert(_ sql: SQL, ifTaken taken: RelayError, ifRefused refused: RelayError? = nil) throws -> Int64 {
    do { return try database.insert(sql) } catch { throw Self.refusal(error, taken, refused) }
  }

  private static func refusal(_ error: any Error, _ taken: RelayError, _ refused: RelayError?) -> any Error {
    switch (error as? StorageError)?.code {
    case .notUnique?: taken
    case .constraint?: refused ?? error
    default: error
    }
  }

  func finishTransaction() throws {
    try writeHeads()
    guard sinceTrim >= 1000 else { return }
    // Twice as many go as came, until only the retained are left.
    try statements.forgetSends(before: now - min(now, sendRetention), atMost: sinceTrim * 2)
    sinceTrim = 0
  }

  /// One update for each room that grew, however many entries it got.
  private func writeHeads() throws {
    for head in changedHeads {
      try statements.updateLast(head.last, ofRoom: head.key)
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
