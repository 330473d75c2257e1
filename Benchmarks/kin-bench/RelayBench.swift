import BenchKit
import CryptoPrimitives
import Glibc
import Networking
import RelayProtocol
import WireCodec

/// The relay as a process of its own, storing each message durably before it is broadcast; clients in this process.
enum RelayBench {
  /// Limits that a benchmark must not run into.
  private static let open = [
    "--connections-per-account", "10000", "--frames-per-second", "1000000", "--frame-burst", "10000000",
    "--requests-per-second", "1000000", "--request-burst", "10000000", "--log-level", "error",
  ]

  static func run() async throws {
    header("what", "result", "processor")
    for (receivers, window, total) in [(100, 1, 3_000), (100, 32, 20_000), (1_000, 1, 500), (1_000, 32, 3_000)] {
      try await fanOut(receivers: receivers, window: window, total: total)
      try await peer(receivers: receivers, window: window, total: total)
    }
    for window in [1, 32] {
      try await fanOut(receivers: 100, window: window, total: window == 1 ? 3_000 : 10_000, tls: true)
    }
    try await latency()
    try await idle(connections: 2_000)
    try await durableSends(senders: 64, each: 400)
  }

  private static func fanOut(receivers: Int, window: Int, total: Int, tls: Bool = false) async throws {
    let certificate = tls ? try Certificate() : nil
    let arguments = certificate.map { ["--tls-certificate", $0.file, "--tls-key", $0.keyFile] } ?? []
    let relay = try BenchRelay(open + arguments, scheme: tls ? "https" : "http")
    let account = try await BenchAccount("bench", at: relay.url, trusting: certificate?.file)
    let fanOut = FanOut(loop: .shared, room: try await account.createRoom(), window: window, total: total)
    try await fanOut.connect(receivers, as: account)
    await report(tls ? "relay, TLS" : "relay", fanOut, receivers: receivers, of: relay.child)
    relay.stop()
  }

  /// uWebSockets' bare broadcast in the same minute, where it can be had: it stores nothing and checks nobody.
  private static func peer(receivers: Int, window: Int, total: Int) async throws {
    guard let python = getenv("KIN_BENCH_PYTHON") else { return }
    let output = "/tmp/kin-bench.peer.\(getpid())"
    let child = try Child(String(cString: python), ["Benchmarks/peers/uws_broadcast.py"], output: output)
    defer { unlink(output) }
    guard let port = Child.port(from: output) else { return child.stop(SIGKILL) }
    let fanOut = FanOut(loop: .shared, room: nil, window: window, total: total)
    try await fanOut.connect(receivers, toBroadcast: try WebURL("ws://127.0.0.1:\(port)/"))
    await report("uWebSockets, bare", fanOut, receivers: receivers, of: child)
    // It does not end by itself: its interpreter hears no signal while its loop runs.
    child.stop(SIGKILL)
  }

  private static func report(_ name: String, _ fanOut: FanOut, receivers: Int, of child: borrowing Child) async {
    let before = child.processorSeconds
    let seconds = await fanOut.run()
    let used = child.processorSeconds - before
    let deliveries = Double(receivers * fanOut.total)
    row(
      "\(name): fan-out to \(receivers), \(fanOut.window) in flight",
      "\(fixed(deliveries / used / 1000, 0))k deliveries per CPU-second",
      "\(fixed(used, 2)) s of \(fixed(seconds, 2)) s; \(fixed(Double(fanOut.total) / seconds, 0)) messages/s")
  }

  private static func latency() async throws {
    let relay = try BenchRelay(open)
    let account = try await BenchAccount("bench", at: relay.url)
    let fanOut = FanOut(loop: .shared, room: try await account.createRoom(), window: 1, total: 1_000, rate: 200)
    try await fanOut.connect(100, as: account)
    _ = await fanOut.run()
    let sorted = await fanOut.sortedLatencies()
    let (half, most) = (Double(sorted[sorted.count / 2]), Double(sorted[sorted.count * 99 / 100]))
    row(
      "delivery at 20,000 deliveries/s, 100 receivers",
      "p50 \(fixed(half / 1000, 0)) µs, p99 \(fixed(most / 1000, 0)) µs", "durable first, one client loop")
    relay.stop()
  }

  private static func idle(connections: Int) async throws {
    let relay = try BenchRelay(open)
    let account = try await BenchAccount("bench", at: relay.url)
    let fanOut = FanOut(loop: .shared, room: try await account.createRoom(), window: 1, total: 1)
    try await fanOut.connect(1, as: account)
    let before = relay.child.residentBytes
    for _ in 0..<connections { _ = try await account.socket(on: .shared) { Idle(connection: $0) } }
    let grown = relay.child.residentBytes - before
    row(
      "\(connections) idle WebSockets, plain", "\(fixed(Double(grown) / Double(connections) / 1024, 2)) KB each",
      "\(relay.child.residentBytes >> 20) MB in all")
    relay.stop()
  }

  /// Many senders, each with one message under way, each in a room of its own.
  private static func durableSends(senders: Int, each: Int) async throws {
    let relay = try BenchRelay(open)
    let account = try await BenchAccount("bench", at: relay.url)
    var pacers: [Pacer] = []
    for _ in 0..<senders {
      let pacer = Pacer(room: try await account.createRoom(), total: each)
      _ = try await account.socket(on: .shared) { connection in
        pacer.connection = connection
        return pacer
      }
      pacers.append(pacer)
    }
    let callsBefore = writes(relay.child.pid)
    let before = relay.child.processorSeconds
    let start = ContinuousClock.now
    await withTaskGroup(of: Void.self) { group in
      for pacer in pacers { group.addTask { await pacer.run() } }
    }
    let seconds = (ContinuousClock.now - start).seconds
    let used = relay.child.processorSeconds - before
    let messages = Double(senders * each)
    row(
      "durable sends, \(senders) senders with one under way each, SQLite",
      "\(fixed(messages / seconds, 0)) a second",
      "\(fixed(used / messages * 1e6, 1)) µs of CPU and \(fixed((writes(relay.child.pid) - callsBefore) / messages, 2)) write calls a message"
    )
    relay.stop()
  }

  private static func writes(_ pid: Int32) -> Double {
    let line = Machine.lines(of: "/proc/\(pid)/io").first { $0.hasPrefix("syscw:") }
    return line?.split(separator: " ").last.flatMap { Double($0) } ?? .nan
  }
}

/// A certificate for loopback, made for this run.
private struct Certificate {
  let file = "/tmp/kin-bench.\(getpid()).pem"
  let keyFile = "/tmp/kin-bench.\(getpid()).key"

  init() throws {
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    try Child(
      "/usr/bin/openssl", ["req", "-x509"] + key + subject + ["-days", "2", "-keyout", keyFile, "-out", file]
    ).succeed()
  }
}

private final class Idle: WebSocketHandler {
  let connection: WebSocketConnection

  init(connection: WebSocketConnection) { self.connection = connection }

  func received(binary bytes: RawSpan) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}

/// Sends the next message when the last one is on the relay's disk. Confined to its loop.
private final class Pacer: WebSocketHandler, @unchecked Sendable {
  let room: RoomResponse
  let total: Int
  var connection: WebSocketConnection?
  private var sent = 0
  private var waiting: CheckedContinuation<Void, Never>?

  init(room: RoomResponse, total: Int) { (self.room, self.total) = (room, total) }

  func run() async {
    await withCheckedContinuation { continuation in
      EventLoop.shared.execute {
        self.waiting = continuation
        self.sendNext()
      }
    }
  }

  private func sendNext() {
    guard sent < total else {
      waiting?.resume()
      waiting = nil
      return
    }
    sent += 1
    let message = [UInt8](repeating: 0x5a, count: 200)
    let request = SendRequest(
      sendID: SendID(high: Random.uint64(), low: Random.uint64()), epoch: room.epoch, message: message)
    connection?.send(binary: ClientFrame.send(requestID: UInt32(sent), room: room.room, request).encoded)
  }

  func received(binary bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    if bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 131 { sendNext() }
  }

  func closed(_ code: WebSocketCloseCode, reason: String) {
    waiting?.resume()
    waiting = nil
  }
}
