/// Notices when the wall clock ran ahead of the time that passed: what is erased by a wrong clock does not come back.
///
/// Then nothing is erased until the clock is set back, or for a day, in which somebody can look at it.
struct ClockGuard: Sendable {
  enum Finding: Sendable, Equatable {
    /// The clock can be believed.
    case sound
    /// It has just jumped ahead.
    case jumped
    /// It had jumped, and nobody has set it back.
    case held
  }

  /// Milliseconds that a clock may be corrected by.
  static let slack: UInt64 = 3_600_000
  static let hold: UInt64 = 86_400_000

  private var last: (wall: UInt64, steady: UInt64)?
  private var heldUntil: UInt64?

  /// - Parameter steady: milliseconds by a clock that nobody sets.
  mutating func look(wall: UInt64, steady: UInt64) -> Finding {
    defer { last = (wall, steady) }
    guard let last else { return .sound }
    let expected = last.wall &+ (steady &- last.steady)
    if wall > expected, wall - expected > Self.slack {
      heldUntil = steady &+ Self.hold
      return .jumped
    }
    if expected > wall, expected - wall > Self.slack { heldUntil = nil }
    if let until = heldUntil, steady < until { return .held }
    heldUntil = nil
    return .sound
  }
}
