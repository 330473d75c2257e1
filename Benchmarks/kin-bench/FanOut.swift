import BenchKit
import CryptoPrimitives
import Networking
import RelayProtocol
import WireCodec

/// One sender and many receivers in a room, all on one loop of this process. Counts deliveries and times some.
///
/// Confined to its loop.
final class FanOut: @unchecked Sendable {
  /// How many messages may be under way: stored, broadcast, and not yet with everyone.
  let window: Int
  let total: Int
  /// Messages a second, or as fast as the window allows.
  let rate: Double?

  private let loop: EventLoop
  /// The relay's room, or none for a peer that broadcasts what it is sent.
  private let room: RoomResponse?
  private let origin = ContinuousClock.now
  private var receivers = 0
  private var following = 0
  private var sender: WebSocketConnection?
  private var sent = 0
  private var delivered = 0
  private var latencies: [UInt64] = []
  private var waiting: CheckedContinuation<Void, Never>?
  private var timer: EventLoop.Timer?

  init(loop: EventLoop, room: RoomResponse?, window: Int, total: Int, rate: Double? = nil) {
    (self.loop, self.room, self.window, self.total, self.rate) = (loop, room, window, total, rate)
  }

  /// Connects receivers by several accounts' sockets; every one is live when this returns.
  func connect(_ count: Int, as account: BenchAccount) async throws {
    for _ in 0..<count { _ = try await account.socket(on: loop) { Receiver(connection: $0, fanOut: self) } }
    sender = try await account.socket(on: loop) { Sender(connection: $0) }
    await allFollow(count)
  }

  /// Connects receivers to a server that broadcasts whatever one socket sends to all others.
  func connect(_ count: Int, toBroadcast url: WebURL) async throws {
    let client = WebSocketClient(loop: loop)
    for _ in 0..<count {
      _ = try await client.connect(url) { connection in
        self.isFollowing()
        return Receiver(connection: connection, fanOut: self)
      }
    }
    sender = try await client.connect(url) { Sender(connection: $0) }
    await allFollow(count)
  }

  private func allFollow(_ count: Int) async {
    await withCheckedContinuation { continuation in
      loop.execute {
        self.receivers = count
        self.waiting = continuation
        self.check()
      }
    }
  }

  /// Sends all messages and waits until everyone has each of them. Returns seconds.
  func run() async -> Double {
    let start = ContinuousClock.now
    await withCheckedContinuation { continuation in
      loop.execute {
        self.waiting = continuation
        self.begin()
      }
    }
    return (ContinuousClock.now - start).seconds
  }

  /// Nanoseconds from sending to delivery, sorted.
  func sortedLatencies() async -> [UInt64] {
    await withCheckedContinuation { continuation in
      loop.execute { continuation.resume(returning: self.latencies.sorted()) }
    }
  }

  private func begin() {
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
    sent += 1
    let now = UInt64((ContinuousClock.now - origin).nanoseconds)
    let stamp = (0..<8).map { UInt8(truncatingIfNeeded: now >> UInt64(56 - 8 * $0)) }
    let message = stamp + [UInt8](repeating: 0xa5, count: 192)
    guard let room else {
      // As long as the relay's frame, with the time at the same place.
      sender?.send(binary: [133] + [UInt8](repeating: 0, count: 43) + message)
      return
    }
    let request = SendRequest(
      sendID: SendID(high: Random.uint64(), low: UInt64(sent)), epoch: room.epoch, message: message)
    sender?.send(binary: ClientFrame.send(requestID: UInt32(sent), room: room.room, request).encoded)
  }

  private func check() {
    guard following >= receivers, receivers > 0, delivered >= total * receivers || sent == 0 else { return }
    waiting?.resume()
    waiting = nil
  }

  fileprivate func follow(_ connection: WebSocketConnection) {
    guard let room else { return }
    let cursor = RoomCursor(room: room.room, position: room.position)
    connection.send(binary: ClientFrame.follow(requestID: 1, cursors: [cursor]).encoded)
  }

  fileprivate func isFollowing() {
    following += 1
    check()
  }

  fileprivate func deliver(sentAt: UInt64) {
    delivered += 1
    if latencies.count < 4_000_000 {
      latencies.append(UInt64((ContinuousClock.now - origin).nanoseconds) &- sentAt)
    }
    guard delivered % receivers == 0 else { return }
    if rate == nil { sendNext() }
    check()
  }

}

/// Reads just enough of each frame to count it: the client's cost must not be measured for the relay's.
private final class Receiver: WebSocketHandler {
  let connection: WebSocketConnection
  let fanOut: FanOut

  init(connection: WebSocketConnection, fanOut: FanOut) { (self.connection, self.fanOut) = (connection, fanOut) }

  func received(binary bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    switch bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) {
    case 129: fanOut.follow(connection)
    case 130: fanOut.isFollowing()
    case 133 where bytes.byteCount >= 52:
      // The message begins behind kind, room, sequence, kind, epoch, time and a length of two bytes.
      fanOut.deliver(sentAt: UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 44, as: UInt64.self)))
    default: break
    }
  }

  func closed(_ code: WebSocketCloseCode, reason: String) {}
}

private final class Sender: WebSocketHandler {
  let connection: WebSocketConnection

  init(connection: WebSocketConnection) { self.connection = connection }

  func received(binary bytes: RawSpan) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}
