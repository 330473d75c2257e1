import Glibc
import Synchronization

/// A bounded queue between any thread that gives work and the threads that do it.
///
/// Blocking calls to the database must never run on an event loop nor on the shared pool of tasks, so they have threads
/// of their own, which sleep here.
final class WorkQueue<Job: Sendable>: @unchecked Sendable {
  struct Limits: Sendable {
    var jobs: Int
    var bytes: Int
  }

  // Unchecked because all of this is touched under `mutex` only.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let limits: Limits
  private var waiting: [(job: Job, weight: Int, bytes: Int)] = []
  private var weight = 0
  private var bytes = 0
  private var isClosed = false

  init(limits: Limits) {
    self.limits = limits
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Adds a job that counts as `weight` jobs; false if there is no room for it or the queue is closed.
  ///
  /// A single job is taken whatever its size when nothing else waits, or it could never be done.
  func push(_ job: Job, weight: Int, bytes: Int) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed else { return false }
    guard waiting.isEmpty || (self.weight + weight <= limits.jobs && self.bytes + bytes <= limits.bytes) else {
      return false
    }
    waiting.append((job, weight, bytes))
    self.weight += weight
    self.bytes += bytes
    pthread_cond_signal(condition)
    return true
  }

  /// How full it is, from 0 to 1, by jobs or by bytes.
  var fill: Double {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return min(1, max(Double(weight) / Double(max(1, limits.jobs)), Double(bytes) / Double(max(1, limits.bytes))))
  }

  /// Waits for jobs and takes as many, in order, as stay within the limits, at least one; none means closed and done.
  func take(atMost limits: Limits) -> [Job] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while waiting.isEmpty, !isClosed { pthread_cond_wait(condition, mutex) }
    var taken: [Job] = []
    var (weight, bytes) = (0, 0)
    for item in waiting {
      guard taken.isEmpty || (weight + item.weight <= limits.jobs && bytes + item.bytes <= limits.bytes) else { break }
      taken.append(item.job)
      weight += item.weight
      bytes += item.bytes
    }
    waiting.removeFirst(taken.count)
    self.weight -= weight
    self.bytes -= bytes
    return taken
  }

  /// What waits is still done; nothing more is taken on.
  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}

/// A thread of its own for blocking work.
enum WorkThread {
  private final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body` on a new thread; false if the system has no thread left.
  static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      start.release()
      return false
    }
    pthread_detach(thread)
    return true
  }
}

/// Something that happens once and can be awaited by any number of tasks.
final class Milestone: Sendable {
  private struct State {
    var remaining: Int
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state: Mutex<State>

  /// Reached when ``arrive()`` was called `count` times.
  init(count: Int) { state = Mutex(State(remaining: count)) }

  func arrive() {
    let waiters = state.withLock { state in
      state.remaining -= 1
      guard state.remaining <= 0 else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isReached = state.withLock { state in
        guard state.remaining > 0 else { return true }
        state.waiters.append(continuation)
        return false
      }
      if isReached { continuation.resume() }
    }
  }
}
