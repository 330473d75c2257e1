import RelayProtocol
import Storage

// What owners decide over a room as a whole: to show it, and to end it.
extension StoreTables {
  func publish(_ listing: ListingRequest, of room: RoomID, by user: UserID, device: DeviceID) throws {
    let head = try self.room(room, of: try sender(user, device), as: .owner)
    let isDirect = try database.first("SELECT 1 FROM direct_room WHERE room = \(head.key)") { _ in true } ?? false
    guard !isDirect else { throw RelayError(.forbidden, "A room of two is nobody else's.") }
    try database.execute(
      """
      INSERT INTO listing (room, name, folded, topic)
      VALUES (\(head.key), \(listing.name), \(listing.name.lowercased()), \(listing.topic))
      ON CONFLICT (room) DO UPDATE SET name = excluded.name, folded = excluded.folded, topic = excluded.topic
      """)
  }

  func withdraw(_ room: RoomID, by user: UserID, device: DeviceID) throws {
    let head = try self.room(room, of: try sender(user, device), as: .owner)
    try database.execute("DELETE FROM listing WHERE room = \(head.key)")
  }

  /// How long members who were away can still learn that a room was deleted, in milliseconds.
  static var deletionMemory: UInt64 { 90 * 86_400_000 }

  /// Erases a room, and says whose devices to tell.
  func delete(_ room: RoomID, proof: [UInt8], by user: UserID, device: DeviceID, now: UInt64) throws -> [DeviceID] {
    let head = try self.room(room, of: try sender(user, device), as: .owner)
    let members = try database.query("SELECT account FROM member WHERE room = \(head.key)") { try $0.integer(0) }
    let devices = try database.query(
      """
      SELECT device.id FROM member JOIN device ON device.account = member.account WHERE member.room = \(head.key)
      """
    ) { try $0.identifier(0, as: DeviceID.self) }
    try database.execute("DELETE FROM deletion WHERE time < \(now - min(now, Self.deletionMemory))")
    for account in members {
      try database.execute(
        """
        INSERT INTO deletion (room, account, proof, time) VALUES (\(room), \(account), \(proof), \(now))
        ON CONFLICT (account, room) DO UPDATE SET proof = excluded.proof, time = excluded.time
        """)
    }
    try erase(head.key, id: room)
    return devices
  }

  /// Takes a room and all that hangs on it out of the tables.
  func erase(_ key: Int64, id: RoomID) throws {
    // Remembered sends name rooms without referring to them, and go when their time comes: to look for a room's among all
    // would take as long as there are many, and anybody can make rooms and end them.
    try database.execute("DELETE FROM waiting WHERE room = \(key)")
    try database.execute("DELETE FROM room WHERE key = \(key)")
    forgetRoom(id)
  }
}
