import CUV
import Glibc

/// The signals that tell a server to stop or to read its configuration again.
package enum ProcessSignal: Int32, Sendable, CaseIterable {
  case hangup = 1
  case interrupt = 2
  case terminate = 15
}

/// Hears signals on a loop instead of in a signal handler, where almost nothing may be done.
package final class Signals: EventLoop.Resident, @unchecked Sendable {
  private let loop: EventLoop
  private var handles: [UnsafeMutablePointer<uv_signal_t>] = []
  private var open = 0
  private var body: (@Sendable (ProcessSignal) -> Void)?

  /// Calls the body on the loop for each of the signals until ``cancel()``.
  package init(
    _ signals: [ProcessSignal] = [.terminate, .interrupt], on loop: EventLoop = .shared,
    _ body: @escaping @Sendable (ProcessSignal) -> Void
  ) {
    self.loop = loop
    self.body = body
    loop.executeNowOrSoon { [self] in start(signals) }
  }

  /// The same as a sequence; ending the iteration stops the listening.
  package static func stream(
    _ signals: [ProcessSignal] = [.terminate, .interrupt], on loop: EventLoop = .shared
  ) -> AsyncStream<ProcessSignal> {
    AsyncStream(bufferingPolicy: .bufferingNewest(8)) { continuation in
      let watcher = Signals(signals, on: loop) { continuation.yield($0) }
      continuation.onTermination = { _ in watcher.cancel() }
    }
  }

  private func start(_ signals: [ProcessSignal]) {
    guard body != nil else { return }
    loop.add(self)
    for signal in signals {
      let handle = UnsafeMutablePointer<uv_signal_t>.allocate(capacity: 1)
      uv_signal_init(loop.uv, handle)
      handle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
      handles.append(handle)
      open += 1
      uv_signal_start(
        handle,
        { handle, number in
          let watcher = Unmanaged<Signals>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
          if let signal = ProcessSignal(rawValue: number) { watcher.body?(signal) }
        }, signal.rawValue)
    }
    if handles.isEmpty { loop.remove(self) }
  }

  func loopStops() { finish() }

  private func finish() {
    body = nil
    for handle in handles {
      uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
        let watcher = Unmanaged<Signals>.fromOpaque(handle!.pointee.data).takeUnretainedValue()
        UnsafeMutableRawPointer(handle!).deallocate()
        watcher.open -= 1
        if watcher.open == 0 { watcher.loop.remove(watcher) }
      }
    }
    handles = []
  }

  /// Stops listening; the process then dies of these signals as usual.
  package func cancel() {
    loop.executeNowOrSoon { self.finish() }
  }
}
