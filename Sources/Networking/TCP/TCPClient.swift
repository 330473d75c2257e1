/// What a ``TCPClient`` tells its owner, synchronously on the loop.
package protocol TCPClientHandler: AnyObject {
  /// The connection stands, its TLS handshake included.
  func connected()
  /// Bytes have come. They are gone after the call.
  func received(_ bytes: RawSpan)
  /// The end, before or after ``connected()``: nothing follows it.
  func closed(_ error: NetworkError)
}

/// One connection to a server that speaks neither HTTP nor WebSocket: bytes both ways, plain or with TLS inside.
///
/// Confined to its loop.
package final class TCPClient: ByteStreamHandler, @unchecked Sendable {
  private let loop: EventLoop
  private var handler: (any TCPClientHandler)?
  private var connector: TCPConnector?
  private var stream: TCPConnection?

  package init(loop: EventLoop) { self.loop = loop }

  /// Begins to connect; the handler is kept until it has heard of the end, or until ``close()``.
  ///
  /// Only on the loop, and once.
  package func connect(
    to host: String, port: UInt16, tls: TLSClientContext?, timeout: Duration, handler: any TCPClientHandler
  ) {
    self.handler = handler
    connector = TCPConnector.connect(to: host, port: port, tls: tls, timeout: timeout, on: loop) { [self] result in
      connector = nil
      switch result {
      case .success(let stream):
        self.stream = stream
        stream.handler = self
        // The owner bounds what it asks to be written.
        stream.highWater = .max
        self.handler?.connected()
      case .failure(let error): end(error)
      }
    }
  }

  /// How many bytes wait to be sent.
  package var queuedBytes: Int { stream?.queuedBytes ?? 0 }

  /// Adds to what this turn of the loop sends.
  package func write(_ bytes: [UInt8]) { stream?.write(bytes) }

  /// Closes at once; the handler hears nothing more.
  package func close() {
    handler = nil
    connector?.cancel()
    connector = nil
    stream?.abort(nil)
    stream = nil
  }

  private func end(_ error: NetworkError) {
    stream = nil
    let handler = handler
    self.handler = nil
    handler?.closed(error)
  }

  func received(_ bytes: RawSpan) { handler?.received(bytes) }

  func inputEnded() {
    let stream = stream
    end(NetworkError(.closed, "the server closed the connection"))
    stream?.abort(nil)
  }

  func closed(_ error: NetworkError?) { end(error ?? NetworkError(.closed, "the connection was closed")) }
}
