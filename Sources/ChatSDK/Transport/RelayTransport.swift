/// The way to a relay: requests and one socket, as bytes. What they mean is decided above, so that a wrapper can lose,
/// delay and repeat them without knowing what they are.
package protocol RelayTransport: Sendable {
  /// Sends one request and waits for the whole answer, whatever its status.
  ///
  /// - Throws: `relayUnreachable`, `timedOut`, `tlsFailed`, `protocolViolation`, `cancelled`. After any of them the
  ///   relay may or may not have acted.
  func call(_ request: RelayCall) async throws -> RelayAnswer
  /// Opens the socket.
  ///
  /// - Throws: as ``call(_:)``; `webSocketRefused` where something on the way lets no WebSocket through.
  func openSocket(token: String) async throws -> any RelaySocket
  func close()
}

package struct RelayCall: Sendable {
  package var method: String
  package var path: String
  package var query: [(name: String, value: String)]
  package var body: [UInt8]
  package var token: String?
  package var timeout: Duration

  package init(
    method: String, path: String, query: [(name: String, value: String)] = [], body: [UInt8] = [],
    token: String? = nil, timeout: Duration
  ) {
    (self.method, self.path, self.query) = (method, path, query)
    (self.body, self.token, self.timeout) = (body, token, timeout)
  }
}

package struct RelayAnswer: Sendable {
  package var status: Int
  package var body: [UInt8]

  package init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }
}

/// An open socket: binary messages both ways.
package protocol RelaySocket: Sendable {
  func send(_ frame: [UInt8]) async throws
  /// The next message, or `nil` when the socket has ended. For one reader.
  func next() async -> [UInt8]?
  /// How it ended.
  var closeCode: UInt16? { get }
  func close()
}
