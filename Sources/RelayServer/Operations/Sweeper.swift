import Glibc
import Observability
import RelayProtocol

/// Erases what is past its time, again and again, a little at a time.
struct Sweeper: Sendable {
  let store: any RelayStore
  let retention: Retention
  let interval: Duration
  let erased: Counter
  let log: Log
  let now: @Sendable () -> UInt64

  /// Returns when its task is cancelled.
  func run() async {
    var guardian = ClockGuard()
    while !Task.isCancelled {
      switch guardian.look(wall: now(), steady: Self.steady) {
      case .sound: await round()
      case .held: break
      case .jumped: log.warning("the clock jumped ahead: nothing is erased until it is set right, or for a day")
      }
      try? await Task.sleep(for: interval)
    }
  }

  /// Milliseconds that go on while the machine sleeps.
  private static var steady: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
  }

  private func round() async {
    do throws(RelayError) { try await sweep() } catch {
      // The store has said why; the next round begins where this one did.
      log.warning("sweep not finished", ["code": error.code.number])
    }
  }

  /// One round over all rooms.
  func sweep() async throws(RelayError) {
    var after: Int64? = 0
    var total = 0
    while let from = after, !Task.isCancelled {
      let step = try await store.sweep(retention, after: from, now: now())
      total += step.erased
      after = step.next
      // Whoever sends meanwhile goes first.
      if after != nil { try? await Task.sleep(for: .milliseconds(10)) }
    }
    guard total > 0 else { return }
    erased.add(UInt64(total))
    try await store.scrub()
    log.info("erased what was past its time", ["entries": total])
  }
}

extension Retention {
  init(_ configuration: RelayConfiguration) {
    let messages = configuration.retention.wholeMilliseconds
    self.init(
      messages: messages == 0 ? nil : messages,
      roomBytes: configuration.roomQuotaMiB == 0 ? nil : UInt64(configuration.roomQuotaMiB) << 20,
      welcomes: configuration.welcomeRetention.wholeMilliseconds)
  }
}
