package import RelayProtocol
import Storage

/// What a relay reads for itself, to learn what others that share the store did.
extension SQLConnection {
  func ends(of rooms: [RoomID]) throws -> [RoomID: UInt64] {
    let ends = try query("SELECT id, last FROM room WHERE id IN \(list: rooms)") { row in
      (try row.identifier(0, as: RoomID.self), try row.unsigned(1))
    }
    return Dictionary(ends) { first, _ in first }
  }

  func feed(of room: RoomID, after sequence: UInt64, limit: Int, bytes: Int) throws -> [FeedEntry] {
    // One view for both, so that a removal is not missed.
    try snapshot {
      guard let sequence = Int64(exactly: sequence), limit > 0,
        let key = try first("SELECT key FROM room WHERE id = \(room)", { try $0.integer(0) })
      else { return [] }
      var feed: [FeedEntry] = []
      var size = 0
      try forEach(
        """
        SELECT sequence, kind, epoch, time, message FROM entry
        WHERE room = \(key) AND sequence > \(sequence) ORDER BY sequence LIMIT \(limit)
        """
      ) { row in
        guard let kind = UInt8(exactly: try row.integer(1)).flatMap(EntryKind.init(rawValue:)) else {
          throw StorageError(.typeMismatch)
        }
        let length = try row.withBlob(4) { $0.count }
        guard feed.isEmpty || size + length <= bytes else { return false }
        size += length
        feed.append(
          FeedEntry(
            entry: LogEntry(
              room: room, sequence: try row.unsigned(0), kind: kind, epoch: try row.unsigned(2),
              time: try row.unsigned(3), message: try row.blob(4))))
        return true
      }
      guard let first = feed.first?.entry.sequence, let last = feed.last?.entry.sequence else { return [] }
      try forEach(
        """
        SELECT removal.sequence, account.id FROM removal JOIN account ON account.key = removal.account
        WHERE removal.room = \(key) AND removal.sequence >= \(first) AND removal.sequence <= \(last)
        """
      ) { row in
        let sequence = try row.unsigned(0)
        if let index = feed.firstIndex(where: { $0.entry.sequence == sequence }) {
          feed[index].removed.append(try row.identifier(1))
        }
        return true
      }
      return feed
    }
  }

  func liveSessions(among sessions: [UInt64]) throws -> Set<UInt64> {
    Set(try query("SELECT key FROM session WHERE key IN \(list: sessions)") { try $0.unsigned(0) })
  }

  func newestWelcomes(for devices: [DeviceID]) throws -> [DeviceID: UInt64] {
    let newest = try query(
      """
      SELECT device.id, max(waiting.key) FROM device JOIN waiting ON waiting.device = device.key
      WHERE device.id IN \(list: devices) GROUP BY device.id
      """
    ) { row in (try row.identifier(0, as: DeviceID.self), try row.unsigned(1)) }
    return Dictionary(newest) { first, _ in first }
  }
}

/// An entry as it is broadcast: with whom it removes.
package struct FeedEntry: Sendable {
  package var entry: LogEntry
  package var removed: [UserID] = []
}
