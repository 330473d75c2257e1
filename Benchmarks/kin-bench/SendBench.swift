import BenchKit
import CryptoPrimitives
import Networking
import RelayProtocol
import RelayServer
import Synchronization
import WireCodec

/// Durable sends in many rooms, beside what the database takes without a relay around it.
enum SendBench {
  private static let turns = 3

  /// On both databases, whatever the other parts run on.
  static func run(_ kind: StoreKind) async throws {
    for kind in StoreKind.allCases {
      do { try await measure(kind) } catch { Scoreboard.failed("durable sends on \(kind.name)", "\(error)") }
    }
  }

  private static func measure(_ kind: StoreKind) async throws {
    let rows = 20_480
    let folder = try Folder()
    let bare = try kind.makeBareInserts(in: folder)
    var inserts = 0
    let rooms = try await BenchRooms(kind, in: folder)
    let relay = try await BenchRelay(loops: 2, store: kind)
    defer { relay.stop() }
    let senders = try await Senders(64, at: relay)
    var (raw, batch, store): ([Double], [Double], [Double]) = ([], [], [])
    var (one, many): ([Double], [Double]) = ([], [])
    var cost: [Double] = []
    for turn in 0...turns {
      let inserted = try Bare.insert(rows, into: bare, after: &inserts)
      let alone = await rate(rows) { await rooms.batches(rows / 100) }
      let stored = await rate(rows) { await rooms.senders(1024, each: rows / 1024) }
      let before = Machine.processorSeconds(of: relay.pid)
      let sent = await senders.run(each: rows / 64, window: 1)
      let used = Machine.processorSeconds(of: relay.pid) - before
      let streamed = await senders.run(each: rows / 64, window: 16)
      guard turn > 0 else { continue }
      raw.append(inserted)
      batch.append(alone)
      store.append(stored)
      one.append(sent)
      many.append(streamed)
      cost.append(used / Double(rows / 64 * 64))
    }
    await rooms.store.close()
    let base = Scoreboard.median(raw)
    let beside = "raw inserts, batches of 100: \(Scoreboard.short(base)) a second"
    // A database has the next batch at once; so it is compared with what has something under way all the time.
    for (what, rates) in [
      ("durable sends a second, 64 rooms, \(kind.name): the store with 1,024 under way", store),
      ("the same through sockets, 64 senders with 16 under way each", many),
    ] {
      let rate = Scoreboard.median(rates)
      Scoreboard.atLeast(0.6, what, Scoreboard.short(rate), beside, ratio: rate / base)
    }
    for (what, rates) in [
      ("the store with one batch of 100 under way", batch),
      ("through sockets, 64 senders with one under way each", one),
    ] {
      let rate = Scoreboard.median(rates)
      Scoreboard.show(
        "each waits for the last, \(kind.name): \(what)", Scoreboard.short(rate), beside, ratio: rate / base)
    }
    Scoreboard.show(
      "the relay's processor time a durable send, \(kind.name), one under way each",
      "\(fixed(Scoreboard.median(cost) * 1e6, 1)) µs", "two loops and the store's thread, clients on the same cores")
  }

  /// Messages a second.
  private static func rate(_ count: Int, _ body: () async -> Void) async -> Double {
    let start = ContinuousClock.now
    await body()
    return Double(count) / (ContinuousClock.now - start).seconds
  }
}

/// Sockets that each send into a room of their own and do not follow it.
private final class Senders: Sendable {
  private let all: [Pacer]

  init(_ count: Int, at relay: BenchRelay) async throws {
    var all: [Pacer] = []
    for _ in 0..<count {
      let pacer = Pacer(room: try await relay.account.createRoom())
      let connection = try await relay.connect { _ in pacer }
      EventLoop.shared.execute { pacer.connection = connection }
      all.append(pacer)
    }
    self.all = all
  }

  /// Returns sends a second.
  func run(each: Int, window: Int) async -> Double {
    let start = ContinuousClock.now
    await withTaskGroup { group in
      for pacer in all { group.addTask { await pacer.run(total: each, window: window) } }
    }
    return Double(each * all.count) / (ContinuousClock.now - start).seconds
  }
}

/// Sends the next message when one is on the relay's disk. Confined to its loop.
private final class Pacer: WebSocketHandler, @unchecked Sendable {
  let room: RoomResponse
  var connection: WebSocketConnection?
  private var total = 0
  private var sent = 0
  private var acknowledged = 0
  private var waiting: CheckedContinuation<Void, Never>?

  init(room: RoomResponse) { self.room = room }

  func run(total: Int, window: Int) async {
    await withCheckedContinuation { continuation in
      EventLoop.shared.execute {
        self.total = total
        (self.sent, self.acknowledged, self.waiting) = (0, 0, continuation)
        for _ in 0..<min(window, total) { self.sendNext() }
      }
    }
  }

  private func sendNext() {
    guard sent < total else { return }
    sent += 1
    let request = SendRequest(
      sendID: SendID(high: Random.uint64(), low: Random.uint64()), epoch: room.epoch, message: Bare.content)
    connection?.send(binary: ClientFrame.send(requestID: UInt32(sent), room: room.room, request).encoded)
  }

  func received(binary bytes: RawSpan) {
    guard bytes.byteCount > 0, bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 131 else { return }
    acknowledged += 1
    sendNext()
    if acknowledged == total { end() }
  }

  private func end() {
    waiting?.resume()
    waiting = nil
  }

  func closed(_ code: WebSocketCloseCode, reason: String) { end() }
}
