import BenchKit
import CryptoPrimitives
import Glibc
import Networking
import RelayProtocol
import WireCodec

/// 5,000 clients in 50 rooms, a relay killed without a word while they talk, and all of them back at once: how long it
/// takes until everyone is live again, and whether each entry reached each of its followers exactly once.
enum StormBench {
  private static let (clients, rooms, perRoom, processes) = (5000, 50, 40, 2)

  static func run(_ store: StoreKind) async throws {
    let relay = try await BenchRelay(loops: 2, store: store)
    defer { relay.stop() }
    var logs = [relay.room]
    for _ in 1..<rooms { logs.append(try await relay.account.createRoom()) }
    let folder = try Folder()
    // The token stands in a file of our own, not among the arguments.
    let lines = [relay.url, relay.account.session.accessToken] + logs.map { "\($0.room) \($0.position.incarnation)" }
    try folder.write("room-list", lines.joined(separator: "\n") + "\n")
    var pids: [pid_t] = []
    defer {
      for pid in pids {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
      }
    }
    for number in 0..<processes {
      let words = ["follow", folder.path + "/room-list", "\(clients / processes)"]
      pids.append(try Child("kin-bench", words, output: folder.path + "/out\(number)").pid)
    }
    func total() -> Follower.Report { (0..<processes).map { Follower.report(folder.path + "/out\($0)") }.total() }
    try await until(60) { total().live == clients }

    let sender = StormSender(relay, logs, each: perRoom)
    sender.start()
    try await until(30) { await sender.acknowledged > rooms * perRoom / 2 }
    let killed = ContinuousClock.now
    try relay.killAndRestart()
    let listening = ContinuousClock.now
    // Those that have not noticed yet are not back.
    try await until(60) { total().reconnected == clients && total().live == clients }
    let live = ContinuousClock.now
    try await until(60) { await sender.acknowledged == rooms * perRoom }
    let isComplete = (try? await until(30) { total().least == UInt64(perRoom) }) != nil
    let end = total()
    let isRight = isComplete && end.gaps == 0 && end.most == UInt64(perRoom)
    Scoreboard.atMost(
      "0 lost", "\(clients) clients live again after a kill, \(rooms) rooms in use",
      "\(fixed((live - killed).seconds, 2)) s",
      "of which the relay was up \(fixed((live - listening).seconds, 2)) s; each client waits up to 1 s at first; "
        + "\(end.gaps) gaps, logs of \(end.least) to \(end.most) entries of \(perRoom)",
      isWithin: isRight)
  }

  private static func until(_ seconds: Double, _ condition: () async -> Bool) async throws {
    let start = ContinuousClock.now
    while !(await condition()) {
      guard (ContinuousClock.now - start).seconds < seconds else {
        throw Child.Failed(what: "the storm did not come to an end")
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}

/// Sends a fixed set of messages, each until it is acknowledged. Confined to its loop.
private final class StormSender: WebSocketHandler, @unchecked Sendable {
  private let relay: BenchRelay
  private let logs: [RoomResponse]
  private var waiting: [(number: Int, id: SendID)]
  private var connection: WebSocketConnection?
  private var isConnecting = false
  private var timer: EventLoop.Timer?
  private var done: Set<UInt32> = []

  init(_ relay: BenchRelay, _ logs: [RoomResponse], each: Int) {
    (self.relay, self.logs) = (relay, logs)
    waiting = (0..<logs.count * each).map { ($0, SendID(high: Random.uint64(), low: Random.uint64())) }
  }

  var acknowledged: Int {
    get async {
      await withCheckedContinuation { continuation in
        EventLoop.shared.execute { continuation.resume(returning: self.done.count) }
      }
    }
  }

  func start() { timer = EventLoop.shared.schedule(every: .milliseconds(50)) { self.tick() } }

  /// Sends fifty of those that are not acknowledged, new ones and such as were lost with the relay.
  private func tick() {
    waiting.removeAll { done.contains(UInt32($0.number)) }
    guard !waiting.isEmpty else { return timer?.cancel() ?? () }
    guard let connection, connection.isOpen else { return connect() }
    for (number, id) in waiting.prefix(50) {
      let room = logs[number % logs.count]
      let request = SendRequest(sendID: id, epoch: room.epoch, message: Bare.content)
      connection.send(binary: ClientFrame.send(requestID: UInt32(number), room: room.room, request).encoded)
    }
  }

  private func connect() {
    guard !isConnecting else { return }
    isConnecting = true
    Task {
      let connection = try? await relay.connect { _ in self }
      EventLoop.shared.execute {
        self.isConnecting = false
        self.connection = connection
      }
    }
  }

  func received(binary bytes: RawSpan) {
    guard bytes.byteCount >= 5, bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 131 else { return }
    done.insert(UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 1, as: UInt32.self)))
  }

  func closed(_ code: WebSocketCloseCode, reason: String) { connection = nil }
}
