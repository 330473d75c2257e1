import CUV

/// Opens a connection to a host: every address that its name has, staggered, the first that answers wins (RFC 8305 in short).
///
/// With TLS it is done only when the handshake is. Confined to its loop.
final class TCPConnector: ByteStreamHandler, @unchecked Sendable {
  typealias Completion = (Result<TCPConnection, NetworkError>) -> Void

  /// How long an address may be silent before the next one is tried beside it.
  static let stagger = Duration.milliseconds(250)

  private let loop: EventLoop
  private let host: String
  private let tls: TLSClientContext?
  private var completion: Completion?
  private var addresses: [sockaddr_storage] = []
  private var attempts: [TCPConnection] = []
  private var winner: TCPConnection?
  private var lastError = NetworkError(.unreachable, "no address could be reached")
  private var timers: [EventLoop.Timer] = []
  private var staggerTimer: EventLoop.Timer?

  private init(loop: EventLoop, host: String, tls: TLSClientContext?, completion: @escaping Completion) {
    self.loop = loop
    self.host = host
    self.tls = tls
    self.completion = completion
  }

  /// Begins; calls back on the loop exactly once unless cancelled.
  ///
  /// Only on the loop.
  static func connect(
    to host: String, port: UInt16, tls: TLSClientContext?, timeout: Duration, on loop: EventLoop,
    completion: @escaping Completion
  ) -> TCPConnector {
    let connector = TCPConnector(loop: loop, host: host, tls: tls, completion: completion)
    connector.timers.append(
      loop.schedule(after: timeout) {
        connector.end(.failure(NetworkError(.timedOut, "the host did not answer in time")))
      })
    Resolver.resolve(host, port: port, on: loop) { result in
      switch result {
      case .success(let addresses):
        connector.addresses = addresses.reversed()
        connector.tryNext()
      case .failure(let error): connector.end(.failure(error))
      }
    }
    return connector
  }

  /// Gives up silently.
  ///
  /// Only on the loop.
  func cancel() {
    completion = nil
    end(.failure(NetworkError(.cancelled, "cancelled")))
  }

  private func tryNext() {
    staggerTimer?.cancel()
    staggerTimer = nil
    guard winner == nil, completion != nil else { return }
    guard var address = addresses.popLast() else {
      if attempts.isEmpty { end(.failure(lastError)) }
      return
    }
    let connection = TCPConnection(loop: loop)
    let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
    do throws(NetworkError) {
      try connection.prepare()
      let attempt = Attempt(connector: self, connection: connection)
      request.pointee.data = Unmanaged.passRetained(attempt).toOpaque()
      let result = withUnsafeBytes(of: &address) {
        uv_tcp_connect(request, connection.handle, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) {
          request, status in
          let attempt = Unmanaged<Attempt>.fromOpaque(request!.pointee.data).takeRetainedValue()
          request!.deallocate()
          attempt.connector.didConnect(attempt.connection, Int(status))
        }
      }
      guard result == 0 else {
        Unmanaged.passUnretained(attempt).release()
        throw NetworkError.uv(Int(result))
      }
      attempts.append(connection)
      if !addresses.isEmpty {
        staggerTimer = loop.schedule(after: TCPConnector.stagger) { [weak self] in self?.tryNext() }
      }
    } catch {
      request.deallocate()
      connection.abort(nil)
      lastError = error
      tryNext()
    }
  }

  private final class Attempt {
    let connector: TCPConnector
    let connection: TCPConnection
    init(connector: TCPConnector, connection: TCPConnection) {
      self.connector = connector
      self.connection = connection
    }
  }

  private func didConnect(_ connection: TCPConnection, _ status: Int) {
    attempts.removeAll { $0 === connection }
    guard completion != nil, winner == nil else { return connection.abort(nil) }
    guard status == 0 else {
      connection.abort(nil)
      lastError = .uv(status)
      return tryNext()
    }
    winner = connection
    for attempt in attempts { attempt.abort(nil) }
    attempts = []
    staggerTimer?.cancel()
    guard let tls else {
      connection.begin()
      return end(connection.state == .open ? .success(connection) : .failure(lastError))
    }
    do throws(NetworkError) {
      let engine = try TLSEngine(client: tls, host: host, on: connection.loop)
      connection.tls = engine
      connection.handler = self
      engine.onEstablished = { [weak self, weak connection] in
        guard let self, let connection else { return }
        end(.success(connection))
      }
      connection.begin()
    } catch {
      end(.failure(error))
    }
  }

  private func end(_ result: Result<TCPConnection, NetworkError>) {
    for timer in timers { timer.cancel() }
    timers = []
    staggerTimer?.cancel()
    staggerTimer = nil
    let completion = self.completion
    self.completion = nil
    for attempt in attempts { attempt.abort(nil) }
    attempts = []
    if case .failure = result {
      winner?.handler = nil
      winner?.abort(nil)
    }
    winner?.tls?.onEstablished = nil
    winner = nil
    completion?(result)
  }

  // Only while the handshake lasts: afterwards the connection has its own handler.
  func received(_ bytes: RawSpan) {}
  func inputEnded() { end(.failure(NetworkError(.tlsFailed, "the peer ended the TLS handshake"))) }
  func closed(_ error: NetworkError?) {
    end(.failure(error ?? NetworkError(.closed, "closed during the TLS handshake")))
  }
}
