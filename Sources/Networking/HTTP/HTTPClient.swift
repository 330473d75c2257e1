/// A small HTTP/1.1 client: keep-alive per origin, a time limit per request, bounded responses, no redirects, no cookies.
package final class HTTPClient: @unchecked Sendable {
  package struct Configuration: Sendable {
    /// `nil` trusts the system's roots.
    package var tls: TLSClientContext?
    package var connectTimeout = Duration.seconds(10)
    package var maxHeadBytes = 32 * 1024
    package var maxBodyBytes = 16 * 1024 * 1024
    /// How long an unused connection is kept; shorter than a server's patience, so that it seldom closes in our face.
    package var maxIdle = Duration.seconds(20)
    package init() {}
  }

  struct Origin: Hashable {
    var isSecure: Bool
    var host: String
    var port: UInt16
  }

  let configuration: Configuration
  let loop: EventLoop
  // On the loop only. One per origin: requests at the same time get connections of their own, and the last one stays.
  private var idle: [Origin: (connection: HTTPClientConnection, timer: EventLoop.Timer)] = [:]

  package init(configuration: Configuration = Configuration(), loop: EventLoop = .shared) {
    self.configuration = configuration
    self.loop = loop
  }

  /// Sends a request and waits for the whole response.
  ///
  /// Cancelling the task closes the connection.
  /// - Throws: a retryable code when the peer could not be reached or went away; `tlsFailed` when it could not prove who it is;
  ///   `tooLarge` and `protocolViolation` when its answer is not acceptable; `cancelled`.
  package func send(_ request: HTTPClientRequest) async throws(NetworkError) -> HTTPResponse {
    guard request.url.scheme == .http || request.url.scheme == .https else {
      throw NetworkError(.misuse, "an HTTP request goes to http or https")
    }
    let exchange = HTTPExchange(client: self, request: request)
    let result: Result<HTTPResponse, NetworkError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        loop.execute { exchange.start { continuation.resume(returning: $0) } }
      }
    } onCancel: {
      loop.execute { exchange.end(.failure(NetworkError(.cancelled, "the request was cancelled"))) }
    }
    return try result.get()
  }

  /// Closes the connections that wait for another request.
  package func close() {
    loop.execute { [self] in
      let waiting = idle
      idle = [:]
      for entry in waiting.values {
        entry.timer.cancel()
        entry.connection.stream.finish()
      }
    }
  }

  func takeIdle(_ origin: Origin) -> HTTPClientConnection? {
    guard let entry = idle.removeValue(forKey: origin) else { return nil }
    entry.timer.cancel()
    entry.connection.onIdleEnd = nil
    return entry.connection.stream.state == .open ? entry.connection : nil
  }

  func putIdle(_ connection: HTTPClientConnection, _ origin: Origin) {
    guard connection.stream.state == .open, idle[origin] == nil else { return connection.stream.finish() }
    let timer = loop.schedule(after: configuration.maxIdle) { [weak self, connection] in
      self?.forget(connection, origin)
      connection.stream.finish()
    }
    connection.onIdleEnd = { [weak self, weak connection] in
      if let connection { self?.forget(connection, origin) }
    }
    idle[origin] = (connection, timer)
  }

  private func forget(_ connection: HTTPClientConnection, _ origin: Origin) {
    guard idle[origin]?.connection === connection else { return }
    idle.removeValue(forKey: origin)?.timer.cancel()
  }
}

/// One request from beginning to end, with whatever connection it gets.
///
/// Confined to the client's loop.
final class HTTPExchange: @unchecked Sendable {
  private let client: HTTPClient
  private let request: HTTPClientRequest
  private let origin: HTTPClient.Origin
  private var completion: ((Result<HTTPResponse, NetworkError>) -> Void)?
  private var result: Result<HTTPResponse, NetworkError>?
  private var connector: TCPConnector?
  private var connection: HTTPClientConnection?
  private var timer: EventLoop.Timer?

  init(client: HTTPClient, request: HTTPClientRequest) {
    self.client = client
    self.request = request
    origin = HTTPClient.Origin(
      isSecure: request.url.scheme.isSecure, host: request.url.host, port: request.url.port)
  }

  func start(_ completion: @escaping (Result<HTTPResponse, NetworkError>) -> Void) {
    // Cancelled before it began.
    if let result { return completion(result) }
    self.completion = completion
    timer = client.loop.schedule(after: request.timeout) { [weak self] in
      self?.end(.failure(NetworkError(.timedOut, "the response did not come in time")))
    }
    if let connection = client.takeIdle(origin) { run(connection, isReused: true) } else { connect() }
  }

  private func connect() {
    var tls: TLSClientContext?
    if origin.isSecure {
      switch client.configuration.tls.map({ .success($0) }) ?? TLSClientContext.system {
      case .success(let context): tls = context
      case .failure(let error): return end(.failure(error))
      }
    }
    connector = TCPConnector.connect(
      to: origin.host, port: origin.port, tls: tls, timeout: client.configuration.connectTimeout, on: client.loop
    ) { [self] result in
      connector = nil
      switch result {
      case .success(let stream):
        run(HTTPClientConnection(stream: stream, configuration: client.configuration), isReused: false)
      case .failure(let error): end(.failure(error))
      }
    }
  }

  private func run(_ connection: HTTPClientConnection, isReused: Bool) {
    self.connection = connection
    connection.send(request) { [self] result in
      self.connection = nil
      switch result {
      case .success(let answer):
        if answer.keepsAlive { client.putIdle(connection, origin) } else { connection.stream.finish() }
        end(.success(answer.response))
      case .failure(let error):
        connection.stream.abort(nil)
        // The server may have closed a kept connection just as we used it; then nobody has seen the request.
        if isReused, error.code == .closed, !connection.hasReceived, request.method.isIdempotent, self.result == nil {
          return connect()
        }
        end(.failure(error))
      }
    }
  }

  /// Ends it once; what is still under way is cut.
  func end(_ result: Result<HTTPResponse, NetworkError>) {
    guard self.result == nil else { return }
    self.result = result
    timer?.cancel()
    timer = nil
    connector?.cancel()
    connector = nil
    if let connection {
      self.connection = nil
      connection.forgetExchange()
      connection.stream.abort(nil)
    }
    let completion = self.completion
    self.completion = nil
    completion?(result)
  }
}
