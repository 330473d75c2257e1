/// Allows a rate in the long run and bursts above it.
struct TokenBucket: Sendable {
  private let capacity: Double
  private let perMillisecond: Double
  private var level: Double
  private var updated: UInt64

  init(capacity: Int, perSecond: Double, now: UInt64) {
    self.capacity = Double(capacity)
    perMillisecond = perSecond / 1000
    level = self.capacity
    updated = now
  }

  /// Takes one, or says how many milliseconds to wait for it.
  mutating func take(now: UInt64) -> UInt64? {
    if now > updated { level = min(capacity, level + Double(now - updated) * perMillisecond) }
    updated = now
    guard level >= 1 else { return UInt64(((1 - level) / perMillisecond).rounded(.up)) }
    level -= 1
    return nil
  }

  /// Whether nothing would be lost by forgetting it.
  func isFull(now: UInt64) -> Bool {
    now >= updated && level + Double(now - updated) * perMillisecond >= capacity
  }
}
