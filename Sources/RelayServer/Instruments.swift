import Observability
import RelayProtocol

/// What the relay counts.
struct Instruments: Sendable {
  let sockets: Gauge
  let polls: Gauge
  let deliveries: Counter
  let erased: Counter
  let batches: Histogram
  let closes: Labelled<CloseReason, Counter>
  let requests: Labelled<StatusClass, Counter>

  init(_ metrics: Metrics) {
    sockets = metrics.gauge("kin_sockets", help: "WebSockets open now.")
    polls = metrics.gauge("kin_polls", help: "Long polls waiting now.")
    deliveries = metrics.counter("kin_deliveries_total", help: "Entries handed to sockets.")
    erased = metrics.counter("kin_erased_total", help: "Messages erased because their time was over.")
    batches = metrics.histogram(
      "kin_send_batch", help: "Messages of one loop turn, stored together.",
      .counts([1, 2, 4, 8, 16, 32, 64, 128, 256]))
    closes = metrics.counters("kin_socket_closes_total", help: "Sockets that the relay closed.", by: CloseReason.self)
    requests = metrics.counters("kin_requests_total", help: "HTTP requests answered.", by: StatusClass.self)
  }
}

/// Why the relay closed a socket, as a label.
enum CloseReason: MetricLabel {
  case goingAway, protocolViolation, tokenRejected, tokenExpired, sessionEnded, tooSlow, tooManyConnections, other

  init(_ code: CloseCode) {
    self =
      switch code {
      case .goingAway: .goingAway
      case .protocolViolation: .protocolViolation
      case .tokenRejected: .tokenRejected
      case .tokenExpired: .tokenExpired
      case .sessionEnded: .sessionEnded
      case .tooSlow: .tooSlow
      case .tooManyConnections: .tooManyConnections
      default: .other
      }
  }

  static var labelName: StaticString { "reason" }
  var labelValue: StaticString {
    switch self {
    case .goingAway: "going_away"
    case .protocolViolation: "protocol_violation"
    case .tokenRejected: "token_rejected"
    case .tokenExpired: "token_expired"
    case .sessionEnded: "session_ended"
    case .tooSlow: "too_slow"
    case .tooManyConnections: "too_many_connections"
    case .other: "other"
    }
  }
}

/// The hundreds of an HTTP status, as a label.
enum StatusClass: MetricLabel {
  case success, refused, failed

  init(_ status: Int) { self = status < 400 ? .success : status < 500 ? .refused : .failed }

  static var labelName: StaticString { "outcome" }
  var labelValue: StaticString {
    switch self {
    case .success: "success"
    case .refused: "refused"
    case .failed: "failed"
    }
  }
}
