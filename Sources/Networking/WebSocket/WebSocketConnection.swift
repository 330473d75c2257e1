/// One end of an open WebSocket, server's or client's.
///
/// Confined to its loop; ``execute(_:)`` gets there from elsewhere.
package final class WebSocketConnection: @unchecked Sendable {
  package let loop: EventLoop
  package let peer: SocketAddress
  /// The subprotocol that both sides agreed on.
  package let subprotocol: String?

  init(loop: EventLoop, peer: SocketAddress, subprotocol: String?) {
    self.loop = loop
    self.peer = peer
    self.subprotocol = subprotocol
  }

  /// How many bytes wait for the peer to take them.
  package var queuedBytes: Int { 0 }

  /// Whether messages can still be sent.
  package var isOpen: Bool { false }

  /// Sends a message with this turn's others.
  ///
  /// Only on the loop.
  ///
  /// - Returns: `false` when it was not taken: the socket is closing, or too much is queued.
  @discardableResult
  package func send(binary bytes: [UInt8]) -> Bool { fatalError("not built yet") }

  @discardableResult
  package func send(text: String) -> Bool { fatalError("not built yet") }

  /// Sends a frame made by ``SharedBytes/webSocketFrame(binary:)``; only a server's socket can (a client must mask each frame).
  @discardableResult
  package func send(frame: SharedBytes) -> Bool { fatalError("not built yet") }

  /// Begins the closing handshake; ``WebSocketHandler/closed(_:reason:)`` follows.
  package func close(_ code: WebSocketCloseCode = .normal, reason: String = "") { fatalError("not built yet") }

  /// Stops reading from the peer until ``resume()``: how a receiver that cannot keep up slows its sender.
  package func pause() {}
  package func resume() {}

  /// Runs the body on the socket's loop.
  ///
  /// Callable from anywhere.
  package func execute(_ body: @escaping @Sendable (WebSocketConnection) -> Void) {
    loop.execute { body(self) }
  }
}

extension SharedBytes {
  /// A whole unmasked binary frame, encoded once for all recipients of a server.
  package static func webSocketFrame(binary payload: [UInt8]) -> SharedBytes { fatalError("not built yet") }
}
