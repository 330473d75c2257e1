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
    package var maxConnections = 50_000
    package var maxConnectionsPerAddress = 50_000

    /// From the first byte of a request (or the connection's begin) to the end of its head; covers the TLS handshake.
    package var headTimeout = Duration.seconds(10)
    package var bodyTimeout = Duration.seconds(60)
    /// How long an unused connection may wait for its next request.
    package var keepAliveTimeout = Duration.seconds(75)
    /// How long a client may take none of the bytes that wait for it.
    package var writeTimeout = Duration.seconds(30)

    package var webSocket = WebSocketLimits()
    package init() {}
  }

  package init(configuration: Configuration, loops: [EventLoop], handler: any HTTPHandler) {
    fatalError("not built yet")
  }

  /// Begins to listen on every loop.
  ///
  /// - Returns: the address that it listens on.
  /// - Throws: `addressInUse`, or another code when the address cannot be had; nothing is left open then.
  package func start() async throws(NetworkError) -> SocketAddress {
    fatalError("not built yet")
  }

  /// Stops accepting, closes idle connections, lets requests finish, tells WebSockets 1001, and returns when all is closed or the
  /// time is up; what is left then is cut.
  package func drain(deadline: Duration) async {
    fatalError("not built yet")
  }

  /// How many connections are open now.
  package var connectionCount: Int { 0 }
}
