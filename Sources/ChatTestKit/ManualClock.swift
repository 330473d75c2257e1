import Synchronization

/// Time that stands still until it is told to go on.
public final class ManualClock: Sendable {
  private struct State {
    var now: UInt64
    var sleepers: [(due: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state: Mutex<State>

  /// - Parameter now: milliseconds since 1970.
  public init(now: UInt64 = 1_800_000_000_000) { state = Mutex(State(now: now)) }

  public var now: UInt64 { state.withLock { $0.now } }

  /// Lets time pass, and wakes whoever's time has come.
  public func advance(by duration: Duration) {
    let due = state.withLock { state in
      state.now += Self.milliseconds(duration)
      let now = state.now
      defer { state.sleepers.removeAll { $0.due <= now } }
      return state.sleepers.filter { $0.due <= now }.sorted { $0.due < $1.due }
    }
    for sleeper in due { sleeper.continuation.resume() }
  }

  /// Waits until time has been advanced that far.
  public func sleep(for duration: Duration) async throws {
    try Task.checkCancellation()
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        let due = state.now + Self.milliseconds(duration)
        guard due > state.now else { return true }
        state.sleepers.append((due, continuation))
        return false
      }
      if isOver { continuation.resume() }
    }
    try Task.checkCancellation()
  }

  private static func milliseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    return UInt64(max(0, seconds)) * 1000 + UInt64(max(0, attoseconds)) / 1_000_000_000_000_000
  }
}

/// Random numbers that come again with the same seed (SplitMix64). Never for keys.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// Whether something of this probability happens now.
  public mutating func happens(_ probability: Double) -> Bool {
    Double(next() >> 11) / 9_007_199_254_740_992 < probability
  }
}
