/// Opens WebSockets as a client.
package struct WebSocketClient: Sendable {
  package struct Configuration: Sendable {
    /// `nil` trusts the system's roots.
    package var tls: TLSClientContext?
    /// For all of it: name, connection, TLS and handshake.
    package var connectTimeout = Duration.seconds(10)
    package var limits = WebSocketLimits()
    package init() {}
  }

  package typealias Message = WebSocketStream.Message

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
    guard url.scheme == .ws || url.scheme == .wss else {
      throw NetworkError(.misuse, "a WebSocket goes to ws or wss")
    }
    let opening = WebSocketOpening(
      configuration: configuration, loop: loop, url: url, headers: headers, subprotocol: subprotocol, handler: handler)
    let result: Result<WebSocketConnection, NetworkError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        loop.execute { opening.start { continuation.resume(returning: $0) } }
      }
    } onCancel: {
      loop.execute { opening.end(.failure(NetworkError(.cancelled, "the opening was cancelled"))) }
    }
    return try result.get()
  }

  /// Opens a WebSocket whose messages are read as a sequence; a slow reader slows the server.
  package func connect(
    _ url: WebURL, headers: HTTPHeaders = [:], subprotocol: String? = nil
  ) async throws(NetworkError) -> WebSocketStream {
    let inbox = WebSocketInbox()
    let connection = try await connect(url, headers: headers, subprotocol: subprotocol) { connection in
      inbox.attach(connection)
      return inbox
    }
    return WebSocketStream(connection: connection, inbox: inbox)
  }
}

/// A client's handshake, until the socket is open or refused.
///
/// Confined to its loop.
final class WebSocketOpening: ByteStreamHandler, @unchecked Sendable {
  typealias Outcome = Result<WebSocketConnection, NetworkError>

  private let configuration: WebSocketClient.Configuration
  private let loop: EventLoop
  private let url: WebURL
  private let headers: HTTPHeaders
  private let subprotocol: String?
  private let makeHandler: @Sendable (WebSocketConnection) -> any WebSocketHandler
  private let key = WebSocketHandshake.newKey()
  private var machine = HTTP1Machine(role: .client)
  private var completion: ((Outcome) -> Void)?
  private var outcome: Outcome?
  private var connector: TCPConnector?
  private var stream: TCPConnection?
  private var timer: EventLoop.Timer?

  init(
    configuration: WebSocketClient.Configuration, loop: EventLoop, url: WebURL, headers: HTTPHeaders,
    subprotocol: String?, handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) {
    self.configuration = configuration
    self.loop = loop
    self.url = url
    self.headers = headers
    self.subprotocol = subprotocol
    makeHandler = handler
  }

  func start(_ completion: @escaping (Outcome) -> Void) {
    if let outcome { return completion(outcome) }
    self.completion = completion
    timer = loop.schedule(after: configuration.connectTimeout) { [weak self] in
      self?.end(.failure(NetworkError(.timedOut, "the server did not answer in time")))
    }
    var tls: TLSClientContext?
    let request: [UInt8]
    do throws(NetworkError) {
      if url.scheme.isSecure {
        if let own = configuration.tls { tls = own } else { tls = try TLSClientContext.system.get() }
      }
      request = try HTTP1Writer.request(
        .get, url, headers: WebSocketHandshake.requestHeaders(headers, key: key, subprotocol: subprotocol),
        bodyCount: 0)
    } catch {
      return end(.failure(error))
    }
    connector = TCPConnector.connect(
      to: url.host, port: url.port, tls: tls, timeout: configuration.connectTimeout, on: loop
    ) { [self] result in
      connector = nil
      switch result {
      case .success(let stream):
        self.stream = stream
        stream.handler = self
        stream.write(request)
      case .failure(let error): end(.failure(error))
      }
    }
  }

  func received(_ bytes: RawSpan) {
    var offset = 0
    do throws(NetworkError) {
      while let event = try machine.next(bytes, &offset) {
        guard case .response(let head) = event else { continue }
        try WebSocketHandshake.check(head, key: key, subprotocol: subprotocol)
        return open(leftover: bytes.array(offset..<bytes.byteCount))
      }
    } catch {
      end(.failure(error))
    }
  }

  private func open(leftover: [UInt8]) {
    guard let stream else { return }
    self.stream = nil
    let connection = WebSocketConnection(
      stream: stream, role: .client, subprotocol: subprotocol, limits: WebSocketLimits.Shared(configuration.limits))
    end(.success(connection))
    connection.begin(makeHandler(connection), leftover: leftover)
  }

  func inputEnded() { end(.failure(NetworkError(.closed, "the server closed the connection"))) }

  func closed(_ error: NetworkError?) {
    end(.failure(error ?? NetworkError(.closed, "the connection was closed")))
  }

  func end(_ outcome: Outcome) {
    guard self.outcome == nil else { return }
    self.outcome = outcome
    timer?.cancel()
    timer = nil
    connector?.cancel()
    connector = nil
    let stream = self.stream
    self.stream = nil
    stream?.abort(nil)
    let completion = self.completion
    self.completion = nil
    completion?(outcome)
  }
}
