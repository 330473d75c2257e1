import CryptoPrimitives
import Observability
import RelayProtocol
import Synchronization

/// The buckets of one limit, by whom they concern, of which only those in use are kept.
///
/// Decides by itself and at once. Where several relays share a limit, what was taken here is reported, and what is left after all
/// have reported is learned: see ``SharedThrottles``.
final class Throttle: Sendable {
  /// Whom a bucket concerns.
  struct Key: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    init(_ id: some Identifier) { (high, low) = (id.high, id.low) }

    /// By a hash, so that what strangers write takes no room.
    init(_ parts: String...) {
      var text: [UInt8] = []
      for part in parts { text += Array(part.utf8) + [0] }
      let hash = Digest.hash(.sha256, text)
      high = hash[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
      low = hash[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  private struct Bucket {
    var level: Double
    var updated: UInt64
    /// What was taken since the last report.
    var unreported = 0.0
  }

  private struct State {
    var buckets: [Key: Bucket] = [:]
    var touched: [Key] = []
    var isShared = false
    /// The part of the rate that is this relay's.
    var part = 1.0
  }

  static let capacity = 100_000

  let burst: Double
  let perSecond: Double
  private let hits: Counter
  private let state = Mutex(State())

  /// - Parameter hits: counts those who found none.
  init(burst: Int, perSecond: Double, hits: Counter) {
    (self.burst, self.perSecond, self.hits) = (Double(burst), perSecond, hits)
  }

  convenience init(_ rate: Rate, hits: Counter) { self.init(burst: rate.burst, perSecond: rate.perSecond, hits: hits) }

  /// Takes some; throws `rateLimited`, with the time until there are enough, when there are too few.
  func take(_ key: Key, _ amount: Double = 1, now: UInt64) throws(RelayError) {
    try refuse(
      state.withLock { state in
        // What could never be had at once is had when the bucket is full.
        let amount = min(amount, burst)
        if state.buckets.count >= Self.capacity { makeRoom(&state, now) }
        var bucket = refilled(state.buckets[key], state.part, now)
        guard bucket.level >= amount else {
          // It is there already, or it would be full; what it is now counts from now.
          state.buckets[key] = bucket
          return wait(amount - bucket.level, state.part)
        }
        bucket.level -= amount
        if state.isShared {
          if bucket.unreported == 0 { state.touched.append(key) }
          bucket.unreported += amount
        }
        state.buckets[key] = bucket
        return nil
      })
  }

  /// Gives back one that was taken for what did not come to pass.
  func giveBack(_ key: Key, now: UInt64) {
    state.withLock { state in
      guard let known = state.buckets[key] else { return }
      var bucket = refilled(known, state.part, now)
      bucket.level = min(burst, bucket.level + 1)
      if state.isShared {
        if bucket.unreported == 0 { state.touched.append(key) }
        bucket.unreported -= 1
      }
      state.buckets[key] = bucket
    }
  }

  private func refuse(_ wait: Double?) throws(RelayError) {
    guard let wait else { return }
    hits.add()
    throw RelayError(.rateLimited, "Too many attempts.", retryAfter: wait)
  }

  private func wait(_ missing: Double, _ part: Double) -> Double { max(0.001, missing / (perSecond * part)) }

  private func refilled(_ bucket: Bucket?, _ part: Double, _ now: UInt64) -> Bucket {
    guard var bucket else { return Bucket(level: burst, updated: now) }
    if now > bucket.updated {
      bucket.level = min(burst, bucket.level + Double(now - bucket.updated) / 1000 * perSecond * part)
    }
    // A clock that was set back gives nothing, and keeps nobody waiting until it is where it was.
    bucket.updated = now
    return bucket
  }

  /// Forgets those who lose nothing by it, then those who lose little: a flood of new ones must not free whom it hides.
  private func makeRoom(_ state: inout State, _ now: UInt64) {
    for bound in [1.0, 0.75, 0.25, -2] {
      state.buckets = state.buckets.filter { refilled($0.value, state.part, now).level < burst * bound }
      if state.buckets.count < Self.capacity / 4 * 3 { break }
    }
    state.touched = state.touched.filter { state.buckets[$0] != nil }
  }

  // MARK: Sharing

  /// Begins to note what is taken, for reports.
  func share() { state.withLock { $0.isShared = true } }

  /// Sets which part of the rate is this relay's while nobody tells what the others take.
  func setPart(_ part: Double) { state.withLock { $0.part = part } }

  /// What was taken since the last report, of so many buckets.
  func report(atMost count: Int) -> [(key: Key, amount: Double)] {
    state.withLock { state in
      let keys = state.touched.prefix(count)
      let report = keys.compactMap { key -> (Key, Double)? in
        // Below zero where more was given back than taken since.
        guard let amount = state.buckets[key]?.unreported, amount != 0 else { return nil }
        state.buckets[key]?.unreported = 0
        return (key, amount)
      }
      state.touched.removeFirst(keys.count)
      return report
    }
  }

  /// Learns what all relays together have left of a bucket.
  func learn(_ key: Key, level: Double) {
    state.withLock { state in
      guard var bucket = state.buckets[key], level.isFinite else { return }
      // Debts are bounded: whoever forges an answer keeps nobody out for longer than it takes to fill the bucket twice.
      bucket.level = min(bucket.level, max(level, -burst) - bucket.unreported)
      state.buckets[key] = bucket
    }
  }
}
