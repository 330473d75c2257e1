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
  let lag: Histogram
  let bus: Histogram
  let store: Labelled<StoreWork, Histogram>
  let commits: Counter
  let commitConflicts: Counter
  let queued: Gauge
  let errors: Labelled<CodeLabel, Counter>
  let limits: Labelled<LimitKind, Counter>
  let shed: Labelled<Strain, Counter>
  let strain: Labelled<Strain, Gauge>
  let fewKeyPackages: Gauge

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
    lag = metrics.histogram(
      "kin_delivery_lag_seconds", help: "From an entry being on disk to its being handed to the sockets.", .latency)
    bus = metrics.histogram(
      "kin_bus_seconds", help: "From a wake being published to an event loop taking it up.", .latency)
    store = metrics.histograms(
      "kin_store_seconds", help: "From work being given to the store to its being done.", .latency, by: StoreWork.self)
    commits = metrics.counter("kin_commits_total", help: "Commits that ended an epoch.")
    commitConflicts = metrics.counter(
      "kin_commit_conflicts_total", help: "Commits and proposals for an epoch that had ended.")
    queued = metrics.gauge("kin_queue_bytes", help: "Bytes that wait for sockets to take them.")
    errors = metrics.counters("kin_errors_total", help: "Requests and frames refused, by code.", by: CodeLabel.self)
    limits = metrics.counters("kin_rate_limited_total", help: "Limits that were hit, by kind.", by: LimitKind.self)
    shed = metrics.counters(
      "kin_shed_total", help: "Registrations and joins refused because of strain.", by: Strain.self)
    strain = metrics.gauges("kin_strain", help: "1 while the relay refuses to grow for that reason.", by: Strain.self)
    fewKeyPackages = metrics.gauge(
      "kin_devices_low_on_key_packages", help: "Devices with few one-time key packages left, as of the last minute.")
  }

  /// Counts a refusal.
  func count(_ code: RelayCode) {
    errors[CodeLabel(code)].add()
    if code == .epochConflict { commitConflicts.add() }
  }
}

/// A refusal's code, as a label.
struct CodeLabel: MetricLabel {
  private let code: RelayCode

  init(_ code: RelayCode) { self.code = code }

  static var allCases: [CodeLabel] { RelayCode.all.map { CodeLabel($0) } }
  static var labelName: StaticString { "code" }
  var labelValue: StaticString { code.literal }
}

/// What the store was given to do, as a label.
enum StoreWork: MetricLabel {
  /// Messages, of one loop turn together.
  case append
  case commit
  /// The monitor's look, every second: what the queues alone cost.
  case probe

  static var labelName: StaticString { "work" }
  var labelValue: StaticString {
    switch self {
    case .append: "append"
    case .commit: "commit"
    case .probe: "probe"
    }
  }
}

/// Which limit was hit, as a label.
enum LimitKind: MetricLabel {
  case requests, visits, registrations, logins, claims, codes, contacts, sends, bytes, frames, connections

  static var labelName: StaticString { "kind" }
  var labelValue: StaticString {
    switch self {
    case .requests: "requests"
    case .visits: "visits"
    case .registrations: "registrations"
    case .logins: "logins"
    case .claims: "claims"
    case .codes: "codes"
    case .contacts: "contacts"
    case .sends: "sends"
    case .bytes: "bytes"
    case .frames: "frames"
    case .connections: "connections"
    }
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
