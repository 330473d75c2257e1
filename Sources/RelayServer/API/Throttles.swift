import Observability
import RelayProtocol
import Synchronization

/// Token buckets by key, of which only those in use are kept.
final class Throttle<Key: Hashable & Sendable>: Sendable {
  private static var capacity: Int { 100_000 }

  private let burst: Int
  private let perSecond: Double
  private let hits: Counter
  private let buckets = Mutex<[Key: TokenBucket]>([:])

  /// - Parameter hits: counts those who found none.
  init(burst: Int, perSecond: Double, hits: Counter) {
    (self.burst, self.perSecond, self.hits) = (burst, perSecond, hits)
  }

  /// Takes one; throws `rateLimited` when there is none.
  func take(_ key: Key, now: UInt64) throws(RelayError) {
    let wait: UInt64? = buckets.withLock { buckets in
      if buckets.count >= Self.capacity {
        buckets = buckets.filter { !$0.value.isFull(now: now) }
        // All in use: somebody uses a great many keys. Everyone starts anew rather than the relay growing.
        if buckets.count >= Self.capacity { buckets.removeAll() }
      }
      return buckets[key, default: TokenBucket(capacity: burst, perSecond: perSecond, now: now)].take(now: now)
    }
    guard let wait else { return }
    hits.add()
    throw RelayError(.rateLimited, "Too many requests.", retryAfter: Double(wait) / 1000)
  }

  /// Whether one could be taken, without taking it.
  func check(_ key: Key, now: UInt64) throws(RelayError) {
    let wait: UInt64? = buckets.withLock { buckets in
      guard var bucket = buckets[key] else { return nil }
      return bucket.take(now: now)
    }
    guard let wait else { return }
    hits.add()
    throw RelayError(.rateLimited, "Too many attempts.", retryAfter: Double(wait) / 1000)
  }
}

/// How often whom may do what.
struct Throttles: Sendable {
  private struct Pair: Hashable { let requester: UserID, target: UserID }
  private struct Attempt: Hashable { let name: String, visitor: String }

  private let requests: Throttle<UserID>
  private let visitors: Throttle<String>
  private let failedLogins: Throttle<Attempt>
  private let failedLoginsOfOne: Throttle<String>
  private let claims: Throttle<UserID>
  private let claimsOfOne: Throttle<Pair>
  private let codes: Throttle<String>
  private let codesOfDevices: Throttle<DeviceID>

  init(_ configuration: RelayConfiguration, hits: Labelled<LimitKind, Counter>) {
    requests = Throttle(
      burst: configuration.requestBurst, perSecond: Double(configuration.requestsPerSecond), hits: hits[.requests])
    visitors = Throttle(
      burst: configuration.visitorAttemptBurst, perSecond: Double(configuration.visitorAttemptsPerMinute) / 60,
      hits: hits[.visits])
    // By name and address, so that a guesser does not lock the owner out; by name alone far more widely, so that many
    // addresses together do not get far at one account either.
    failedLogins = Throttle(burst: 10, perSecond: 1 / 10, hits: hits[.logins])
    failedLoginsOfOne = Throttle(burst: 200, perSecond: 1 / 5, hits: hits[.logins])
    // One-time key packages are the target's supply; whoever drains it weakens others' invitations.
    claims = Throttle(burst: 1000, perSecond: 10, hits: hits[.claims])
    claimsOfOne = Throttle(burst: 30, perSecond: 1 / 10, hits: hits[.claims])
    // Beside what the store counts for each account and for all.
    codes = Throttle(burst: 60, perSecond: 1 / 20, hits: hits[.codes])
    codesOfDevices = Throttle(burst: 20, perSecond: 1 / 60, hits: hits[.codes])
  }

  func request(by user: UserID, now: UInt64) throws(RelayError) { try requests.take(user, now: now) }
  func visit(from visitor: String, now: UInt64) throws(RelayError) { try visitors.take(visitor, now: now) }

  func login(as name: String, from visitor: String, now: UInt64) throws(RelayError) {
    try failedLogins.check(Attempt(name: name, visitor: visitor), now: now)
    try failedLoginsOfOne.check(name, now: now)
  }

  func failedLogin(as name: String, from visitor: String, now: UInt64) {
    try? failedLogins.take(Attempt(name: name, visitor: visitor), now: now)
    try? failedLoginsOfOne.take(name, now: now)
  }

  func claim(of target: UserID, by requester: UserID, now: UInt64) throws(RelayError) {
    try claims.take(requester, now: now)
    try claimsOfOne.take(Pair(requester: requester, target: target), now: now)
  }

  func code(by device: DeviceID, from visitor: String, now: UInt64) throws(RelayError) {
    try codesOfDevices.take(device, now: now)
    try codes.take(visitor, now: now)
  }
}
