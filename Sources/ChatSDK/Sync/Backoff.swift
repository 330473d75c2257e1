/// How long to wait before the next try: twice as long each time, with full jitter, so that clients that lost the same
/// relay do not come back in one wave.
struct Backoff: Sendable {
  var first = Duration.milliseconds(250)
  var longest = Duration.seconds(60)
  private var failures = 0

  init(first: Duration = .milliseconds(250), longest: Duration = .seconds(60)) {
    (self.first, self.longest) = (first, longest)
  }

  mutating func reset() { failures = 0 }

  /// The next pause: between half of the step and the step. `random` is uniform in 0 ..< 1.
  mutating func next(random: Double, atLeast least: Duration? = nil) -> Duration {
    let step = min(longest, first * (1 << min(failures, 20)))
    failures += 1
    let pause = step * (0.5 + min(max(random, 0), 1) / 2)
    return max(pause, least ?? .zero)
  }
}
