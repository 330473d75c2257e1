import Observability
import RelayProtocol

/// How often whom may do what, over all sockets, requests and, with Redis, relays.
struct Throttles: Sendable {
  private let requests: Throttle
  private let visits: Throttle
  private let table: [Limit: Throttle]
  // The hot path's, out of the table.
  private let sends: Throttle?
  private let sendsOfDevice: Throttle?
  private let sendsOfRoom: Throttle?
  private let kilobytes: Throttle?
  private let kilobytesOfRoom: Throttle?

  init(_ configuration: RelayConfiguration, hits: Labelled<LimitKind, Counter>) {
    requests = Throttle(
      burst: configuration.requestBurst, perSecond: Double(configuration.requestsPerSecond), hits: hits[.requests])
    visits = Throttle(
      burst: configuration.visitorAttemptBurst, perSecond: Double(configuration.visitorAttemptsPerMinute) / 60,
      hits: hits[.visits])
    table = configuration.limits.reduce(into: [:]) { table, row in
      table[row.key] = row.value.map { Throttle($0, hits: hits[row.key.kind]) }
    }
    (sends, sendsOfDevice, sendsOfRoom) = (table[.sends], table[.sendsOfDevice], table[.sendsOfRoom])
    (kilobytes, kilobytesOfRoom) = (table[.kilobytes], table[.kilobytesOfRoom])
  }

  /// All limits, with names that do not change.
  var all: [(name: String, throttle: Throttle)] {
    [("requests", requests), ("visits", visits)] + table.map { ($0.key.rawValue, $0.value) }
  }

  private func take(_ limit: Limit, _ key: Throttle.Key, _ amount: Double = 1, now: UInt64) throws(RelayError) {
    try table[limit]?.take(key, amount, now: now)
  }

  func request(by user: UserID, now: UInt64) throws(RelayError) { try requests.take(Throttle.Key(user), now: now) }
  func visit(from visitor: String, now: UInt64) throws(RelayError) { try visits.take(Throttle.Key(visitor), now: now) }

  func register(from visitor: String, now: UInt64) throws(RelayError) {
    try take(.registrations, Throttle.Key(visitor), now: now)
  }

  /// Before a password is tried, as if it were wrong: many that are tried at once are not to be counted only when all are done.
  func login(as name: String, from visitor: String, now: UInt64) throws(RelayError) {
    try take(.failedLogins, Throttle.Key(name, visitor), now: now)
    do throws(RelayError) { try take(.failedLoginsOfName, Throttle.Key(name), now: now) } catch {
      table[.failedLogins]?.giveBack(Throttle.Key(name, visitor), now: now)
      throw error
    }
  }

  /// After it was right, or could not be tried.
  func notFailedLogin(as name: String, from visitor: String, now: UInt64) {
    table[.failedLogins]?.giveBack(Throttle.Key(name, visitor), now: now)
    table[.failedLoginsOfName]?.giveBack(Throttle.Key(name), now: now)
  }

  func claim(of target: UserID, by requester: UserID, now: UInt64) throws(RelayError) {
    try take(.claims, Throttle.Key(requester), now: now)
    try take(.claimsOfPair, Throttle.Key("\(requester)", "\(target)"), now: now)
    try take(.claimsOfTarget, Throttle.Key(target), now: now)
  }

  func contactRequest(by user: UserID, now: UInt64) throws(RelayError) {
    try take(.contactRequests, Throttle.Key(user), now: now)
  }

  /// Before a join code is looked up, whether it turns out to be one or not.
  func code(by device: DeviceID, from visitor: String, now: UInt64) throws(RelayError) {
    try take(.joinCodes, Throttle.Key(device), now: now)
    try take(.joinCodesOfAddress, Throttle.Key(visitor), now: now)
  }

  /// Before something is added to a room's log, by whatever way it came.
  func send(by user: UserID, _ device: DeviceID, to room: RoomID, bytes: Int, now: UInt64) throws(RelayError) {
    try sends?.take(Throttle.Key(user), now: now)
    try sendsOfDevice?.take(Throttle.Key(device), now: now)
    try sendsOfRoom?.take(Throttle.Key(room), now: now)
    let amount = Double(bytes) / 1024
    try kilobytes?.take(Throttle.Key(user), amount, now: now)
    try kilobytesOfRoom?.take(Throttle.Key(room), amount, now: now)
  }
}
