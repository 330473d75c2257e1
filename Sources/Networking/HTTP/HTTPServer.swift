import Glibc
import Synchronization

/// An HTTP/1.1 and WebSocket server on some event loops.
package final class HTTPServer: Sendable {
  /// Bounds and times.
  ///
  /// The defaults suit the open internet.
  package struct Configuration: Sendable {
    package var host = "127.0.0.1"
    /// 0 lets the kernel choose; ``HTTPServer/start()`` tells which.
    package var port: UInt16 = 0
    package var backlog: Int32 = 1024
    package var tls: TLSServerContext?

    package var maxHeadBytes = 16 * 1024
    package var maxHeaders = 100
    package var maxBodyBytes = 1024 * 1024
    /// What all clients' bodies together may hold of memory; beyond it only small ones are taken.
    package var maxBodyMemory = 256 << 20
    package var maxConnections = 50_000
    /// Per IPv4 address or IPv6 /64.
    ///
    /// A trusted proxy's connections are not counted for it: each request under way and each WebSocket then counts for the
    /// client that it names.
    package var maxConnectionsPerAddress = 50_000
    /// Whose `X-Forwarded-For` is believed.
    package var trustedProxies: [AddressRange] = []

    /// From the first byte of a request (or the connection's begin) to the end of its head; covers the TLS handshake.
    package var headTimeout = Duration.seconds(10)
    /// For a body, beyond the time that ``minimumRate`` allows for what of it has come.
    package var bodyTimeout = Duration.seconds(20)
    /// How long an unused connection may wait for its next request.
    package var keepAliveTimeout = Duration.seconds(75)
    /// For taking an answer, beyond the time that ``minimumRate`` allows for what of it was taken.
    package var writeTimeout = Duration.seconds(30)
    /// Bytes a second: whoever sends or takes a body more slowly is cut when its timeout is used up.
    package var minimumRate = 2048

    package var webSocket = WebSocketLimits()
    package init() {}
  }

  let configuration: Configuration
  let webSocketLimits: WebSocketLimits.Shared
  let handler: any HTTPHandler
  private let loops: [EventLoop]
  private let lanes: Mutex<[HTTPServerLane]> = Mutex([])
  let lobby = Mutex(Lobby())
  /// What all clients' bodies hold at present.
  let bodyMemory = Atomic(0)

  package init(configuration: Configuration, loops: [EventLoop], handler: any HTTPHandler) {
    self.configuration = configuration
    webSocketLimits = WebSocketLimits.Shared(configuration.webSocket)
    self.loops = loops
    self.handler = handler
  }

  /// Begins to listen on every loop.
  ///
  /// - Returns: the address that it listens on.
  /// - Throws: `addressInUse`, or another code when the address cannot be had; nothing is left open then.
  package func start() async throws(NetworkError) -> SocketAddress {
    guard let first = loops.first, lanes.withLock({ $0.isEmpty }) else {
      throw NetworkError(.misuse, "a server needs a loop and starts once")
    }
    let addresses = try await first.perform { completion in
      Resolver.resolve(self.configuration.host, port: self.configuration.port, on: first, completion: completion)
    }
    if loops.count > 1, configuration.port != 0 { try TCPListener.requireFree(addresses[0]) }
    var bound: SocketAddress?
    for loop in loops {
      var address = addresses[0]
      if let bound {
        // The first loop may have been given a port by the kernel; the others share it.
        guard let same = SocketAddress.storage(host: bound.host, port: bound.port) else {
          throw NetworkError(.internalError, "the bound address cannot be read back")
        }
        address = same
      }
      let lane = HTTPServerLane(server: self, loop: loop)
      lanes.withLock { $0.append(lane) }
      let target = address
      do throws(NetworkError) {
        bound = try await loop.perform { completion in
          completion(Result { () throws(NetworkError) in try lane.listen(target, sharesPort: self.loops.count > 1) })
        }
      } catch {
        for lane in lanes.withLock({ $0 }) { lane.loop.execute { lane.stop() } }
        throw error
      }
    }
    return bound ?? SocketAddress(host: configuration.host, port: configuration.port)
  }

  /// Stops accepting, closes idle connections, lets requests finish, tells WebSockets 1001, and waits until all is closed.
  ///
  /// What is still open when the time is up is cut.
  package func drain(deadline: Duration) async {
    let lanes = lanes.withLock { $0 }
    guard let first = lanes.first else { return }
    for lane in lanes { lane.loop.execute { lane.drain() } }
    let timer = first.loop.schedule(after: deadline) {
      for lane in lanes { lane.loop.execute { lane.stop() } }
    }
    // The lanes must have begun before an empty house means that it is over.
    for lane in lanes { _ = try? await lane.loop.perform { $0(.success(())) } }
    await withCheckedContinuation { continuation in
      let isEmpty = lobby.withLock { lobby in
        if lobby.count > 0 { lobby.waiters.append(continuation) }
        return lobby.count == 0
      }
      if isEmpty { continuation.resume() }
    }
    timer.cancel()
    for lane in lanes { _ = try? await lane.loop.perform { completion in completion(.success(lane.stop())) } }
    // They hold the server, and the server them.
    self.lanes.withLock { $0 = [] }
  }
}

extension EventLoop {
  /// Runs the body on the loop and waits until it has called its completion, once.
  func perform<Value: Sendable>(
    _ body: @escaping @Sendable (_ completion: @escaping @Sendable (Result<Value, NetworkError>) -> Void) -> Void
  ) async throws(NetworkError) -> Value {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, NetworkError>, Never>) in
      execute { body { continuation.resume(returning: $0) } }
    }
    return try result.get()
  }
}
