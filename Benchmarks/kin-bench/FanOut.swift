import BenchKit
import CryptoPrimitives
import Networking
import RelayProtocol

/// One sender and many receivers in a room, all on one loop of this process. Counts deliveries and times them.
///
/// Confined to its loop.
final class FanOut: @unchecked Sendable {
  private let loop: EventLoop
  fileprivate let dialect: Dialect
  private let origin = ContinuousClock.now
  private var receivers = 0
  private var following = 0
  private var sender: WebSocketConnection?
  private var waiting: CheckedContinuation<Void, Never>?
  private var timer: EventLoop.Timer?

  // Of one run.
  private var total = 0
  private var isPaced = false
  private var sent = 0
  private var done = 0
  /// How many receivers each message has still to reach.
  private var remaining: [Int] = []
  private var latencies: [UInt64] = []

  init(loop: EventLoop = .shared, _ dialect: Dialect) { (self.loop, self.dialect) = (loop, dialect) }

  /// Opens a socket to the server; the handler is made on the loop.
  typealias Connect =
    @Sendable (
      _ handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
    ) async throws -> WebSocketConnection

  /// Connects the receivers and the sender; every receiver is live when this returns.
  func connect(_ count: Int, by connect: Connect) async throws {
    for _ in 0..<count { _ = try await connect { Receiver(connection: $0, fanOut: self) } }
    sender = try await connect { Sender(connection: $0, dialect: self.dialect) }
    await withCheckedContinuation { continuation in
      loop.execute {
        self.receivers = count
        self.waiting = continuation
        self.check()
      }
    }
  }

  /// Sends `total` messages, of which at most `window` are under way: sent, and not yet with everyone. Or with `rate`, so
  /// many a second. Returns seconds when everyone has each of them.
  func run(total: Int, window: Int = 1, rate: Double? = nil) async -> Double {
    let start = ContinuousClock.now
    await withCheckedContinuation { continuation in
      loop.execute {
        self.waiting = continuation
        self.begin(total, window, rate)
      }
    }
    return (ContinuousClock.now - start).seconds
  }

  /// Nanoseconds from sending to delivery, sorted, of the last run.
  func sortedLatencies() async -> [UInt64] {
    await withCheckedContinuation { continuation in
      loop.execute { continuation.resume(returning: self.latencies.sorted()) }
    }
  }

  func close() async {
    await withCheckedContinuation { continuation in
      loop.execute {
        self.sender?.close()
        self.sender = nil
        continuation.resume()
      }
    }
  }

  private func begin(_ total: Int, _ window: Int, _ rate: Double?) {
    (self.total, sent, done, isPaced) = (total, 0, 0, rate != nil)
    remaining = Array(repeating: receivers, count: total)
    latencies.removeAll(keepingCapacity: true)
    latencies.reserveCapacity(total * receivers)
    guard let rate else {
      for _ in 0..<min(window, total) { sendNext() }
      return
    }
    // Each tick sends what is due by now, so that a late tick does not lower the rate.
    let start = ContinuousClock.now
    timer = loop.schedule(every: .milliseconds(1)) { [self] in
      let due = min(total, Int((ContinuousClock.now - start).seconds * rate))
      while sent < due { sendNext() }
      if sent == total { timer?.cancel() }
    }
  }

  private func sendNext() {
    guard sent < total else { return }
    let now = UInt64((ContinuousClock.now - origin).nanoseconds)
    var payload = [UInt8](repeating: 0xa5, count: Dialect.payloadBytes)
    for place in 0..<8 { payload[place] = UInt8(truncatingIfNeeded: now >> UInt64(56 - 8 * place)) }
    for place in 0..<4 { payload[8 + place] = UInt8(truncatingIfNeeded: sent >> (24 - 8 * place)) }
    let random = SendID(high: Random.uint64(), low: UInt64(sent))
    sender?.send(binary: dialect.message(payload, number: UInt32(sent), random: random))
    sent += 1
  }

  private func check() {
    guard following >= receivers, receivers > 0, done >= total else { return }
    waiting?.resume()
    waiting = nil
  }

  fileprivate func isFollowing() {
    following += 1
    check()
  }

  fileprivate func deliver(sentAt: UInt64, number: Int) {
    guard remaining.indices.contains(number) else { return }
    latencies.append(UInt64((ContinuousClock.now - origin).nanoseconds) &- sentAt)
    remaining[number] -= 1
    guard remaining[number] == 0 else { return }
    done += 1
    if !isPaced { sendNext() }
    check()
  }
}

/// Reads just enough of what comes to count it: the client's cost must not be measured for the server's.
private final class Receiver: WebSocketHandler {
  let connection: WebSocketConnection
  let fanOut: FanOut
  private var rest: [UInt8] = []

  init(connection: WebSocketConnection, fanOut: FanOut) {
    (self.connection, self.fanOut) = (connection, fanOut)
    if let greeting = fanOut.dialect.greeting { connection.send(binary: greeting) }
    if fanOut.dialect.subscription == nil { fanOut.isFollowing() }
  }

  func received(binary bytes: RawSpan) {
    guard rest.isEmpty else {
      bytes.withUnsafeBytes { rest.append(contentsOf: $0) }
      let all = rest
      rest = all.withUnsafeBytes { Array($0[read($0)...]) }
      return
    }
    bytes.withUnsafeBytes { bytes in
      let used = read(bytes)
      if used < bytes.count { rest = Array(bytes[used...]) }
    }
  }

  /// Returns how much was read.
  private func read(_ bytes: UnsafeRawBufferPointer) -> Int {
    var offset = 0
    while let event = fanOut.dialect.next(bytes, &offset) {
      switch event {
      case .ready: if let subscription = fanOut.dialect.subscription { connection.send(binary: subscription) }
      case .subscribed: fanOut.isFollowing()
      case .payload(let start):
        let sentAt = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        let number = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self))
        fanOut.deliver(sentAt: sentAt, number: Int(number))
      case nil: break
      }
    }
    return offset
  }

  func received(text: String) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}

private final class Sender: WebSocketHandler {
  init(connection: WebSocketConnection, dialect: Dialect) {
    if let greeting = dialect.greeting { connection.send(binary: greeting) }
  }

  func received(binary bytes: RawSpan) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}
