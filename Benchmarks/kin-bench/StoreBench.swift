import BenchKit
import Glibc
import RelayProtocol
import RelayServer

/// The relay's store by itself, beside bare inserts into the same kind of database in the same run.
enum StoreBench {
  /// Senders with one message under way each.
  private static let senders = [1, 64, 1024]

  static func run(_ kind: StoreKind) async throws {
    header("what", "result", "work")
    let folder = try Folder()
    let bare = try kind.makeBareInserts(in: folder)
    var rows = 0
    _ = try Bare.insert(30_000, into: bare, after: &rows)
    let before = Machine.processorSeconds(of: getpid())
    let rate = try Bare.insert(30_000, into: bare, after: &rows)
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
    var work = "\(fixed(used / count * 1e6, 1)) µs of CPU a message"
    if let commits, let now = rooms.commits { work += ", \(fixed(Double(now - commits) / count, 3)) transactions" }
    row("store, \(what)", "\(fixed(count / seconds, 0)) durable messages a second", work)
  }
}

/// A store with an account and its 64 rooms.
struct BenchRooms: Sendable {
  let store: any RelayStore
  private let rooms: [RoomID]
  private let user: UserID
  private let device: DeviceID

  /// Transactions so far, where the store tells.
  var commits: UInt64? { (store as? SQLiteStore)?.commits }

  init(_ kind: StoreKind, in folder: Folder) async throws {
    store = try kind.makeStore(in: folder)
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
      request: SendRequest(sendID: Self.random(), epoch: 0, message: Bare.content), now: 1)
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
