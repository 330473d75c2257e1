import BenchKit
import Glibc
import RelayProtocol
import RelayServer
import Storage

/// The relay's store by itself, beside bare inserts into SQLite in the same run.
enum StoreBench {
  private static let folder = "/tmp/kin-bench-store.\(getpid())"
  private static let content = [UInt8](repeating: 0x5A, count: 200)

  static func run() async throws {
    mkdir(folder, 0o700)
    defer {
      for name in [
        "relay.db", "relay.db-wal", "relay.db-shm", "relay.db.lock", "bare.db", "bare.db-wal", "bare.db-shm",
      ] {
        unlink(folder + "/" + name)
      }
      rmdir(folder)
    }
    header("what", "result", "work")
    try bare(batches: 300, of: 100)
    let store = try SQLiteStore(path: folder + "/relay.db")
    let (alice, device) = (random(UserID.self), random(DeviceID.self))
    try await store.createAccount(
      AccountRecord(id: alice, username: "alice", email: nil, passwordHash: "", role: "user", created: 1),
      devices: DeviceListRecord(number: 1, devices: [device], encoded: [1]))
    var rooms: [RoomID] = []
    for _ in 0..<64 {
      let room: RoomID = random()
      _ = try await store.createRoom(room, owner: alice, now: 1)
      rooms.append(room)
    }
    let allRooms = rooms
    let message: @Sendable (Int) -> NewMessage = { index in
      NewMessage(
        room: allRooms[index % 64], sender: alice, device: device,
        request: SendRequest(sendID: random(), epoch: 0, message: content), now: 1)
    }
    await measure("batches of 100, one under way", store, messages: 30_000) {
      for batch in 0..<300 { await append((0..<100).map { message(batch * 100 + $0) }, to: store) }
    }
    for senders in [1, 64, 1024] {
      let each = senders == 1 ? 500 : 32_768 / senders
      await measure("\(senders) senders with one under way each", store, messages: senders * each) {
        await withTaskGroup { group in
          for sender in 0..<senders {
            group.addTask { for _ in 0..<each { await append([message(sender)], to: store) } }
          }
        }
      }
    }
    await store.close()
  }

  /// What the disk and SQLite give without checks, send ids or threads.
  private static func bare(batches: Int, of count: Int) throws {
    var configuration = SQLiteDatabase.Configuration()
    configuration.cacheBytes = 64 << 20
    configuration.checkpointPages = 16_384
    let database = try SQLiteDatabase(path: folder + "/bare.db", configuration: configuration)
    try database.executeScript(
      """
      CREATE TABLE entry (key INTEGER PRIMARY KEY, room INTEGER, sequence INTEGER, message BLOB,
        UNIQUE (room, sequence))
      """)
    let insert = try database.prepare("INSERT INTO entry (room, sequence, message) VALUES (?, ?, ?)")
    let start = ContinuousClock.now
    let before = processorSeconds()
    for batch in 0..<batches {
      try database.transaction {
        for index in 0..<count {
          let number = batch * count + index
          try insert.run(.integer(Int64(number % 64)), .integer(Int64(number / 64 + 1)), .blob(content))
        }
      }
    }
    let (seconds, used) = ((ContinuousClock.now - start).seconds, processorSeconds() - before)
    let rows = Double(batches * count)
    row(
      "bare inserts, batches of \(count)", "\(fixed(rows / seconds, 0)) durable rows a second",
      "\(fixed(used / rows * 1e6, 1)) µs of CPU a row")
  }

  private static func measure(
    _ what: String, _ store: SQLiteStore, messages: Int, _ body: () async -> Void
  ) async {
    let (start, before, commits) = (ContinuousClock.now, processorSeconds(), store.commits)
    await body()
    let (seconds, used) = ((ContinuousClock.now - start).seconds, processorSeconds() - before)
    let count = Double(messages)
    row(
      "store, \(what)", "\(fixed(count / seconds, 0)) durable messages a second",
      "\(fixed(used / count * 1e6, 1)) µs of CPU and \(fixed(Double(store.commits - commits) / count, 3)) transactions a message"
    )
  }

  private static func append(_ messages: [NewMessage], to store: SQLiteStore) async {
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

  private static func processorSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}
