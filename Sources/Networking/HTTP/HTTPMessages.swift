/// A request method.
///
/// A struct and not an enum: a peer may send any token.
package struct HTTPMethod: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: String
  package init(rawValue: String) { self.rawValue = rawValue }
  package var description: String { rawValue }

  package static let get = HTTPMethod(rawValue: "GET")
  package static let head = HTTPMethod(rawValue: "HEAD")
  package static let post = HTTPMethod(rawValue: "POST")
  package static let put = HTTPMethod(rawValue: "PUT")
  package static let patch = HTTPMethod(rawValue: "PATCH")
  package static let delete = HTTPMethod(rawValue: "DELETE")
  package static let options = HTTPMethod(rawValue: "OPTIONS")

  /// Whether sending it twice is the same as sending it once (RFC 9110, section 9.2.2).
  package var isIdempotent: Bool {
    switch self {
    case .get, .head, .put, .delete, .options: true
    default: false
    }
  }
}

/// A request as the server's handler sees it: complete, bounded, decoded once.
package struct HTTPRequest: Sendable {
  package var method: HTTPMethod
  /// The path as it came, still percent-encoded, without the query.
  package var path: String
  /// The path's parts, decoded.
  ///
  /// `/v1/rooms/a%2Fb` is `["v1", "rooms", "a/b"]`; there is never a `.` or `..` among them.
  package var segments: [String]
  /// The query's items, decoded, in order.
  package var query: [(name: String, value: String)]
  package var headers: HTTPHeaders
  package var body: [UInt8]
  package var peer: SocketAddress
  /// Who asks: the peer, or whom a trusted proxy names.
  package var client: SocketAddress
  /// Whether this connection itself is TLS; behind a proxy it is not.
  package var isSecure: Bool

  package init(
    method: HTTPMethod, path: String, segments: [String] = [], query: [(name: String, value: String)] = [],
    headers: HTTPHeaders = [:], body: [UInt8] = [], peer: SocketAddress = SocketAddress(host: "", port: 0),
    client: SocketAddress? = nil, isSecure: Bool = false
  ) {
    self.method = method
    self.path = path
    self.segments = segments
    self.query = query
    self.headers = headers
    self.body = body
    self.peer = peer
    self.client = client ?? peer
    self.isSecure = isSecure
  }

  /// The first query item of that name.
  package func query(_ name: String) -> String? {
    query.first { $0.name == name }?.value
  }
}

/// A response: made by the server's handler, or received by the client.
///
/// `Content-Length`, `Connection`, `Transfer-Encoding` and `Date` are the server's own to write; a handler's are ignored.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: HTTPHeaders
  package var body: [UInt8]

  package init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

/// A request that a client sends.
package struct HTTPClientRequest: Sendable {
  package var method: HTTPMethod
  package var url: WebURL
  package var headers: HTTPHeaders
  package var body: [UInt8]
  /// From the call to the last byte of the response.
  package var timeout: Duration

  package init(
    _ method: HTTPMethod = .get, _ url: WebURL, headers: HTTPHeaders = [:], body: [UInt8] = [],
    timeout: Duration = .seconds(30)
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
  }
}
