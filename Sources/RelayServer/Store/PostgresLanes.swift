import Glibc
import RelayProtocol

/// What waits to be written to rooms' logs, in a few lanes: a room always takes the same one, so that what is stored
/// for it completes in order, and the lanes work at the same time.
///
/// A call whose messages belong to several lanes completes when the last of them is done, and those that are done before
/// wait for it, so that nothing that came later overtakes it. All lanes see calls in the same order, hence the call that
/// came first never waits.
final class PostgresLanes: @unchecked Sendable {
  /// Messages that were given together and complete together.
  final class Call {
    let messages: [NewMessage]
    let completion: @Sendable ([Result<Appended, RelayError>]) -> Void
    fileprivate var outcomes: [Result<Appended, RelayError>]
    fileprivate var remaining = 0
    fileprivate var isDone = false

    init(_ messages: [NewMessage], _ completion: @escaping @Sendable ([Result<Appended, RelayError>]) -> Void) {
      (self.messages, self.completion) = (messages, completion)
      outcomes = Array(repeating: .failure(StoreFault.overloaded), count: messages.count)
    }
  }

  enum Job {
    /// Some of a call's messages.
    case append(Call, [Int])
    /// Anything else that adds to a log, and calls whom it concerns.
    case write(@Sendable (PostgresSession) -> Void)
  }

  // Unchecked because all of this is touched under `mutex` only; a call's outcomes too.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// One for each lane, and the last for calls that are done.
  private let conditions: UnsafeMutablePointer<pthread_cond_t>
  private let limits: WorkQueue<Void>.Limits
  private var lanes: [[(job: Job, weight: Int, bytes: Int)]]
  private var weight = 0
  private var bytes = 0
  private var isClosed = false

  let count: Int

  init(count: Int, limits: WorkQueue<Void>.Limits) {
    (self.count, self.limits) = (count, limits)
    lanes = Array(repeating: [], count: count)
    conditions = .allocate(capacity: count + 1)
    pthread_mutex_init(mutex, nil)
    for index in 0...count { pthread_cond_init(conditions + index, nil) }
  }

  deinit {
    for index in 0...count { pthread_cond_destroy(conditions + index) }
    pthread_mutex_destroy(mutex)
    conditions.deallocate()
    mutex.deallocate()
  }

  func lane(of room: RoomID) -> Int { Int(room.low % UInt64(count)) }

  // MARK: Giving

  /// False if there is no room for it or the lanes are closed.
  func append(_ call: Call) -> Bool {
    var parts = [[Int]](repeating: [], count: count)
    var sizes = [Int](repeating: 0, count: count)
    for (index, message) in call.messages.enumerated() {
      let lane = lane(of: message.room)
      parts[lane].append(index)
      sizes[lane] += message.request.message.bytes.count
    }
    return push(weight: call.messages.count, bytes: sizes.reduce(0, +)) {
      for lane in 0..<count where !parts[lane].isEmpty {
        call.remaining += 1
        lanes[lane].append((.append(call, parts[lane]), parts[lane].count, sizes[lane]))
        pthread_cond_signal(conditions + lane)
      }
    }
  }

  func write(in room: RoomID, bytes: Int, _ work: @escaping @Sendable (PostgresSession) -> Void) -> Bool {
    let lane = lane(of: room)
    return push(weight: 1, bytes: bytes) {
      lanes[lane].append((.write(work), 1, bytes))
      pthread_cond_signal(conditions + lane)
    }
  }

  private func push(weight: Int, bytes: Int, _ add: () -> Void) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed else { return false }
    // A single job is taken whatever its size when nothing else waits, or it could never be done.
    guard self.weight == 0 || (self.weight + weight <= limits.jobs && self.bytes + bytes <= limits.bytes) else {
      return false
    }
    self.weight += weight
    self.bytes += bytes
    add()
    return true
  }

  /// What waits is still done; nothing more is taken on.
  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    for lane in 0..<count { pthread_cond_broadcast(conditions + lane) }
    pthread_mutex_unlock(mutex)
  }

  /// How full they are, from 0 to 1, by jobs or by bytes.
  var fill: Double {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return min(1, max(Double(weight) / Double(max(1, limits.jobs)), Double(bytes) / Double(max(1, limits.bytes))))
  }

  // MARK: Taking

  /// Waits for jobs of a lane and takes as many, in order, as stay within the limits, at least one; none means closed and
  /// done.
  func take(_ lane: Int, atMost limits: WorkQueue<Void>.Limits) -> [Job] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while lanes[lane].isEmpty, !isClosed { pthread_cond_wait(conditions + lane, mutex) }
    var taken: [Job] = []
    var (weight, bytes) = (0, 0)
    for item in lanes[lane] {
      guard taken.isEmpty || (weight + item.weight <= limits.jobs && bytes + item.bytes <= limits.bytes) else { break }
      taken.append(item.job)
      weight += item.weight
      bytes += item.bytes
    }
    lanes[lane].removeFirst(taken.count)
    self.weight -= weight
    self.bytes -= bytes
    return taken
  }

  /// Notes what became of some of a call's messages; completes the call or waits until it is complete.
  func finish(_ call: Call, _ indices: [Int], _ outcomes: some Sequence<Result<Appended, RelayError>>) {
    pthread_mutex_lock(mutex)
    for (index, outcome) in zip(indices, outcomes) { call.outcomes[index] = outcome }
    call.remaining -= 1
    if call.remaining == 0 {
      pthread_mutex_unlock(mutex)
      call.completion(call.outcomes)
      pthread_mutex_lock(mutex)
      call.isDone = true
      pthread_cond_broadcast(conditions + count)
    } else {
      while !call.isDone { pthread_cond_wait(conditions + count, mutex) }
    }
    pthread_mutex_unlock(mutex)
  }
}
