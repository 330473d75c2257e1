/// A client's connection: one request at a time, then perhaps another.
///
/// Confined to its loop.
final class HTTPClientConnection: ByteStreamHandler, @unchecked Sendable {
  typealias Answer = (response: HTTPResponse, keepsAlive: Bool)

  let stream: TCPConnection
  var onIdleEnd: (() -> Void)?
  /// Whether anything of the current response has come.
  private(set) var hasReceived = false
  private var machine: HTTP1Machine
  private var head: HTTPResponseHead?
  private var completion: ((Result<Answer, NetworkError>) -> Void)?

  init(stream: TCPConnection, configuration: HTTPClient.Configuration) {
    self.stream = stream
    var limits = HTTP1Machine.Limits()
    limits.headBytes = configuration.maxHeadBytes
    limits.bodyBytes = configuration.maxBodyBytes
    machine = HTTP1Machine(role: .client, limits: limits)
    stream.handler = self
    // Requests are ours: however large, they are not a slow server's fault before the time is up.
    stream.highWater = .max
  }

  func send(_ request: HTTPClientRequest, completion: @escaping (Result<Answer, NetworkError>) -> Void) {
    let bytes: [UInt8]
    do throws(NetworkError) {
      bytes = try HTTP1Writer.request(
        request.method, request.url, headers: request.headers, bodyCount: request.body.count)
    } catch {
      return completion(.failure(error))
    }
    self.completion = completion
    hasReceived = false
    head = nil
    machine.startNext(toHead: request.method == .head)
    stream.write(bytes)
    if request.body.count >= OutgoingQueue.sharingThreshold {
      stream.write(SharedBytes(request.body))
    } else {
      stream.write(request.body)
    }
  }

  func forgetExchange() { completion = nil }

  func received(_ bytes: RawSpan) {
    hasReceived = true
    // Bytes that nobody asked for would be taken for the next answer.
    guard completion != nil else { return stream.abort(nil) }
    var offset = 0
    do throws(NetworkError) {
      while let event = try machine.next(bytes, &offset) {
        switch event {
        case .request: break
        case .response(let head):
          guard head.status != 101 else { throw HTTP1Head.violation("the server switched protocols unasked") }
          self.head = head
        case .end: return complete(hasMore: offset < bytes.byteCount)
        }
      }
    } catch {
      fail(error)
    }
  }

  private func complete(hasMore: Bool) {
    guard let head, let completion else { return }
    self.completion = nil
    let response = HTTPResponse(status: head.status, headers: head.headers, body: machine.takeBody())
    completion(.success((response, head.keepsAlive && !hasMore)))
  }

  private func fail(_ error: NetworkError) {
    guard let completion else { return }
    self.completion = nil
    completion(.failure(error))
  }

  func inputEnded() {
    do throws(NetworkError) {
      if case .end? = try machine.inputEnded() {
        complete(hasMore: true)
      } else {
        fail(NetworkError(.closed, "the server closed the connection"))
      }
    } catch {
      fail(error)
    }
    onIdleEnd?()
    stream.finish()
  }

  func closed(_ error: NetworkError?) {
    onIdleEnd?()
    onIdleEnd = nil
    fail(error ?? NetworkError(.closed, "the connection was closed"))
  }
}
