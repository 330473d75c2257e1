import CryptoPrimitives
import FoundationEssentials
import Glibc
import RelayProtocol
import Storage
import Synchronization
import Testing

@testable import ChatSDK

/// The store on disk: sealed, tied to its place, all or nothing.
@Suite struct EncryptedStoreTests {
  private let path = "\(FileManager.default.temporaryDirectory.path)/kin-store-\(UInt64.random(in: 0 ... .max))"
  private let room = RoomID(high: 7, low: 9)

  private func location(_ passphrase: String = "right") -> StoreLocation {
    var location = StoreLocation.file(path, passphrase: Passphrase(passphrase))
    location.cost = (passes: 1, memoryKiB: 8)
    return location
  }

  private func record(_ text: String, position: UInt64) -> MessageRecord {
    let moment = Moment(millisecondsSince1970: 5)
    let message = Message(
      id: .init(bytes: Array(text.utf8)), room: room, sender: Person(id: UserID(high: 1, low: 1), username: "alice"),
      text: text, sentAt: moment, receivedAt: moment, sequence: position, state: .received)
    return MessageRecord(
      message: message, hash: [1, 2], content: Array(text.utf8), isOwn: false, position: position)
  }

  private func remove() { for suffix in ["", "-wal", "-shm", ".lock", ".key"] { unlink(path + suffix) } }

  @Test func keepsWhatItWasGiven() async throws {
    defer { remove() }
    let store = try await EncryptedStore(location())
    try store.write { store in
      try store.set(.room, [1], to: [1, 2, 3])
      for number in 1...5 { try store.insert(record("message \(number)", position: UInt64(number))) }
    }
    store.close()
    #expect(throws: ChatError(.closed)) { try store.read { try $0.record(.room, [1]) } }
    let again = try await EncryptedStore(location())
    #expect(try again.read { try $0.record(.room, [1]) } == [1, 2, 3])
    #expect(try again.read { try $0.record(.session, [1]) } == nil)
    let texts = try again.read { try $0.messages(in: room, before: 5, limit: 2).map(\.message.text) }
    #expect(texts == ["message 4", "message 3"])
    #expect(try again.read { try $0.countMessages(in: room, after: 2) } == 3)
    again.close()
  }

  @Test func wrongPassphraseOpensNothing() async throws {
    defer { remove() }
    try await EncryptedStore(location()).close()
    await #expect(throws: ChatError(.wrongPassphrase)) { try await EncryptedStore(location("wrong")) }
    await #expect(throws: ChatError(.wrongPassphrase)) {
      try await EncryptedStore(.file(path, keyFile: path + ".key"))
    }
    try await EncryptedStore(location()).close()
  }

  @Test func keyFileIsMadeForItsOwnerOnly() async throws {
    defer { remove() }
    let location = StoreLocation.file(path, keyFile: path + ".key")
    try await EncryptedStore(location).close()
    var status = stat()
    #expect(stat(path + ".key", &status) == 0 && status.st_mode & 0o777 == 0o600 && status.st_size == 32)
    try await EncryptedStore(location).close()
    chmod(path + ".key", 0o644)
    await #expect(throws: ChatError(.wrongPassphrase)) { try await EncryptedStore(location) }
    unlink(path + ".key")
    // A store whose key is gone must not be given a new one in silence.
    await #expect(throws: ChatError(.wrongPassphrase)) { try await EncryptedStore(location) }
    #expect(access(path + ".key", F_OK) != 0)
  }

  @Test func secondProcessIsTurnedAway() async throws {
    defer { remove() }
    let store = try await EncryptedStore(location())
    await #expect(throws: ChatError(.storeLocked)) { try await EncryptedStore(location()) }
    store.close()
    try await EncryptedStore(location()).close()
  }

  @Test func filesHoldNoPlaintext() async throws {
    defer { remove() }
    let store = try await EncryptedStore(location())
    let secrets = ["a very telling text", "Garden of secrets", "alice", "passphrase-like"]
    try store.write { store in
      try store.insert(record(secrets[0], position: 1))
      try store.set(.room, room.bytes, to: Array(secrets[1].utf8))
      try store.set(.username, Array(secrets[2].utf8), to: Array(secrets[3].utf8))
      let sendID = SendID(high: 1, low: 2)
      _ = try store.put(
        OutboxEntry(
          room: room, route: .message, sendID: sendID, epoch: 1, ciphertext: Array(secrets[0].utf8), hash: [],
          message: nil))
      try store.add(
        Finding(code: .replayed, room: room, at: Moment(millisecondsSince1970: 1), detail: secrets[1]))
    }
    for suffix in ["", "-wal"] {
      guard let bytes = FileManager.default.contents(atPath: path + suffix).map({ [UInt8]($0) }) else { continue }
      for secret in secrets { #expect(!bytes.contains(Array(secret.utf8))) }
      #expect(!bytes.contains(room.bytes))
      #expect(bytes.count >= 4096)
    }
    store.close()
  }

  /// Whoever can write the file can still not put one value in another's place.
  @Test(arguments: [
    "UPDATE record SET value = (SELECT value FROM record WHERE number = 2) WHERE number = 1",
    "UPDATE record SET kind = 7 WHERE number = 2",
    "UPDATE message SET value = (SELECT value FROM message WHERE number = 2) WHERE number = 1",
    "UPDATE message SET position = position + 10",
    "UPDATE message SET own = 1",
    "UPDATE outbox SET value = (SELECT value FROM outbox ORDER BY number DESC LIMIT 1)",
    "UPDATE finding SET value = (SELECT value FROM finding ORDER BY number DESC LIMIT 1)",
    "UPDATE record SET value = substr(value, 1, length(value) - 1)",
  ])
  func swappedRowsAreDetected(_ statement: StaticString) async throws {
    defer { remove() }
    let store = try await EncryptedStore(location())
    try store.write { store in
      try store.set(.room, [1], to: [1])
      try store.set(.room, [2], to: [2])
      try store.set(.pin, [2], to: [3])
      for number in 1...2 {
        try store.insert(record("message \(number)", position: UInt64(number)))
        _ = try store.put(
          OutboxEntry(
            room: room, route: .message, sendID: SendID(high: 0, low: UInt64(number)), epoch: 1, ciphertext: [1],
            hash: [UInt8(number)], message: nil))
        try store.add(
          Finding(code: .replayed, at: Moment(millisecondsSince1970: UInt64(number)), detail: ""))
      }
    }
    store.close()
    let database = try SQLiteDatabase(path: path)
    if statement.description.contains("kind = 7") { try database.execute("DELETE FROM record WHERE kind = 7") }
    try database.execute(SQL(stringLiteral: statement))
    try database.checkpoint()
    let again = try await EncryptedStore(location())
    #expect(throws: ChatError(.storeDamaged)) {
      try again.read { store in
        _ = try store.record(.room, [1])
        _ = try store.records(.room)
        _ = try store.records(.pin)
        _ = try store.messages(in: room, before: 100, limit: 10)
        _ = try store.outbox(of: room)
        _ = try store.findings(limit: 10)
      }
    }
    again.close()
  }

  @Test func failedTransactionLeavesNothing() async throws {
    defer { remove() }
    let left = Mutex(0)
    let store = try await EncryptedStore(
      location(),
      beforeWrite: {
        try left.withLock { left in
          guard left > 0 else { throw ChatError(.storeFailed) }
          left -= 1
        }
      })
    // Four calls of the hook: three writes and the commit.
    for count in 0..<4 {
      left.withLock { $0 = count }
      #expect(throws: ChatError(.storeFailed)) {
        try store.write { store in
          for key in 0..<3 { try store.set(.room, [UInt8(key)], to: [1]) }
        }
      }
      #expect(try store.read { try $0.records(.room) }.isEmpty)
    }
    store.close()
  }
}
