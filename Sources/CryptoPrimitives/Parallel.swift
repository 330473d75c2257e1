import Glibc
import Synchronization

/// Work on all cores, for synchronous code: checking a tree's leaves, sealing to many keys.
///
/// Built on plain threads, because what calls it must not suspend. They are joined before the call returns, so `body` may
/// use whatever outlives the call. Shared state is `body`'s to guard; writing element `index` of a buffer needs no guard.
package enum Parallel {
  /// Calls `body` once with each number below `count`, in no particular order.
  ///
  /// The caller's thread takes part. Work is handed out in chunks, to whoever is free. If there is not enough of it for two, or
  /// if no thread can be started, the caller's thread does it all.
  ///
  /// - Parameters:
  ///   - workers: how many threads may work, the caller's included.
  ///   - minimumChunk: how many calls are worth handing over; starting a thread costs about as much as one signature.
  package static func forEach(
    _ count: Int, workers: Int, minimumChunk: Int = 8, _ body: @Sendable (Int) -> Void
  ) {
    guard count > 0 else { return }
    let smallest = max(1, minimumChunk)
    let threads = min(workers, count / smallest, Self.limit)
    guard threads > 1 else {
      for index in 0..<count { body(index) }
      return
    }
    // Several chunks a thread, so that one that is held up leaves the rest to the others.
    let chunk = max(smallest, count / (threads * 8))
    withoutActuallyEscaping(body) { body in
      let job = Job(count: count, chunk: chunk, body: body)
      var helpers: [pthread_t] = []
      helpers.reserveCapacity(threads - 1)
      for _ in 1..<threads {
        guard let helper = job.startHelper() else { break }
        helpers.append(helper)
      }
      job.work()
      for helper in helpers { pthread_join(helper, nil) }
    }
  }

  /// Does as `forEach`, where a call may fail.
  ///
  /// - Throws: of all failures the one with the lowest number, so that the outcome does not depend on who was faster. Calls
  ///   with higher numbers than a known failure may be left out.
  package static func forEach<Failure: Error>(
    _ count: Int, workers: Int, minimumChunk: Int = 8, throwing body: @Sendable (Int) throws(Failure) -> Void
  ) throws(Failure) {
    let lowest = Atomic<Int>(.max)
    let found = Mutex<(index: Int, error: Failure)?>(nil)
    forEach(count, workers: workers, minimumChunk: minimumChunk) { index in
      guard index < lowest.load(ordering: .relaxed) else { return }
      do throws(Failure) {
        try body(index)
      } catch {
        lowest.min(index, ordering: .relaxed)
        let failure = error
        found.withLock { known in
          if index < known?.index ?? .max { known = (index, failure) }
        }
      }
    }
    if let failure = found.withLock({ $0?.error }) { throw failure }
  }

  /// What `body` makes of each number below `count`, in their order; otherwise as ``forEach(_:workers:minimumChunk:throwing:)``.
  package static func map<Value: Sendable, Failure: Error>(
    _ count: Int, workers: Int, minimumChunk: Int = 8, _ body: @Sendable (Int) throws(Failure) -> Value
  ) throws(Failure) -> [Value] {
    guard count > 0 else { return [] }
    nonisolated(unsafe) let made = UnsafeMutablePointer<Value?>.allocate(capacity: count)
    made.initialize(repeating: nil, count: count)
    defer {
      made.deinitialize(count: count)
      made.deallocate()
    }
    // Each place is written by one thread, and read when all are joined.
    try forEach(count, workers: workers, minimumChunk: minimumChunk) { (index) throws(Failure) in
      made[index] = try body(index)
    }
    return UnsafeBufferPointer(start: made, count: count).compactMap { $0 }
  }

  /// How many cores the system has.
  package static let availableCores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  /// More threads than this help nobody.
  private static let limit = 64
}

/// What the threads of one call share.
private final class Job: Sendable {
  private let count: Int
  private let chunk: Int
  private let body: @Sendable (Int) -> Void
  private let next = Atomic<Int>(0)

  init(count: Int, chunk: Int, body: @escaping @Sendable (Int) -> Void) {
    self.count = count
    self.chunk = chunk
    self.body = body
  }

  /// Takes chunks until none is left.
  func work() {
    while true {
      let start = next.wrappingAdd(chunk, ordering: .relaxed).oldValue
      guard start < count else { return }
      for index in start..<min(count, start + chunk) { body(index) }
    }
  }

  /// A thread that works beside the caller's, or nil if the system has none to give.
  func startHelper() -> pthread_t? {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(self)
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().work()
        return nil
      }, argument.toOpaque())
    guard status == 0 else {
      argument.release()
      return nil
    }
    return thread
  }
}
