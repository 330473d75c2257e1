import RelayProtocol
import Storage

/// Stores batches of messages over a connection, each in one transaction of two round trips.
///
/// The first asks for everything: it locks the rooms in the order of their keys, so that nodes that write to the same rooms
/// wait for each other in a row instead of in a circle, and reads what the checks need after that. The second writes
/// everything and commits.
struct PostgresLog {
  private let connection: PostgresConnection

  init(_ connection: PostgresConnection) { self.connection = connection }

  /// Stores what passes the checks, and gives each message of the batch its outcome.
  ///
  /// What was sent before is looked up if `isWary`, or where something would be refused that may have been accepted then. Hence
  /// a batch without repetitions, which is nearly every one, pays nothing for them; the others throw `notUnique`, and are to
  /// be stored warily. Throws ``UncertainCommit`` if the connection was lost while the server committed: if it did, the
  /// outcomes hold.
  func store(_ batch: inout PostgresBatch, isWary: Bool) throws {
    guard !batch.asked.isEmpty else { return }
    do {
      try ask(&batch)
      var decided = batch
      if !isWary { decided.decide() }
      if isWary || decided.refusesAny {
        try askWhatWasSent(&batch)
        batch.decide()
      } else {
        batch = decided
      }
      guard !batch.entries.isEmpty else { return connection.rollBack() }
      try write(batch)
    } catch {
      if !(error is UncertainCommit) { connection.rollBack() }
      throw error
    }
  }

  // MARK: Asking

  private func ask(_ batch: inout PostgresBatch) throws {
    var (rooms, pairs) = (PostgresParameters(), PostgresParameters())
    try rooms.append(batch.roomIDs) { $0.write(to: &$1) }
    try pairs.append(batch.devices) { $0.write(to: &$1) }
    try pairs.append(batch.deviceRooms) { $0.write(to: &$1) }
    connection.testimony += 1
    var witness = PostgresParameters()
    try witness.append(.integer(connection.testimony))
    try witness.append(.integer(connection.witness))
    try connection.pipeline([
      .init("BEGIN"), .init(Self.testify, witness), .init(Self.lockRooms, rooms), .init(Self.selectSenders, pairs),
    ]) { step, result in
      // Without its witness the transaction could not be told from one that never was.
      guard step != 1 || result.changes == 1 else { throw StorageError(.noRow) }
      for row in 0..<result.rows {
        switch step {
        case 2: try Self.readRoom(result, row, &batch)
        case 3: try Self.readSender(result, row, &batch)
        default: break
        }
      }
    }
  }

  private func askWhatWasSent(_ batch: inout PostgresBatch) throws {
    var sends = PostgresParameters()
    let messages = batch.messages
    try sends.append(batch.asked) { messages[$0].device.write(to: &$1) }
    try sends.append(batch.asked) { messages[$0].request.sendID.write(to: &$1) }
    try connection.pipeline([.init(Self.selectEarlier, sends)]) { _, result in
      for row in 0..<result.rows { try Self.readEarlier(result, row, &batch) }
    }
  }

  private static let testify: StaticString = "UPDATE witness SET number = $1, time = now() WHERE session = $2"

  private static let lockRooms: StaticString =
    "SELECT id, key, epoch, last FROM room WHERE id = ANY ($1) ORDER BY key FOR NO KEY UPDATE"

  /// What is read by the statements behind the one that locks is what others committed before the locks were given.
  private static let selectSenders: StaticString = """
    SELECT pair.number, device.key, account.id, member.account
    FROM unnest($1, $2) WITH ORDINALITY AS pair (device, room, number)
    JOIN device ON device.id = pair.device JOIN account ON account.key = device.account
    LEFT JOIN room ON room.id = pair.room
    LEFT JOIN member ON member.room = room.key AND member.account = device.account
    ORDER BY device.key FOR KEY SHARE OF device
    """

  static let selectEarlier: StaticString = """
    SELECT send.number, sent.sequence, sent.time, room.id, entry.kind, entry.epoch, sha256(entry.message)
    FROM unnest($1, $2) WITH ORDINALITY AS send (device, id, number)
    JOIN device ON device.id = send.device JOIN sent ON sent.device = device.key AND sent.send_id = send.id
    LEFT JOIN room ON room.key = sent.room
    LEFT JOIN entry ON entry.room = sent.room AND entry.sequence = sent.sequence
    """

  private static func readRoom(
    _ result: borrowing PostgresResult, _ row: Int, _ batch: inout PostgresBatch
  ) throws {
    let id: RoomID = try identifier(result, row, 0)
    batch.rooms[id] = PostgresBatch.Room(
      key: try result.integer(row: row, column: 1), epoch: UInt64(bitPattern: try result.integer(row: row, column: 2)),
      last: UInt64(bitPattern: try result.integer(row: row, column: 3)))
  }

  private static func readSender(
    _ result: borrowing PostgresResult, _ row: Int, _ batch: inout PostgresBatch
  ) throws {
    let number = try index(result, row, below: batch.devices.count)
    // A damaged account is its owner's trouble alone: it has no device that could send.
    guard let user = try? identifier(result, row, 2, as: UserID.self) else { return }
    batch.senders[number] = PostgresBatch.Sender(
      device: try result.integer(row: row, column: 1), user: user, isMember: !result.isNull(row: row, column: 3))
  }

  private static func readEarlier(
    _ result: borrowing PostgresResult, _ row: Int, _ batch: inout PostgresBatch
  ) throws {
    let number = try index(result, row, below: batch.asked.count)
    var content: (kind: UInt64, epoch: UInt64, digest: [UInt8])?
    if !result.isNull(row: row, column: 4) {
      content = (
        UInt64(bitPattern: try result.integer(row: row, column: 4)),
        UInt64(bitPattern: try result.integer(row: row, column: 5)),
        result.withBytes(row: row, column: 6) { Array($0) }
      )
    }
    batch.earlier[batch.asked[number]] = PostgresBatch.Earlier(
      sequence: UInt64(bitPattern: try result.integer(row: row, column: 1)),
      time: UInt64(bitPattern: try result.integer(row: row, column: 2)),
      room: result.isNull(row: row, column: 3) ? nil : try identifier(result, row, 3),
      content: content)
  }

  /// Which of the things that were asked about a row answers; the server counts from 1.
  private static func index(
    _ result: borrowing PostgresResult, _ row: Int, below count: Int
  ) throws(StorageError) -> Int {
    let number = try result.integer(row: row, column: 0)
    guard number >= 1, number <= count else { throw StorageError(.typeMismatch) }
    return Int(number) - 1
  }

  private static func identifier<ID: RelayProtocol.Identifier>(
    _ result: borrowing PostgresResult, _ row: Int, _ column: Int, as type: ID.Type = ID.self
  ) throws(StorageError) -> ID {
    guard let id = result.withBytes(row: row, column: column, { ID(bytes: $0) }) else {
      throw StorageError(.typeMismatch)
    }
    return id
  }

  // MARK: Writing

  private static let insertEntries: StaticString = """
    INSERT INTO entry (room, sequence, kind, epoch, time, message) SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
    """

  private static let insertSent: StaticString = """
    INSERT INTO sent (device, send_id, room, sequence, time) SELECT * FROM unnest($1, $2, $3, $4, $5)
    """

  private static let updateRooms: StaticString = """
    UPDATE room SET last = head.last FROM unnest($1, $2) AS head (key, last) WHERE room.key = head.key
    """

  private func write(_ batch: PostgresBatch) throws {
    let (entries, messages) = (batch.entries, batch.messages)
    let rooms = entries.map(\.room)
    let sequences = entries.map { Int64(bitPattern: $0.sequence) }
    let times = entries.map { Int64(bitPattern: messages[$0.message].now) }
    let heads = batch.rooms.values.filter(\.isChanged)
    var (log, sent, last) = (PostgresParameters(), PostgresParameters(), PostgresParameters())
    try log.append(rooms)
    try log.append(sequences)
    try log.append(entries.map { Int64(messages[$0.message].request.kind.rawValue) })
    try log.append(entries.map { Int64(bitPattern: messages[$0.message].request.epoch) })
    try log.append(times)
    try log.append(entries) { $1.append(contentsOf: messages[$0.message].request.message.bytes) }
    try sent.append(entries.map(\.device))
    try sent.append(entries) { messages[$0.message].request.sendID.write(to: &$1) }
    try sent.append(rooms)
    try sent.append(sequences)
    try sent.append(times)
    try last.append(heads.map(\.key))
    try last.append(heads.map { Int64(bitPattern: $0.last) })
    do {
      try connection.pipeline([
        .init(Self.insertEntries, log), .init(Self.insertSent, sent), .init(Self.updateRooms, last), .init("COMMIT"),
      ]) { _, _ in }
    } catch let error as StorageError {
      guard error.code == .io else { throw error }
      connection.disconnect()
      throw UncertainCommit(testimony: connection.testimony)
    }
  }
}

extension RelayProtocol.Identifier {
  /// Appends the 16 bytes.
  func write(to bytes: inout [UInt8]) {
    for word in [high, low] { withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) } }
  }
}
