import BenchKit
import Glibc
import Networking
import RelayProtocol
import WireCodec

/// A client that follows one room, comes back whenever its socket ends, and checks that each entry comes once and in order.
/// Confined to its loop.
final class Follower: WebSocketHandler, @unchecked Sendable {
  /// What a process of followers says of itself.
  struct Report {
    var live = 0
    /// Followers that were live, lost their socket, and came back.
    var reconnected = 0
    var gaps = 0
    var least: UInt64 = .max
    var most: UInt64 = 0
  }

  private struct Target: Sendable {
    let url: WebURL
    let token: String
    let room: RoomID
    let incarnation: UInt64
  }

  private let target: Target
  private var connection: WebSocketConnection?
  private var last: UInt64 = 0
  private var isLive = false
  private var wasLive = false
  private var isBack = false
  private var gaps = 0
  private var patience = 1000

  private init(_ target: Target) { self.target = target }

  /// What a child does, until its parent is gone.
  ///
  /// - Parameter file: the relay's address, a token, and rooms with their logs' incarnations, each on a line.
  static func follow(file: String, count: Int) async throws {
    let lines = Machine.lines(of: file)
    guard lines.count > 2 else { throw Child.Failed(what: "no rooms to follow") }
    let url = try WebURL(lines[0]).with(scheme: .ws).appending(path: Route.socket.path)
    let rooms = lines.dropFirst(2).map { $0.split(separator: " ") }
    let targets: [Target] = (0..<count).compactMap { number in
      let words = rooms[rooms.startIndex + number % rooms.count]
      guard words.count == 2, let room = RoomID(String(words[0])), let incarnation = UInt64(words[1]) else {
        return nil
      }
      return Target(url: url, token: lines[1], room: room, incarnation: incarnation)
    }
    let followers = targets.map { Follower($0) }
    EventLoop.shared.execute { for follower in followers { follower.comeBack() } }
    while getppid() != 1 {
      let report = await withCheckedContinuation { continuation in
        EventLoop.shared.execute { continuation.resume(returning: followers.map(\.report).total()) }
      }
      print("followers \(report.live) \(report.reconnected) \(report.gaps) \(report.least) \(report.most)")
      fflush(nil)
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// The newest report in a child's output.
  static func report(_ file: String) -> Report {
    let lines = Machine.lines(of: file).filter { $0.hasPrefix("followers ") }.map { $0.split(separator: " ") }
    guard let words = lines.last(where: { $0.count == 6 }) else { return Report() }
    return Report(
      live: Int(words[1]) ?? 0, reconnected: Int(words[2]) ?? 0, gaps: Int(words[3]) ?? 0,
      least: UInt64(words[4]) ?? 0, most: UInt64(words[5]) ?? 0)
  }

  private var report: Report {
    Report(live: isLive ? 1 : 0, reconnected: isBack ? 1 : 0, gaps: gaps, least: last, most: last)
  }

  /// Connects after a random part of its patience, as clients must that all lost the same relay.
  private func comeBack() {
    EventLoop.shared.schedule(after: .milliseconds(Int.random(in: 0...patience))) { [self] in
      Task {
        let headers: HTTPHeaders = ["Authorization": "Bearer \(target.token)"]
        let connection = try? await WebSocketClient().connect(
          target.url, headers: headers, subprotocol: Route.subprotocol
        ) { connection in
          self.connection = connection
          return self
        }
        guard connection == nil else { return }
        EventLoop.shared.execute { self.retry() }
      }
    }
  }

  private func retry() {
    patience = min(patience * 2, 4000)
    comeBack()
  }

  func received(binary bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    switch bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) {
    case 129:
      let position = StreamPosition(incarnation: target.incarnation, sequence: last)
      let cursor = RoomCursor(room: target.room, position: position)
      connection?.send(binary: ClientFrame.follow(requestID: 1, cursors: [cursor]).encoded)
    case 130:
      // Kind, request, the list's length, the room, and how it stands.
      isLive = bytes.byteCount > 22 && bytes.unsafeLoad(fromByteOffset: 22, as: UInt8.self) == 1
      if isLive && wasLive { isBack = true }
      wasLive = wasLive || isLive
      patience = 1000
    case 133 where bytes.byteCount >= 25:
      let sequence = UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 17, as: UInt64.self))
      if sequence != last + 1 { gaps += 1 }
      last = sequence
    case 134: gaps += 1
    default: break
    }
  }

  func closed(_ code: WebSocketCloseCode, reason: String) {
    isLive = false
    connection = nil
    comeBack()
  }
}

extension [Follower.Report] {
  func total() -> Follower.Report {
    reduce(into: Follower.Report()) { total, part in
      total.live += part.live
      total.reconnected += part.reconnected
      total.gaps += part.gaps
      total.least = Swift.min(total.least, part.least)
      total.most = Swift.max(total.most, part.most)
    }
  }
}
