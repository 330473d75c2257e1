import CUV
import Glibc
import Synchronization

/// One thread that waits for sockets and timers, and an executor: actors that live on one loop call each other without locks
/// or thread hops.
///
/// The idiom of the house: classes and actors live on a loop; callbacks are called synchronously on it; no task per message;
/// nothing on a loop may block. One turn runs everything that is ready, then ``atEndOfTurn(_:)`` runs once: that is when
/// connections write, so many small messages become one system call.
package final class EventLoop: SerialExecutor, @unchecked Sendable {
  /// Lives as long as the process; for clients, which have no reason to own a thread each.
  package static let shared = EventLoop(isPermanent: true)

  enum Work {
    case job(UnownedJob)
    case body(@Sendable () -> Void)
  }

  private enum Phase { case running, closing, stopped }

  private struct Inbox: ~Copyable {
    var work: [Work] = []
    /// Whether the loop knows of the work.
    var isSignalled = false
    /// How many callers of ``gather(_:)`` are not done yet.
    var gathering = 0
    var phase = Phase.running
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// What lives on the loop and holds handles: it is asked to close when the loop stops.
  protocol Resident: AnyObject, Sendable {
    func loopStops()
  }

  /// What one connection at a time reads into; its contents are gone after the callback.
  static let readBufferSize = 64 * 1024

  let uv: UnsafeMutablePointer<uv_loop_t>
  let readBuffer: UnsafeMutableRawBufferPointer
  let plainBuffer: UnsafeMutableRawBufferPointer
  let isPermanent: Bool

  private let async = UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
  private let prepare = UnsafeMutablePointer<uv_prepare_t>.allocate(capacity: 1)
  private let check = UnsafeMutablePointer<uv_check_t>.allocate(capacity: 1)
  private let idle = UnsafeMutablePointer<uv_idle_t>.allocate(capacity: 1)
  private let threadID = Atomic<UInt>(0)
  private let inbox = Mutex(Inbox())

  /// What the loop has done so far: counts that do not wobble, for benchmarks and tests.
  package struct Statistics: Equatable, Sendable {
    package var turns = 0
    package var reads = 0
    package var writes = 0
    package var jobs = 0
  }

  // From here on: touched on the loop's thread only. What each delivery needs is not checked for overlapping access; see
  // TCPConnection.
  /// Read it on the loop.
  @exclusivity(unchecked) package internal(set) var statistics = Statistics()
  @exclusivity(unchecked) private var local: [Work] = []
  private var running: [Work] = []
  /// Connections that have something to send at the end of the turn.
  @exclusivity(unchecked) private var writers: [TCPConnection] = []
  @exclusivity(unchecked) private var endedWriters: [TCPConnection] = []
  private var residents: [ObjectIdentifier: any Resident] = [:]
  @exclusivity(unchecked) private var spareBuffers: [[UInt8]] = []
  private var tlsPassage: TLSPassage?
  private var isStopping = false
  private var hasClosedHandles = false
  private var isIdling = false

  package convenience init() {
    self.init(isPermanent: false)
  }

  private init(isPermanent: Bool) {
    ignoreBrokenPipes
    self.isPermanent = isPermanent
    uv = .allocate(capacity: 1)
    readBuffer = .allocate(byteCount: EventLoop.readBufferSize, alignment: 16)
    plainBuffer = .allocate(byteCount: EventLoop.readBufferSize, alignment: 16)
    // These fail only when the process has no descriptors or memory left: it could not serve anybody.
    guard uv_loop_init(uv) == 0, uv_async_init(uv, async, { EventLoop.of($0!.pointee.data).collect() }) == 0 else {
      fatalError("cannot create an event loop: out of file descriptors or memory")
    }
    uv_prepare_init(uv, prepare)
    uv_check_init(uv, check)
    uv_idle_init(uv, idle)
    let this = Unmanaged.passUnretained(self).toOpaque()
    async.pointee.data = this
    prepare.pointee.data = this
    check.pointee.data = this
    idle.pointee.data = this
    // Before polling (for what timers did) and after it (for what sockets did).
    uv_prepare_start(prepare) { EventLoop.of($0!.pointee.data).endTurn() }
    uv_check_start(check) { EventLoop.of($0!.pointee.data).endTurn() }

    var thread = uv_thread_t()
    // The thread keeps the loop alive until it has stopped.
    let retained = Unmanaged.passRetained(self).toOpaque()
    let result = uv_thread_create(
      &thread,
      { argument in
        let loop = Unmanaged<EventLoop>.fromOpaque(argument!).takeRetainedValue()
        loop.threadMain()
      }, retained)
    // Only at start, when the system has no thread to give: there is nothing to serve with.
    guard result == 0 else { fatalError("cannot create a thread for an event loop") }
    pthread_detach(thread)
  }

  deinit {
    uv.deallocate()
    async.deallocate()
    prepare.deallocate()
    check.deallocate()
    idle.deallocate()
    readBuffer.deallocate()
    plainBuffer.deallocate()
  }

  private static func of(_ data: UnsafeMutableRawPointer?) -> EventLoop {
    Unmanaged<EventLoop>.fromOpaque(data!).takeUnretainedValue()
  }

  // MARK: Executor

  /// Whether the caller runs on this loop's thread.
  package var isCurrent: Bool {
    let id = threadID.load(ordering: .relaxed)
    if id == UInt(pthread_self()) { return true }
    // What is left of a stopped loop is run by the shared one.
    return id == EventLoop.stoppedID && EventLoop.shared.isCurrent
  }

  private static let stoppedID = UInt.max

  package func enqueue(_ job: consuming ExecutorJob) {
    submit(.job(UnownedJob(job)))
  }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }

  package func checkIsolated() {
    precondition(isCurrent, "not on the event loop")
  }

  package func isIsolatingCurrentContext() -> Bool? { isCurrent }

  /// Runs the body on the loop, soon and in order; from the loop itself, later in the same turn.
  package func execute(_ body: @escaping @Sendable () -> Void) {
    submit(.body(body))
  }

  /// Runs the body at once when on the loop, otherwise ``execute(_:)``.
  package func executeNowOrSoon(_ body: @escaping @Sendable () -> Void) {
    if isCurrent { body() } else { submit(.body(body)) }
  }

  private func submit(_ work: Work) {
    if threadID.load(ordering: .relaxed) == UInt(pthread_self()) {
      local.append(work)
      return
    }
    let isStopped = inbox.withLock { inbox in
      guard inbox.phase != .stopped else { return true }
      inbox.work.append(work)
      if !inbox.isSignalled && inbox.gathering == 0 { signal(&inbox) }
      return false
    }
    // A job that is dropped would hang its task for ever.
    if isStopped { EventLoop.shared.submit(work) }
  }

  /// Wakes the loop once for all that `body` submits to it, so that it is done in one turn.
  ///
  /// For other threads than the loop's. The body must be short: what others submit meanwhile waits for it too.
  package func gather(_ body: () -> Void) {
    inbox.withLock { $0.gathering += 1 }
    body()
    inbox.withLock { inbox in
      inbox.gathering -= 1
      if inbox.gathering == 0, !inbox.isSignalled, !inbox.work.isEmpty { signal(&inbox) }
    }
  }

  /// Under the lock: the handle may not be used once its closing has begun.
  private func signal(_ inbox: inout Inbox) {
    guard inbox.phase == .running else { return }
    inbox.isSignalled = true
    uv_async_send(async)
  }

  private func collect() {
    inbox.withLock { inbox in
      inbox.isSignalled = false
      if local.isEmpty {
        swap(&local, &inbox.work)
      } else {
        local.append(contentsOf: inbox.work)
        inbox.work.removeAll(keepingCapacity: true)
      }
    }
  }

  private func runLocal() {
    swap(&local, &running)
    let executor = asUnownedSerialExecutor()
    statistics.jobs += running.count
    for work in running {
      switch work {
      case .job(let job): job.runSynchronously(on: executor)
      case .body(let body): body()
      }
    }
    running.removeAll(keepingCapacity: true)
  }

  // MARK: Turns

  /// Has the connection write once when everything that is ready in this turn has run.
  ///
  /// Only on the loop.
  func atEndOfTurn(_ connection: TCPConnection) {
    writers.append(connection)
  }

  private func endTurn() {
    statistics.turns += 1
    // Bounded, so that jobs which keep making jobs cannot starve the sockets.
    var rounds = 0
    while rounds < 16, !(local.isEmpty && writers.isEmpty) {
      rounds += 1
      if !local.isEmpty {
        runLocal()
        // What follows directly from a job belongs to the same turn, and to the same write.
        if !local.isEmpty && rounds < 8 { continue }
      }
      swap(&writers, &endedWriters)
      for writer in endedWriters { writer.turnEnded() }
      endedWriters.removeAll(keepingCapacity: true)
    }
    let hasMore = !(local.isEmpty && writers.isEmpty)
    if hasMore != isIdling && !hasClosedHandles {
      isIdling = hasMore
      // An active idle handle makes the poll return at once.
      if hasMore { uv_idle_start(idle) { _ in } } else { uv_idle_stop(idle) }
    }
    if isStopping && residents.isEmpty && !hasMore { closeHandles() }
  }

  // MARK: Buffers

  /// An empty buffer, perhaps with room already; give it back with ``recycle(_:)``.
  func takeBuffer() -> [UInt8] {
    spareBuffers.popLast() ?? []
  }

  /// Takes a buffer that nobody else refers to any more: of any other it would make a copy.
  func recycle(_ buffer: consuming [UInt8]) {
    guard buffer.capacity <= 16 * 1024, spareBuffers.count < 256 else { return }
    buffer.removeAll(keepingCapacity: true)
    spareBuffers.append(buffer)
  }

  /// Through which the TLS connections of the loop read and write.
  func passage() throws(NetworkError) -> TLSPassage {
    if let tlsPassage { return tlsPassage }
    let passage = try TLSPassage()
    tlsPassage = passage
    return passage
  }

  // MARK: Residents and the end

  func add(_ resident: any Resident) {
    residents[ObjectIdentifier(resident)] = resident
    // Somebody came while the loop is leaving: let it in and out in good order.
    if isStopping { execute { [weak resident] in resident?.loopStops() } }
  }

  func remove(_ resident: any Resident) {
    residents.removeValue(forKey: ObjectIdentifier(resident))
  }

  /// Closes everything that lives on the loop, runs what is queued, and ends the thread.
  ///
  /// Later jobs for this executor run on ``shared``, so no task is lost. The shared loop itself does not stop.
  package func shutdown() async {
    guard !isPermanent else { return }
    await withCheckedContinuation { continuation in
      let isStopped = inbox.withLock { inbox in
        if inbox.phase == .stopped { return true }
        inbox.waiters.append(continuation)
        return false
      }
      guard !isStopped else { return continuation.resume() }
      execute { [self] in
        guard !isStopping else { return }
        isStopping = true
        for resident in Array(residents.values) { resident.loopStops() }
      }
    }
  }

  private func closeHandles() {
    guard !hasClosedHandles else { return }
    hasClosedHandles = true
    inbox.withLock { $0.phase = .closing }
    uv_close(UnsafeMutableRawPointer(async).assumingMemoryBound(to: uv_handle_t.self), nil)
    uv_close(UnsafeMutableRawPointer(prepare).assumingMemoryBound(to: uv_handle_t.self), nil)
    uv_close(UnsafeMutableRawPointer(check).assumingMemoryBound(to: uv_handle_t.self), nil)
    uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self), nil)
  }

  private func threadMain() {
    threadID.store(UInt(pthread_self()), ordering: .relaxed)
    uv_run(uv, UV_RUN_DEFAULT)
    var waiters: [CheckedContinuation<Void, Never>] = []
    while true {
      collect()
      if !local.isEmpty {
        runLocal()
        continue
      }
      let isDone = inbox.withLock { inbox in
        guard inbox.work.isEmpty else { return false }
        inbox.phase = .stopped
        swap(&waiters, &inbox.waiters)
        return true
      }
      if isDone { break }
    }
    threadID.store(EventLoop.stoppedID, ordering: .relaxed)
    uv_loop_close(uv)
    for waiter in waiters { waiter.resume() }
  }

  /// A clock that never goes back.
  package var now: ContinuousClock.Instant { ContinuousClock.now }
}

/// A peer that has gone shall be an error from `write`, not the end of the process.
private let ignoreBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()
