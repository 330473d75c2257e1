/// A small HTTP/1.1 client: keep-alive per origin, a time limit per request, bounded responses, no redirects, no cookies.
package final class HTTPClient: Sendable {
  package struct Configuration: Sendable {
    package var tls: TLSClientContext?
    package var connectTimeout = Duration.seconds(10)
    package var maxHeadBytes = 32 * 1024
    package var maxBodyBytes = 16 * 1024 * 1024
    package var maxIdle = Duration.seconds(20)
    package init() {}
  }

  package init(configuration: Configuration = Configuration(), loop: EventLoop = .shared) {
    fatalError("not built yet")
  }

  /// Sends a request and waits for the whole response.
  ///
  /// Cancelling the task closes the connection.
  ///
  /// - Throws: a retryable code when the peer could not be reached or went away; `tlsFailed` when it could not prove who it is;
  ///   `tooLarge` and `protocolViolation` when its answer is not acceptable; `cancelled`.
  package func send(_ request: HTTPClientRequest) async throws(NetworkError) -> HTTPResponse {
    fatalError("not built yet")
  }

  /// Closes the connections that wait for another request.
  package func close() {
    fatalError("not built yet")
  }
}
