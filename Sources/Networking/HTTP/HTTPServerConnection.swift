import CUV
import Synchronization

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
    /// Much of the answer waits to be taken; until it is, the next request does.
    case flushing
    /// The last answer is on its way.
    case ending
    case upgraded
  }

  /// What a client may send ahead while its request is handled, and what may wait for it before its next one is.
  private static let maxAhead = 64 * 1024
  private static let smallBody = 4096

  private let stream: TCPConnection
  private let lane: HTTPServerLane
  private let configuration: HTTPServer.Configuration
  private var machine: HTTP1Machine
  private var phase = Phase.head
  /// In the loop's milliseconds; counts in every phase but `handling` and `flushing`.
  private var deadline: UInt64
  /// How many bytes have come for the present body, and how many of the server's memory are counted for it.
  private var bodyReceived = 0
  private var bodyHeld = 0
  private var slowReader = SlowReader()
  /// Whether the peer is a trusted proxy, and for whom it asks at present.
  private let isProxied: Bool
  private var guest: String?
  private var head: HTTPRequestHead?
  private var task: Task<Void, Never>?
  private var leftover: [UInt8] = []
  private var hasInputEnded = false

  init(stream: TCPConnection, lane: HTTPServerLane, isProxied: Bool) {
    self.isProxied = isProxied
    self.stream = stream
    self.lane = lane
    configuration = lane.server.configuration
    var limits = HTTP1Machine.Limits()
    limits.headBytes = configuration.maxHeadBytes
    limits.headers = configuration.maxHeaders
    limits.bodyBytes = configuration.maxBodyBytes
    machine = HTTP1Machine(role: .server, limits: limits)
    deadline = uv_now(stream.loop.uv) + configuration.headTimeout.milliseconds
    stream.highWater = HTTPServerConnection.maxAhead
  }

  private func setDeadline(_ duration: Duration) {
    deadline = uv_now(stream.loop.uv) + duration.milliseconds
  }

  // MARK: Input

  func received(_ bytes: RawSpan) {
    switch phase {
    case .ending: return
    case .handling, .flushing, .upgraded:
      bytes.withUnsafeBytes { leftover.append(contentsOf: $0) }
      if leftover.count > HTTPServerConnection.maxAhead { stream.pause() }
    default:
      if phase == .body { bodyReceived += bytes.byteCount }
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
        case .end:
          try holdBody()
          try dispatch()
        }
      }
      if phase == .body { try holdBody() }
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
    bodyReceived = 0
    setDeadline(configuration.bodyTimeout)
    self.head = head
    let segments = try PercentCoding.segments(head.path)
    let limit = min(
      configuration.maxBodyBytes,
      max(0, lane.server.handler.bodyLimit(head.method, segments: segments, headers: head.headers)))
    machine.limits.bodyBytes = limit
    if case .length(let length) = head.framing, length > limit {
      throw NetworkError(.tooLarge, "the body is too large", status: 413)
    }
    if head.expectsContinue && !hasMore { stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
  }

  /// Counts what the body takes of the memory that is there for all of them.
  private func holdBody() throws(NetworkError) {
    let more = machine.bodyCount - bodyHeld
    guard more > 0 else { return }
    bodyHeld += more
    let all = lane.server.bodyMemory.add(more, ordering: .relaxed).newValue
    // Small requests are what most clients need to go on; what they take is bounded by the number of connections.
    guard all <= configuration.maxBodyMemory || bodyHeld <= HTTPServerConnection.smallBody else {
      throw NetworkError(.tooLarge, "too much memory is taken by requests", status: 503)
    }
  }

  private func releaseBody() {
    lane.server.bodyMemory.subtract(bodyHeld, ordering: .relaxed)
    bodyHeld = 0
  }

  func inputEnded() {
    hasInputEnded = true
    switch phase {
    case .idle, .head, .body: stream.finish()
    // It may have closed only its own half: it still gets its answer, but nobody is to wait for its sake.
    case .handling: task?.cancel()
    case .flushing: stream.finish()
    case .ending, .upgraded: break
    }
  }

  func closed(_ error: NetworkError?) {
    task?.cancel()
    task = nil
    phase = .ending
    leftover = []
    guestLeaves()
    releaseBody()
  }

  func drained() {
    guard phase == .flushing else { return }
    if stream.state == .open && !lane.isDraining { next() } else { end() }
  }

  // MARK: Handling

  private func dispatch() throws(NetworkError) {
    guard let head else { return }
    let request = HTTPRequest(
      method: head.method, path: head.path, segments: try PercentCoding.segments(head.path),
      query: try PercentCoding.query(head.query), headers: head.headers, body: machine.takeBody(), peer: stream.peer,
      client: SocketAddress.client(
        peer: stream.peer, headers: head.headers, trusted: isProxied ? configuration.trustedProxies : []),
      isSecure: stream.tls != nil)
    if isProxied {
      let visitor = request.client.visitor
      if let refusal = lane.server.enter(guest: visitor) {
        phase = .handling
        return respond(lane.server.refusal(refusal.rawValue))
      }
      guest = visitor
    }
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
      releaseBody()
      stream.write(WebSocketHandshake.response(key: key, subprotocol: subprotocol))
      let socket = WebSocketConnection(
        stream: stream, role: .server, subprotocol: subprotocol, limits: lane.server.webSocketLimits)
      var rest: [UInt8] = []
      swap(&rest, &leftover)
      if let guest {
        // The connection is this visitor's from now on, to its end.
        self.guest = nil
        let (before, server) = (stream.onClose, lane.server)
        stream.onClose = {
          before?()
          server.leave(guest: guest)
        }
      }
      socket.begin(makeHandler(socket), leftover: rest)
      lane.promote(stream, to: socket)
    }
  }

  private func respond(_ response: HTTPResponse) {
    guard phase == .handling, stream.state == .open, let head else { return }
    task = nil
    guestLeaves()
    releaseBody()
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
    // Else a client that asks for much and reads nothing would fill our memory with answers.
    if stream.isCongested { phase = .flushing } else { next() }
  }

  private func guestLeaves() {
    guard let guest else { return }
    self.guest = nil
    lane.server.leave(guest: guest)
  }

  private func next() {
    machine.startNext()
    phase = .idle
    setDeadline(configuration.keepAliveTimeout)
    stream.resume()
    processLeftover()
  }

  /// Answers what cannot be a request, and ends: where the next one would begin is not known any more.
  private func refuse(_ error: NetworkError) {
    guard stream.state == .open else { return }
    releaseBody()
    let response = lane.server.refusal(error.status ?? 400)
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
    if slowReader.isTooSlow(unsent: stream.unsentBytes, now: now, configuration) {
      return stream.abort(NetworkError(.slowConsumer, "the client does not read"))
    }
    var deadline = deadline
    if phase == .body { deadline += configuration.time(for: bodyReceived) }
    guard now >= deadline else { return }
    switch phase {
    case .idle: end()
    case .head:
      // A connection that never said a word is not owed one, and before TLS there is no way to say it.
      guard machine.isInMessage, stream.tls?.isEstablished ?? true else { return stream.abort(nil) }
      refuse(NetworkError(.timedOut, "the head did not come in time", status: 408))
    case .body: refuse(NetworkError(.timedOut, "the body did not come in time", status: 408))
    case .handling, .flushing, .ending, .upgraded: break
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

/// Tells a client that takes its answer too slowly from one that is merely far away.
struct SlowReader {
  private var since: UInt64?
  private var last = 0
  private var taken = 0

  mutating func isTooSlow(unsent: Int, now: UInt64, _ configuration: HTTPServer.Configuration) -> Bool {
    guard unsent > 0 else {
      self = SlowReader()
      return false
    }
    if unsent < last { taken += last - unsent }
    last = unsent
    guard let since else {
      since = now
      return false
    }
    return now > since + configuration.writeTimeout.milliseconds + configuration.time(for: taken)
  }
}

extension HTTPServer.Configuration {
  /// The milliseconds that so many bytes may take.
  func time(for bytes: Int) -> UInt64 { UInt64(bytes) * 1000 / UInt64(max(1, minimumRate)) }
}

extension HTTPServer {
  /// What a client is told that no handler sees.
  func refusal(_ status: Int) -> HTTPResponse {
    var response = handler.refusal(status: status)
    response.status = status
    switch status {
    case 426:
      response.headers.set("Upgrade", "websocket")
      response.headers.set("Sec-WebSocket-Version", "13")
    case 415: response.headers.set("Accept-Encoding", "identity")
    case 429, 503: if response.headers["Retry-After"] == nil { response.headers.set("Retry-After", "5") }
    default: break
    }
    return response
  }
}
