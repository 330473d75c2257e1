import Glibc
import Synchronization

/// Where lines go: a file descriptor, a level and a format.
///
/// Level and format may change while others log. A line is one `write(2)`, so lines of several threads and processes do
/// not mix. What cannot be written is counted in ``droppedLines`` and never waited for.
package final class LogSink: Sendable {
  /// Standard error, from level info, as text, until the configuration says otherwise.
  package static let standard = LogSink(descriptor: STDERR_FILENO)

  private let descriptor: Int32
  private let now: @Sendable () -> (seconds: Int64, milliseconds: Int64)
  private let currentLevel: Atomic<UInt8>
  private let currentFormat: Atomic<UInt8>
  private let dropped = Atomic<UInt64>(0)

  /// A sink for a descriptor, which stays the caller's to close.
  package init(
    descriptor: Int32, level: LogLevel = .info, format: LogFormat = .text,
    now: @escaping @Sendable () -> (seconds: Int64, milliseconds: Int64) = LogSink.wallClock
  ) {
    self.descriptor = descriptor
    self.now = now
    currentLevel = Atomic(level.rawValue)
    currentFormat = Atomic(format.rawValue)
  }

  /// Lines below this level are not written.
  package var level: LogLevel {
    get { LogLevel(rawValue: currentLevel.load(ordering: .relaxed)) ?? .info }
    set { currentLevel.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// How lines are written.
  package var format: LogFormat {
    get { LogFormat(rawValue: currentFormat.load(ordering: .relaxed)) ?? .text }
    set { currentFormat.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Lines that the descriptor did not take whole.
  package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

  func isOn(_ level: LogLevel) -> Bool { level.rawValue >= currentLevel.load(ordering: .relaxed) }

  func write(
    _ level: LogLevel, _ room: StaticString, _ message: StaticString,
    _ fields: KeyValuePairs<StaticString, any Loggable>, file: StaticString? = nil, line: UInt = 0
  ) {
    var text = LogLine(format)
    let time = now()
    text.addTime(seconds: time.seconds, milliseconds: time.milliseconds)
    text.add("level", .code(level.text))
    text.add("room", .code(room))
    text.add("msg", .code(message))
    for (key, value) in fields { text.add(key, value.logValue) }
    if let file {
      text.add("file", .code(file))
      text.add("line", .unsigned(UInt64(line)))
    }
    let bytes = text.finish()
    var written: Int
    repeat {
      written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    } while written < 0 && errno == EINTR
    if written != bytes.count { dropped.add(1, ordering: .relaxed) }
  }

  /// The system's real-time clock.
  package static let wallClock: @Sendable () -> (seconds: Int64, milliseconds: Int64) = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec), Int64(time.tv_nsec) / 1_000_000)
  }
}
