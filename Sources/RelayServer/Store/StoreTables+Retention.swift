import CryptoPrimitives
import RelayProtocol
import Storage

/// How long, and how much, the relay keeps of what it has delivered.
package struct Retention: Sendable, Hashable {
  /// Application messages older than this many milliseconds are erased; nil: only where a room asks for it.
  package var messages: UInt64?
  /// When a room's application messages take more bytes than this, the oldest are erased; nil: never.
  package var roomBytes: UInt64?
  /// Welcomes that nobody fetched for this many milliseconds are deleted.
  package var welcomes: UInt64

  package init(messages: UInt64?, roomBytes: UInt64?, welcomes: UInt64) {
    (self.messages, self.roomBytes, self.welcomes) = (messages, roomBytes, welcomes)
  }
}

/// What one step of a sweep has come to.
package struct SweepStep: Sendable, Hashable {
  /// Where the next step goes on; nil when all rooms have had their turn.
  package var next: Int64?
  package var erased: Int
}

/// Erasing: an application message's bytes give way to their SHA-256, which keeps the log without gaps and its order
/// provable. Commits and proposals stay, or a device that was away could not follow.
extension StoreTables {
  /// Rooms and entries that one transaction looks at, so that delivery does not wait for a sweep.
  private static var roomsPerStep: Int { 200 }
  private static var entriesPerStep: Int { 1000 }

  private struct SweptRoom {
    let key: Int64
    let last: UInt64
    let retention: UInt64?
    var swept: UInt64
    var counted: UInt64
    var bytes: UInt64
  }

  func sweep(_ retention: Retention, after: Int64, now: UInt64) throws -> SweepStep {
    var left = Self.entriesPerStep
    let rooms = try database.query(
      "SELECT key FROM room WHERE key > \(after) AND swept < last ORDER BY key LIMIT \(Self.roomsPerStep)"
    ) { try $0.integer(0) }
    var step = SweepStep(next: rooms.count < Self.roomsPerStep ? nil : rooms.last, erased: 0)
    for key in rooms {
      // Only rooms in which something may be erased are locked, and in the order in which everyone locks rooms.
      guard let room = try sweptRoom(key) else { continue }
      step.erased += try sweep(room, retention, now: now, &left)
      // The same room again: it may have more than this step could look at.
      if left == 0 {
        step.next = key - 1
        break
      }
    }
    if after == 0 { try deleteOldWelcomes(before: now - min(now, retention.welcomes)) }
    return step
  }

  private func sweptRoom(_ key: Int64) throws -> SweptRoom? {
    try database.first(
      "SELECT last, retention, swept, counted, bytes FROM room WHERE key = \(key) \(lock: "room")"
    ) { row in
      SweptRoom(
        key: key, last: try row.unsigned(0), retention: try row.optionalInteger(1).map(UInt64.init(bitPattern:)),
        swept: try row.unsigned(2), counted: try row.unsigned(3), bytes: try row.unsigned(4))
    }
  }

  private func sweep(_ room: SweptRoom, _ retention: Retention, now: UInt64, _ left: inout Int) throws -> Int {
    let age = [room.retention, retention.messages].compactMap { $0 }.min()
    guard age != nil || retention.roomBytes != nil else { return 0 }
    // Nothing that came from now on is older than this.
    let cutoff = age.map { now - min(now, $0) } ?? 0
    var room = room
    if retention.roomBytes != nil { try count(&room) }
    var excess = retention.roomBytes.map { room.bytes > $0 ? room.bytes - $0 : 0 } ?? 0
    var erased: [(sequence: UInt64, hash: [UInt8])] = []
    let (before, looked) = (room.swept, left)
    try database.forEach(
      """
      SELECT sequence, kind, time, message FROM entry
      WHERE room = \(room.key) AND sequence > \(room.swept) ORDER BY sequence LIMIT \(looked)
      """
    ) { row in
      guard try row.unsigned(2) < cutoff || excess > 0 else { return false }
      left -= 1
      room.swept = try row.unsigned(0)
      guard try row.unsigned(1) == UInt64(EntryKind.application.rawValue) else { return true }
      let message = try row.blob(3)
      erased.append((room.swept, Digest.hash(.sha256, message)))
      excess -= min(excess, UInt64(message.count))
      if room.counted >= room.swept { room.bytes -= min(room.bytes, UInt64(message.count)) }
      return true
    }
    for entry in erased {
      try database.execute(
        """
        UPDATE entry SET kind = \(EntryKind.erased.rawValue), message = \(entry.hash)
        WHERE room = \(room.key) AND sequence = \(entry.sequence)
        """)
    }
    if room.swept != before || retention.roomBytes != nil {
      room.counted = max(room.counted, room.swept)
      try database.execute(
        """
        UPDATE room SET swept = \(room.swept), counted = \(room.counted), bytes = \(room.bytes) WHERE key = \(room.key)
        """)
    }
    return erased.count
  }

  /// Adds what came since to the room's size.
  private func count(_ room: inout SweptRoom) throws {
    let counted = room.counted
    let added = try database.first(
      """
      SELECT CAST(coalesce(sum(length(message)), 0) AS BIGINT) FROM entry
      WHERE room = \(room.key) AND sequence > \(counted) AND sequence <= \(room.last)
      AND kind = \(EntryKind.application.rawValue)
      """
    ) { try $0.unsigned(0) }
    room.bytes += added ?? 0
    room.counted = room.last
  }

  private func deleteOldWelcomes(before time: UInt64) throws {
    try database.execute(
      """
      DELETE FROM waiting WHERE key IN (
        SELECT waiting.key FROM waiting JOIN welcome ON welcome.key = waiting.welcome
        JOIN entry ON entry.room = waiting.room AND entry.sequence = welcome.sequence
        WHERE entry.time < \(time) LIMIT \(Self.entriesPerStep))
      """)
  }

  /// The room's own retention, in milliseconds; nil: only the relay's.
  func setRetention(_ milliseconds: UInt64?, in head: RoomHead) throws {
    try database.execute("UPDATE room SET retention = \(optional: milliseconds) WHERE key = \(head.key)")
  }
}
