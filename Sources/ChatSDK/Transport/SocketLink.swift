import RelayProtocol
import WireCodec

/// One open socket: frames out, frames in, and who waits for which answer.
actor SocketLink {
  private let socket: any RelaySocket
  private var nextRequest: UInt32 = 1
  private var waiting: [UInt32: CheckedContinuation<SendResponse, any Error>] = [:]
  private var hasEnded = false

  init(_ socket: any RelaySocket) { self.socket = socket }

  /// The next frame that is not the answer to a ``send(_:to:)``, or `nil` at the end.
  ///
  /// - Throws: `protocolViolation`: what came is no frame.
  nonisolated func next() async throws -> RelayFrame? {
    while let bytes = await socket.next() {
      let frame: RelayFrame
      do { frame = try RelayFrame(decoding: bytes) } catch {
        throw ChatError(.protocolViolation, underlying: error)
      }
      switch frame {
      case .sent(let requestID, let response): await answer(requestID, .success(response))
      case .refused(let requestID, let code, let retryAfter):
        if await !answer(requestID, .failure(Self.refusal(code, retryAfter))) { return frame }
      default: return frame
      }
    }
    return nil
  }

  private static func refusal(_ number: UInt16, _ retryAfter: UInt32) -> ChatError {
    let code = RelayCode(number: number) ?? .internalError
    return ChatError(
      Problem(code, title: "", retryAfter: retryAfter == 0 ? nil : Double(retryAfter) / 1000))
  }

  @discardableResult
  private func answer(_ requestID: UInt32, _ result: Result<SendResponse, any Error>) -> Bool {
    guard let continuation = waiting.removeValue(forKey: requestID) else { return false }
    continuation.resume(with: result)
    return true
  }

  /// Replaces the token that the socket was opened with before it runs out.
  func authenticate(_ token: String) async throws {
    try await socket.send(ClientFrame.authenticate(token: token).encoded)
  }

  func follow(_ cursors: [RoomCursor]) async throws {
    for start in stride(from: 0, to: cursors.count, by: Limits.cursorsPerFollow) {
      let part = Array(cursors[start..<min(start + Limits.cursorsPerFollow, cursors.count)])
      try await socket.send(ClientFrame.follow(requestID: request(), cursors: part).encoded)
    }
  }

  /// Sends an entry and waits until the relay has it on disk or says no.
  ///
  /// - Throws: the refusal; `relayUnreachable` if the socket ends first: it is then open whether the relay has it.
  func send(_ request: SendRequest, to room: RoomID) async throws -> SendResponse {
    guard !hasEnded else { throw ChatError(.relayUnreachable) }
    let requestID = self.request()
    let frame = ClientFrame.send(requestID: requestID, room: room, request).encoded
    return try await withCheckedThrowingContinuation { continuation in
      waiting[requestID] = continuation
      Task {
        do { try await socket.send(frame) } catch { answer(requestID, .failure(ChatError(wrapping: error))) }
      }
    }
  }

  private func request() -> UInt32 {
    defer { nextRequest &+= 1 }
    return nextRequest
  }

  /// Ends the socket and lets all who wait know.
  func end() {
    hasEnded = true
    socket.close()
    let continuations = waiting.values
    waiting = [:]
    for continuation in continuations { continuation.resume(throwing: ChatError(.relayUnreachable)) }
  }

  nonisolated var closeCode: UInt16? { socket.closeCode }
}
