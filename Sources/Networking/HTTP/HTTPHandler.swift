/// What a server does with requests.
///
/// The methods run on the loop of the connection, so they must not block it.
package protocol HTTPHandler: Sendable {
  /// Answers a request. The task is cancelled when the client goes away.
  func handle(_ request: HTTPRequest) async -> HTTPResponse

  /// Decides on a well-formed WebSocket request. `Origin` is among the headers: a browser's page is the caller if it is there.
  func upgrade(_ request: HTTPRequest) async -> WebSocketDecision

  /// How many bytes of body to accept for that request, asked before the first is read; at most the server's own limit.
  func bodyLimit(_ method: HTTPMethod, segments: [String], headers: HTTPHeaders) -> Int

  /// Words the refusal of what is no request: malformed, too large, too slow. The status stays.
  func refusal(status: Int) -> HTTPResponse
}

extension HTTPHandler {
  package func upgrade(_ request: HTTPRequest) async -> WebSocketDecision {
    .refuse(HTTPResponse(status: 404))
  }

  package func bodyLimit(_ method: HTTPMethod, segments: [String], headers: HTTPHeaders) -> Int { .max }

  package func refusal(status: Int) -> HTTPResponse { HTTPResponse(status: status) }
}

/// The answer to a WebSocket request.
package enum WebSocketDecision: Sendable {
  /// Switch protocols. The subprotocol must be one that the client offered; the closure runs on the loop.
  case accept(subprotocol: String?, handler: @Sendable (WebSocketConnection) -> any WebSocketHandler)
  case refuse(HTTPResponse)
}
