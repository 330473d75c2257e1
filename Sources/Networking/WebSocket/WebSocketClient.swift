/// Opens WebSockets as a client.
package struct WebSocketClient: Sendable {
  package struct Configuration: Sendable {
    package var tls: TLSClientContext?
    package var connectTimeout = Duration.seconds(10)
    package var limits = WebSocketLimits()
    package init() {}
  }

  package enum Message: Sendable {
    case binary([UInt8])
    case text(String)
  }

  package let configuration: Configuration
  package let loop: EventLoop

  package init(configuration: Configuration = Configuration(), loop: EventLoop = .shared) {
    self.configuration = configuration
    self.loop = loop
  }

  /// Opens a WebSocket whose events go to a handler, which is made and called on the loop.
  ///
  /// - Throws: `upgradeRefused` with the status when the server answered otherwise; the codes of ``HTTPClient/send(_:)``.
  package func connect(
    _ url: WebURL, headers: HTTPHeaders = [:], subprotocol: String? = nil,
    handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) async throws(NetworkError) -> WebSocketConnection {
    fatalError("not built yet")
  }

  /// Opens a WebSocket whose messages are read as a sequence; a slow reader slows the server.
  package func connect(
    _ url: WebURL, headers: HTTPHeaders = [:], subprotocol: String? = nil
  ) async throws(NetworkError) -> WebSocketStream {
    fatalError("not built yet")
  }
}

/// A client's WebSocket as a sequence of messages.
///
/// For one reader.
package final class WebSocketStream: AsyncSequence, Sendable {
  package typealias Element = WebSocketClient.Message
  package typealias Failure = Never

  package let connection: WebSocketConnection

  init(connection: WebSocketConnection) { self.connection = connection }

  package struct AsyncIterator: AsyncIteratorProtocol {
    let stream: WebSocketStream
    package mutating func next() async -> WebSocketClient.Message? { fatalError("not built yet") }
    package mutating func next(isolation actor: isolated (any Actor)?) async -> WebSocketClient.Message? {
      fatalError("not built yet")
    }
  }

  package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }

  /// How it ended; `nil` while it is open.
  package var closeCode: WebSocketCloseCode? { nil }
  package var closeReason: String { "" }

  /// Sends a message.
  ///
  /// Callable from anywhere.
  ///
  /// - Throws: `closed` when the socket is closing, `slowConsumer` when too much waits to be sent: try again later.
  package func send(binary bytes: [UInt8]) async throws(NetworkError) { fatalError("not built yet") }

  package func close(_ code: WebSocketCloseCode = .normal, reason: String = "") { fatalError("not built yet") }
}
