import Networking
import RelayProtocol
import WireCodec

/// One WebSocket: turns its messages into frames for the hub. Confined to the hub's loop.
final class Session: WebSocketHandler {
  let number: HubMachine.Connection
  let connection: WebSocketConnection
  /// Whose connections this one is counted among.
  var user: UserID?
  // The hub keeps the session until the socket is closed, and outlives all of them.
  private unowned let hub: Hub

  init(number: HubMachine.Connection, connection: WebSocketConnection, hub: Hub) {
    (self.number, self.connection, self.hub) = (number, connection, hub)
  }

  func received(binary bytes: RawSpan) {
    let bytes = bytes.withUnsafeBytes { Array($0) }
    guard let frame = try? ClientFrame(decoding: bytes) else { return hub.perform(.garbage(number)) }
    hub.perform(.frame(number, frame))
  }

  func received(text: String) { hub.perform(.garbage(number)) }
  func closed(_ code: WebSocketCloseCode, reason: String) { hub.closed(self) }
  func slow() { hub.perform(.slow(number)) }
  func drained() { hub.perform(.drained(number)) }
}

/// Closes a socket that asked for a version of the protocol that this relay does not speak.
final class UnsupportedSession: WebSocketHandler {
  init(_ connection: WebSocketConnection) {
    connection.execute { $0.close(WebSocketCloseCode(CloseCode.unsupportedVersion.number)) }
  }

  func received(binary bytes: RawSpan) {}
  func closed(_ code: WebSocketCloseCode, reason: String) {}
}
