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
    while !Task.isCancelled {
      do throws(RelayError) { try await sweep() } catch {
        // The store has said why; the next round begins where this one did.
        log.warning("sweep not finished", ["code": error.code.number])
      }
      try? await Task.sleep(for: interval)
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
