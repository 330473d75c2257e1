import CUV

/// One client of an HTTP server: reads requests, has them handled one after the other, writes the answers.
///
/// Confined to its loop.
final class HTTPServerConnection: ByteStreamHandler, @unchecked Sendable {
  private enum Phase {
    /// Between requests.
    case idle
    case head
    case body
    case handling
    /// The last answer is on its way.
    case ending
    case upgraded
  }

  /// What a client may send ahead while its request is handled.
  private static let maxAhead = 64 * 1024

  private let stream: TCPConnection
  private let lane: HTTPServerLane
  private let configuration: HTTPServer.Configuration
  private var machine: HTTP1Machine
  private var phase = Phase.head
  /// In the loop's milliseconds; counts in every phase but `handling`.
  private var deadline: UInt64
  private var head: HTTPRequestHead?
  private var task: Task<Void, Never>?
  private var leftover: [UInt8] = []
  private var hasInputEnded = false

  init(stream: TCPConnection, lane: HTTPServerLane) {
    self.stream = stream
    self.lane = lane
    configuration = lane.server.configuration
    var limits = HTTP1Machine.Limits()
    limits.headBytes = configuration.maxHeadBytes
    limits.headers = configuration.maxHeaders
    limits.bodyBytes = configuration.maxBodyBytes
    machine = HTTP1Machine(role: .server, limits: limits)
    deadline = uv_now(stream.loop.uv) + configuration.headTimeout.milliseconds
  }

  private func setDeadline(_ duration: Duration) {
    deadline = uv_now(stream.loop.uv) + duration.milliseconds
  }

  // MARK: Input

  func received(_ bytes: RawSpan) {
    switch phase {
    case .ending: return
    case .handling, .upgraded:
      bytes.withUnsafeBytes { leftover.append(contentsOf: $0) }
      if leftover.count > HTTPServerConnection.maxAhead { stream.pause() }
    default:
      let used = process(bytes)
      if used < bytes.byteCount { leftover = bytes.array(used..<bytes.byteCount) }
    }
  }

  private func processLeftover() {
    guard phase == .idle || phase == .head || phase == .body, !leftover.isEmpty else { return }
    var bytes: [UInt8] = []
    swap(&bytes, &leftover)
    let used = process(bytes.span.bytes)
    if used < bytes.count { leftover = Array(bytes[used...]) + leftover }
  }

  /// Works until the bytes are used up or a request is complete; the result says how many are done with.
  private func process(_ bytes: RawSpan) -> Int {
    var offset = 0
    do throws(NetworkError) {
      while phase == .idle || phase == .head || phase == .body {
        guard let event = try machine.next(bytes, &offset) else { break }
        switch event {
        case .request(let head):
          try begin(head, hasMore: offset < bytes.byteCount)
        case .response: break
        case .end: try dispatch()
        }
      }
      if phase == .idle && machine.isInMessage {
        phase = .head
        setDeadline(configuration.headTimeout)
      }
    } catch {
      refuse(error)
      return bytes.byteCount
    }
    return phase == .ending ? bytes.byteCount : offset
  }

  private func begin(_ head: HTTPRequestHead, hasMore: Bool) throws(NetworkError) {
    phase = .body
    setDeadline(configuration.bodyTimeout)
    self.head = head
    let segments = try PercentCoding.segments(head.path)
    let limit = min(configuration.maxBodyBytes, max(0, lane.server.handler.bodyLimit(head.method, segments: segments)))
    machine.limits.bodyBytes = limit
    if case .length(let length) = head.framing, length > limit {
      throw NetworkError(.tooLarge, "the body is too large", status: 413)
    }
    if head.expectsContinue && !hasMore { stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
  }

  func inputEnded() {
    hasInputEnded = true
    switch phase {
    case .idle, .head, .body: stream.finish()
    // It may have closed only its own half: it still gets its answer, but nobody is to wait for its sake.
    case .handling: task?.cancel()
    case .ending, .upgraded: break
    }
  }

  func closed(_ error: NetworkError?) {
    task?.cancel()
    task = nil
    phase = .ending
    leftover = []
  }

  // MARK: Handling

  private func dispatch() throws(NetworkError) {
    guard let head else { return }
    let request = HTTPRequest(
      method: head.method, path: head.path, segments: try PercentCoding.segments(head.path),
      query: try PercentCoding.query(head.query), headers: head.headers, body: machine.takeBody(), peer: stream.peer,
      isSecure: stream.tls != nil)
    if WebSocketHandshake.isUpgrade(head) {
      let key = try WebSocketHandshake.key(of: head)
      phase = .handling
      let handler = lane.server.handler
      start { [self] _ in
        let decision = await handler.upgrade(request)
        decided(decision, key: key, head: head)
      }
      return
    }
    phase = .handling
    let handler = lane.server.handler
    start { [self] _ in
      let response = await handler.handle(request)
      respond(response)
    }
  }

  private func start(_ operation: @escaping RequestRunner.Operation) {
    task = lane.runner.assumeIsolated { $0.start(operation) }
  }

  private func decided(_ decision: WebSocketDecision, key: String, head: HTTPRequestHead) {
    guard phase == .handling, stream.state == .open else { return }
    switch decision {
    case .refuse(let response): respond(response)
    case .accept(let subprotocol, let makeHandler):
      // What the client did not offer it would have to refuse.
      if let subprotocol, !WebSocketHandshake.offeredSubprotocols(head.headers).contains(subprotocol) {
        return respond(HTTPResponse(status: 400))
      }
      phase = .upgraded
      task = nil
      stream.write(WebSocketHandshake.response(key: key, subprotocol: subprotocol))
      let socket = WebSocketConnection(
        stream: stream, role: .server, subprotocol: subprotocol, limits: configuration.webSocket)
      var rest: [UInt8] = []
      swap(&rest, &leftover)
      socket.begin(makeHandler(socket), leftover: rest)
      lane.promote(stream, to: socket)
    }
  }

  private func respond(_ response: HTTPResponse) {
    guard phase == .handling, stream.state == .open, let head else { return }
    task = nil
    let keepAlive = head.keepsAlive && !lane.isDraining && !hasInputEnded
    var response = response
    // Interim statuses are ours to send, and a status must have three digits.
    if !(200...599).contains(response.status) { response = HTTPResponse(status: 500) }
    if response.status == 204 || response.status == 304 { response.body = [] }
    stream.write(
      HTTP1Writer.response(
        response, keepAlive: keepAlive, hasKeepAliveField: head.minor == 0, date: lane.dateText()))
    if head.method != .head, !response.body.isEmpty {
      if response.body.count >= OutgoingQueue.sharingThreshold {
        stream.write(SharedBytes(response.body))
      } else {
        stream.write(response.body)
      }
    }
    self.head = nil
    guard keepAlive else { return end() }
    machine.startNext()
    phase = .idle
    setDeadline(configuration.keepAliveTimeout)
    stream.resume()
    processLeftover()
  }

  /// Answers what cannot be a request, and ends: where the next one would begin is not known any more.
  private func refuse(_ error: NetworkError) {
    guard stream.state == .open else { return }
    let status = error.status ?? 400
    var response = lane.server.handler.refusal(status: status)
    response.status = status
    if status == 426 {
      response.headers.set("Upgrade", "websocket")
      response.headers.set("Sec-WebSocket-Version", "13")
    }
    stream.write(HTTP1Writer.response(response, keepAlive: false, date: lane.dateText()))
    if !response.body.isEmpty { stream.write(response.body) }
    end()
  }

  private func end() {
    phase = .ending
    leftover = []
    stream.finish()
  }

  // MARK: Time

  func checkTime(_ now: UInt64) {
    // Waiting bytes that do not move are a client that does not read.
    if stream.queuedBytes > 0, now > stream.lastProgress + configuration.writeTimeout.milliseconds {
      return stream.abort(NetworkError(.slowConsumer, "the client does not read"))
    }
    guard now >= deadline else { return }
    switch phase {
    case .idle: end()
    case .head:
      // A connection that never said a word is not owed one, and before TLS there is no way to say it.
      guard machine.isInMessage, stream.tls?.isEstablished ?? true else { return stream.abort(nil) }
      refuse(NetworkError(.timedOut, "the head did not come in time", status: 408))
    case .body: refuse(NetworkError(.timedOut, "the body did not come in time", status: 408))
    case .handling, .ending, .upgraded: break
    }
  }

  /// The server is going: an unused connection ends now, another after its answer.
  func drain() {
    switch phase {
    case .idle: end()
    case .head where !machine.isInMessage: stream.abort(nil)
    default: break
    }
  }

  func cut() {
    stream.abort(nil)
  }
}
