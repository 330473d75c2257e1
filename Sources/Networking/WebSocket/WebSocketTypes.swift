/// Why a WebSocket ended (RFC 6455, section 7.4).
///
/// 4000 to 4999 belong to the application.
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }
  package init(_ rawValue: UInt16) { self.rawValue = rawValue }
  package var description: String { String(rawValue) }

  package static let normal = WebSocketCloseCode(1000)
  package static let goingAway = WebSocketCloseCode(1001)
  package static let protocolError = WebSocketCloseCode(1002)
  package static let unsupportedData = WebSocketCloseCode(1003)
  /// Not on the wire: the peer closed without a code.
  package static let noStatus = WebSocketCloseCode(1005)
  /// Not on the wire: the connection broke.
  package static let abnormal = WebSocketCloseCode(1006)
  package static let invalidPayload = WebSocketCloseCode(1007)
  package static let policyViolation = WebSocketCloseCode(1008)
  package static let messageTooBig = WebSocketCloseCode(1009)
  package static let internalError = WebSocketCloseCode(1011)
  package static let tryAgainLater = WebSocketCloseCode(1013)

  /// Whether the code may be sent (RFC 6455, sections 7.4.1 and 7.4.2, and the registry).
  package var isSendable: Bool {
    switch rawValue {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}

/// Bounds and times of a WebSocket.
package struct WebSocketLimits: Sendable {
  package var maxMessageBytes = 1024 * 1024
  /// From here on ``WebSocketHandler/slow()`` is told; sending still works.
  package var highWaterBytes = 1024 * 1024
  /// From here on `send` refuses.
  package var maxQueuedBytes = 4 * 1024 * 1024
  /// A peer that has been silent for that long is pinged.
  package var pingInterval = Duration.seconds(25)
  /// And closed when it stays silent for that long after.
  package var pongTimeout = Duration.seconds(20)
  /// How long to wait for the peer's answer to a close frame.
  package var closeTimeout = Duration.seconds(5)
  package init() {}

  /// The limits that many sockets have in common.
  final class Shared: Sendable {
    let values: WebSocketLimits

    init(_ values: WebSocketLimits) { self.values = values }
  }
}

/// The application's end of a WebSocket.
///
/// Every method is called on the connection's loop, synchronously.
package protocol WebSocketHandler: AnyObject {
  /// A binary message. The span is gone after the call.
  func received(binary bytes: RawSpan)
  /// A text message, valid UTF-8.
  func received(text: String)
  /// Once, at the end, whoever closed. After this nothing else is called.
  func closed(_ code: WebSocketCloseCode, reason: String)
  /// More than the high-water mark waits to be sent: stop sending until ``drained()``.
  func slow()
  /// All that waited after ``slow()`` has been handed to the kernel.
  func drained()
}

extension WebSocketHandler {
  package func received(text: String) {}
  package func slow() {}
  package func drained() {}
}
