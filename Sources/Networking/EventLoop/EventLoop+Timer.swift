import CUV

extension EventLoop {
  /// A body that runs on the loop at a later time, once or again and again, unless cancelled.
  package final class Timer: Resident, @unchecked Sendable {
    private let loop: EventLoop
    private let handle = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
    private let repeats: Bool
    private var body: (@Sendable () -> Void)?
    private var isStarted = false

    fileprivate init(loop: EventLoop, repeats: Bool, body: @escaping @Sendable () -> Void) {
      self.loop = loop
      self.repeats = repeats
      self.body = body
    }

    deinit { handle.deallocate() }

    fileprivate func start(after delay: UInt64, every interval: UInt64) {
      // Cancelled before it began.
      guard body != nil else { return }
      isStarted = true
      uv_timer_init(loop.uv, handle)
      handle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
      loop.add(self)
      // The loop's idea of now is as old as the turn; without this a long turn shortens the delay.
      uv_update_time(loop.uv)
      uv_timer_start(
        handle, { Unmanaged<Timer>.fromOpaque($0!.pointee.data).takeUnretainedValue().fire() }, delay, interval)
    }

    private func fire() {
      guard let body else { return }
      if !repeats { finish() }
      body()
    }

    private func finish() {
      body = nil
      guard isStarted else { return }
      isStarted = false
      // The loop's list of residents keeps the timer alive until libuv has let go of the handle.
      uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
        let timer = Unmanaged<Timer>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
        timer.loop.remove(timer)
      }
    }

    func loopStops() { finish() }

    /// Makes sure that the body does not run any more.
    ///
    /// On the loop that holds from now on; elsewhere, soon.
    package func cancel() {
      loop.executeNowOrSoon { self.finish() }
    }
  }

  /// Runs the body on the loop after a delay.
  ///
  /// Callable from anywhere; precise to a millisecond.
  @discardableResult
  package func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> Timer {
    let timer = Timer(loop: self, repeats: false, body: body)
    executeNowOrSoon { timer.start(after: delay.milliseconds, every: 0) }
    return timer
  }

  /// Runs the body on the loop again and again until it is cancelled.
  @discardableResult
  package func schedule(every interval: Duration, _ body: @escaping @Sendable () -> Void) -> Timer {
    let timer = Timer(loop: self, repeats: true, body: body)
    let milliseconds = max(1, interval.milliseconds)
    executeNowOrSoon { timer.start(after: milliseconds, every: milliseconds) }
    return timer
  }
}

extension Duration {
  /// Whole milliseconds, rounded up and never negative, as libuv counts.
  var milliseconds: UInt64 {
    let parts = components
    guard parts.seconds >= 0, parts.attoseconds >= 0 else { return 0 }
    // Beyond a century nobody can tell the difference, and the product cannot overflow.
    return UInt64(min(parts.seconds, 3_200_000_000)) * 1000
      + UInt64((parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
