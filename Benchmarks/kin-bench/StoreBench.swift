import BenchKit
import Glibc
import RelayProtocol
import RelayServer
import Storage

/// The relay's store by itself, beside bare inserts into the same kind of database in the same run.
enum StoreBench {
  /// Senders with one message under way each.
  private static let senders = [1, 64, 1024]

  static func run(_ kind: StoreKind) async throws {
    header("what", "result", "work")
    let folder = try Folder()
    let bare = try BareInserts(kind, in: folder)
    _ = try bare.insert(rows: 30_000)
    let before = Machine.processorSeconds(of: getpid())
    let rate = try bare.insert(rows: 30_000)
    let used = Machine.processorSeconds(of: getpid()) - before
    row(
      "bare inserts, batches of 100", "\(fixed(rate, 0)) durable rows a second",
      "\(fixed(used / 30_000 * 1e6, 1)) µs of CPU a row")
    let rooms = try await BenchRooms(kind, in: folder)
    await report("batches of 100, one under way", messages: 30_000, rooms) { await rooms.batches(300) }
    for senders in senders {
      let each = senders == 1 ? 500 : 32_768 / senders
      await report("\(senders) senders with one under way each", messages: senders * each, rooms) {
        await rooms.senders(senders, each: each)
      }
    }
    await rooms.store.close()
  }

  private static func report(_ what: String, messages: Int, _ rooms: BenchRooms, _ body: () async -> Void) async {
    let (start, before, commits) = (ContinuousClock.now, Machine.processorSeconds(of: getpid()), rooms.commits)
    await body()
    let seconds = (ContinuousClock.now - start).seconds
    let used = Machine.processorSeconds(of: getpid()) - before
    let count = Double(messages)
    row(
      "store, \(what)", "\(fixed(count / seconds, 0)) durable messages a second",
      "\(fixed(used / count * 1e6, 1)) µs of CPU and \(fixed(Double(rooms.commits - commits) / count, 3)) transactions a message"
    )
  }
}

/// What the disk and the database give without checks, send ids or threads.
final class BareInserts {
  static let content = [UInt8](repeating: 0x5A, count: Dialect.payloadBytes)
  private let database: SQLiteDatabase
  private let insert: Statement
  private var rows = 0
  private let folder: Folder

  init(_ kind: StoreKind, in folder: Folder) throws {
    self.folder = folder
    switch kind {
    case .sqlite:
      var configuration = SQLiteDatabase.Configuration()
      configuration.cacheBytes = 64 << 20
      configuration.checkpointPages = 16_384
      database = try SQLiteDatabase(path: folder.path + "/bare.db", configuration: configuration)
      try database.executeScript(
        """
        CREATE TABLE entry (key INTEGER PRIMARY KEY, room INTEGER, sequence INTEGER, message BLOB,
          UNIQUE (room, sequence))
        """)
      insert = try database.prepare("INSERT INTO entry (room, sequence, message) VALUES (?, ?, ?)")
    }
  }

  /// Inserts durably in batches of 100, into 64 rooms. Returns rows a second.
  func insert(rows count: Int) throws -> Double {
    let start = ContinuousClock.now
    let end = rows + count
    while rows < end {
      try database.transaction {
        for number in rows..<rows + 100 {
          try insert.run(.integer(Int64(number % 64)), .integer(Int64(number / 64 + 1)), .blob(Self.content))
        }
      }
      rows += 100
    }
    return Double(count) / (ContinuousClock.now - start).seconds
  }
}

/// A store with an account and its 64 rooms.
struct BenchRooms: Sendable {
  let store: SQLiteStore
  private let rooms: [RoomID]
  private let user: UserID
  private let device: DeviceID

  var commits: UInt64 { store.commits }

  init(_ kind: StoreKind, in folder: Folder) async throws {
    switch kind {
    case .sqlite: store = try SQLiteStore(path: folder.path + "/relay.db")
    }
    (user, device) = (Self.random(), Self.random())
    try await store.createAccount(
      AccountRecord(id: user, username: "alice", email: nil, passwordHash: "", role: "user", created: 1),
      devices: DeviceListRecord(number: 1, devices: [device], encoded: [1]))
    var rooms: [RoomID] = []
    for _ in 0..<64 {
      let room: RoomID = Self.random()
      _ = try await store.createRoom(room, owner: user, now: 1)
      rooms.append(room)
    }
    self.rooms = rooms
  }

  /// Batches of 100 over all rooms, one under way.
  func batches(_ count: Int) async {
    for batch in 0..<count { await append((0..<100).map { message(batch * 100 + $0) }) }
  }

  /// Many senders, each of which waits for the disk before it sends the next.
  func senders(_ senders: Int, each: Int) async {
    await withTaskGroup { group in
      for sender in 0..<senders {
        group.addTask { for _ in 0..<each { await append([message(sender)]) } }
      }
    }
  }

  private func message(_ number: Int) -> NewMessage {
    NewMessage(
      room: rooms[number % 64], sender: user, device: device,
      request: SendRequest(sendID: Self.random(), epoch: 0, message: BareInserts.content), now: 1)
  }

  private func append(_ messages: [NewMessage]) async {
    await withCheckedContinuation { continuation in
      store.append(messages) { outcomes in
        for case .failure(let error) in outcomes { print("store refused: \(error)") }
        continuation.resume()
      }
    }
  }

  private static func random<ID: RelayProtocol.Identifier>(_ type: ID.Type = ID.self) -> ID {
    ID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
  }
}
