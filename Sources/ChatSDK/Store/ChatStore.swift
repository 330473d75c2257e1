import WireCodec

/// Where a client keeps all that it must not lose, and nothing that it must not keep.
///
/// Whatever ``write(_:)`` returned from is on disk, all of it or nothing.
package protocol ChatStore: Sendable {
  func read<T>(_ body: (any StoreTransaction) throws -> T) throws -> T
  func write<T>(_ body: (any StoreTransaction) throws -> T) throws -> T
  /// Gives the file free. Later calls throw `closed`.
  func close()
}

/// What kind of record: each has keys of its own.
package enum RecordKind: UInt8, Sendable, CaseIterable {
  case account = 1
  case session = 2
  case room = 3
  /// The part of a group's state that changes with the epoch.
  case groupEpoch = 4
  /// The part of a group's state that changes with each message.
  case groupMessage = 5
  case pendingCommit = 6
  case pin = 7
  case keyPackage = 8
  /// Ids of messages that were read, where the message itself is not kept.
  case username = 9
  /// An own external commit of which it is not known yet whether the relay took it.
  case pendingJoin = 20
  case profile = 40
  case contact = 41
}

package protocol StoreTransaction {
  func record(_ kind: RecordKind, _ key: [UInt8]) throws -> [UInt8]?
  func records(_ kind: RecordKind) throws -> [[UInt8]]
  func set(_ kind: RecordKind, _ key: [UInt8], to value: [UInt8]) throws
  func remove(_ kind: RecordKind, _ key: [UInt8]) throws

  func insert(_ message: MessageRecord) throws
  /// Stores a message that is there already, under its new state and place.
  func update(_ message: MessageRecord) throws
  func message(_ id: Message.ID, in room: RoomID) throws -> MessageRecord?
  func message(at sequence: UInt64, in room: RoomID) throws -> MessageRecord?
  /// The newest messages before a place, the newest first.
  func messages(in room: RoomID, before position: UInt64, limit: Int) throws -> [MessageRecord]
  /// How many of others' messages stand after a sequence.
  func countMessages(in room: RoomID, after sequence: UInt64) throws -> Int

  /// Adds to the end of the outbox, or stores anew at `entry.number` if that is not zero.
  func put(_ entry: OutboxEntry) throws -> OutboxEntry
  func removeOutbox(_ number: UInt64) throws
  func outbox(of room: RoomID) throws -> [OutboxEntry]

  /// Erases a room's keys, history and outbox.
  func eraseRoom(_ room: RoomID) throws

  func add(_ finding: Finding) throws
  func findings(limit: Int) throws -> [Finding]
}

extension StoreTransaction {
  func decode<Value: StoredRecord>(_ type: Value.Type, _ key: [UInt8]) throws -> Value? {
    try record(Value.kind, key).map { try Value(stored: $0) }
  }

  func all<Value: StoredRecord>(_ type: Value.Type) throws -> [Value] {
    try records(Value.kind).map { try Value(stored: $0) }
  }

  func save<Value: StoredRecord>(_ value: Value) throws {
    try set(Value.kind, value.key, to: value.encoded)
  }
}
