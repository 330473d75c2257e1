import Networking
import RelayProtocol
import Testing
import WireCodec

/// A client's socket, whose frames are read one by one with a time limit.
final class Socket: Sendable {
  let stream: WebSocketStream

  init(_ fixture: RelayFixture, token: String?, subprotocol: String? = Route.subprotocol, origin: String? = nil)
    async throws
  {
    var headers: HTTPHeaders = [:]
    if let token { headers.set("Authorization", "Bearer \(token)") }
    if let origin { headers.set("Origin", origin) }
    stream = try await WebSocketClient().connect(
      try fixture.url(Route.socket.path, scheme: "ws"), headers: headers, subprotocol: subprotocol)
  }

  func send(_ frame: ClientFrame) async throws { try await stream.send(binary: frame.encoded) }

  /// The next frame, or `nil` when the socket is closed. Who else is there is left out: that may come at any time.
  func next(within time: Duration = .seconds(20)) async throws -> RelayFrame? {
    while let frame = try await any(within: time) {
      if case .presence = frame { continue }
      return frame
    }
    return nil
  }

  /// The next frame of whatever kind.
  func any(within time: Duration = .seconds(20)) async throws -> RelayFrame? {
    try await RelayServerTests.within(time) { [stream] in
      var iterator = stream.makeAsyncIterator()
      guard case .binary(let bytes)? = await iterator.next() else { return nil }
      return try RelayFrame(decoding: bytes)
    }
  }

  /// The next frame, or `nil` if none comes in that time.
  func quiet(for time: Duration = .milliseconds(400)) async -> RelayFrame? {
    await withTaskGroup(of: RelayFrame?.self) { group in
      group.addTask { [stream] in
        var iterator = stream.makeAsyncIterator()
        while case .binary(let bytes)? = await iterator.next() {
          guard let frame = try? RelayFrame(decoding: bytes) else { return nil }
          if case .presence = frame { continue }
          return frame
        }
        return nil
      }
      group.addTask {
        try? await Task.sleep(for: time)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
  }

  func expectReady(_ device: DeviceID) async throws {
    guard case .ready(let found, _)? = try await next() else {
      Issue.record("not ready")
      return
    }
    #expect(found == device)
  }

  func expectEntry(_ sequence: UInt64) async throws {
    guard case .entry(let entry)? = try await next() else {
      Issue.record("no entry \(sequence)")
      return
    }
    #expect(entry.sequence == sequence)
  }

  /// Reads until the socket is closed and returns the code.
  func closeCode() async throws -> UInt16? {
    while try await next() != nil {}
    return stream.closeCode?.rawValue
  }

  func follow(_ room: RoomID, after sequence: UInt64 = 0, incarnation: UInt64, requestID: UInt32 = 1) async throws {
    let position = StreamPosition(incarnation: incarnation, sequence: sequence)
    try await send(.follow(requestID: requestID, cursors: [RoomCursor(room: room, position: position)]))
  }

  /// Follows and reads everything up to the answer.
  func following(
    _ room: RoomID, after sequence: UInt64 = 0, incarnation: UInt64
  ) async throws -> (missed: [UInt64], status: FollowStatus) {
    try await follow(room, after: sequence, incarnation: incarnation)
    var missed: [UInt64] = []
    while let frame = try await next() {
      switch frame {
      case .entry(let entry): missed.append(entry.sequence)
      case .following(_, let statuses): return (missed, try #require(statuses.first))
      default: break
      }
    }
    throw Refusal(code: "closed")
  }
}
