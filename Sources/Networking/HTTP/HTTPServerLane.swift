import CUV
import Glibc

/// A server's part on one loop: its listener, its connections, and the clock that watches them.
///
/// Confined to the loop.
final class HTTPServerLane: @unchecked Sendable {
  let server: HTTPServer
  let loop: EventLoop
  let runner: RequestRunner
  private let listener: TCPListener
  private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
  private var sockets: [ObjectIdentifier: WebSocketConnection] = [:]
  private var timer: EventLoop.Timer?
  private(set) var isDraining = false
  /// How many are being told that there is no room for them.
  private var turningAway = 0
  private var date: (second: Int, text: String) = (-1, "")

  init(server: HTTPServer, loop: EventLoop) {
    self.server = server
    self.loop = loop
    runner = RequestRunner(loop: loop)
    listener = TCPListener(loop: loop)
  }

  func listen(_ address: sockaddr_storage, sharesPort: Bool) throws(NetworkError) -> SocketAddress {
    let bound = try listener.listen(
      address, sharesPort: sharesPort, backlog: server.configuration.backlog
    ) { [weak self] stream in
      if let self { accept(stream) } else { stream.abort(nil) }
    }
    let configuration = server.configuration
    let shortest =
      [
        configuration.headTimeout, configuration.bodyTimeout, configuration.keepAliveTimeout,
        configuration.writeTimeout, configuration.webSocket.pingInterval, configuration.webSocket.pongTimeout,
      ].min() ?? .seconds(1)
    // One clock for all connections: a deadline may be missed by a quarter, which costs nobody anything.
    timer = loop.schedule(every: max(.milliseconds(10), min(.seconds(1), shortest / 4))) { [weak self] in
      self?.sweep()
    }
    return bound
  }

  private func accept(_ stream: TCPConnection) {
    stream.begin()
    guard stream.state == .open else { return }
    guard !isDraining else { return stream.abort(nil) }
    let isProxied = server.isProxy(stream.peer)
    let visitor = isProxied ? nil : stream.peer.visitor
    if let refusal = server.enter(visitor) { return turnAway(stream, refusal) }
    // Nothing has been read yet: that is for the loop's next turn.
    do throws(NetworkError) {
      if let tls = server.configuration.tls { stream.tls = try TLSEngine(server: tls, on: loop) }
    } catch {
      server.leave(visitor)
      return stream.abort(error)
    }
    let connection = HTTPServerConnection(stream: stream, lane: self, isProxied: isProxied)
    stream.handler = connection
    let id = ObjectIdentifier(stream)
    connections[id] = connection
    // Keeps the lane until the connection ends, and no longer.
    stream.onClose = { [self] in
      connections.removeValue(forKey: id)
      sockets.removeValue(forKey: id)
      server.leave(visitor)
    }
  }

  /// Says that there is no room, where that is cheap: not through TLS, and not to a crowd.
  private func turnAway(_ stream: TCPConnection, _ refusal: Lobby.Refusal) {
    guard server.configuration.tls == nil, turningAway < 64 else { return stream.abort(nil) }
    turningAway += 1
    stream.onClose = { [weak self] in self?.turningAway -= 1 }
    let response = server.refusal(refusal.rawValue)
    stream.write(HTTP1Writer.response(response, keepAlive: false, date: dateText()) + response.body)
    stream.finish()
  }

  /// A connection has become a WebSocket.
  func promote(_ stream: TCPConnection, to socket: WebSocketConnection) {
    connections.removeValue(forKey: ObjectIdentifier(stream))
    sockets[ObjectIdentifier(stream)] = socket
    if isDraining { socket.close(.goingAway) }
  }

  private func sweep() {
    let now = uv_now(loop.uv)
    for connection in Array(connections.values) { connection.checkTime(now) }
    // Whoever leaves meanwhile changes the lane's table, not the copy that is walked through.
    for socket in sockets.values { socket.checkTime(now) }
  }

  func drain() {
    guard !isDraining else { return }
    isDraining = true
    listener.close()
    for connection in Array(connections.values) { connection.drain() }
    for socket in Array(sockets.values) { socket.close(.goingAway) }
  }

  /// Cuts everything.
  func stop() {
    isDraining = true
    listener.close()
    timer?.cancel()
    timer = nil
    for connection in Array(connections.values) { connection.cut() }
    for socket in Array(sockets.values) { socket.abort(.goingAway) }
  }

  /// Now, as the `Date` field has it; written once a second.
  func dateText() -> String {
    let second = time(nil)
    if second != date.second { date = (second, HTTP1Writer.date(second)) }
    return date.text
  }
}

/// Runs handlers isolated to a loop, so that what they call on the same loop costs no thread hop.
actor RequestRunner {
  private let loop: EventLoop

  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  init(loop: EventLoop) { self.loop = loop }

  /// An operation that says where it runs: an ordinary `async` closure may begin on the global pool.
  typealias Operation = @Sendable (isolated RequestRunner) async -> Void

  /// Starts one request, later in this turn.
  func start(_ operation: @escaping Operation) -> Task<Void, Never> {
    Task { await operation(self) }
  }
}
