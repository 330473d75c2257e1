import Glibc
import Testing

@testable import Observability

@Suite("Log")
struct LogTests {
  enum CloseReason: LoggableCode {
    case behind
    case badFrame
    var logText: StaticString {
      switch self {
      case .behind: "behind"
      case .badFrame: "bad \"frame\""
      }
    }
  }

  @Test("a text line carries time, level, room, message and values, in that order")
  func text() throws {
    let pipe = try Pipe()
    let log = Log("hub", to: pipe.sink(.info, .text))
    log.info("session closed", ["code": CloseReason.behind, "queued": 12, "after": Duration.milliseconds(1500)])
    #expect(
      pipe.read() == """
        time=2026-11-21T04:53:58.007Z level=info room=hub msg="session closed" code=behind queued=12 after=1.500000

        """)
  }

  @Test("a JSON line is one object, and quotation marks in it are escaped")
  func json() throws {
    let pipe = try Pipe()
    Log("hub", to: pipe.sink(.info, .json)).warning("odd", ["why": CloseReason.badFrame, "on": true, "delta": -3])
    #expect(
      pipe.read() == #"{"time":"2026-11-21T04:53:58.007Z","level":"warning","room":"hub","msg":"odd","#
        + #""why":"bad \"frame\"","on":true,"delta":-3}"# + "\n")
  }

  @Test("an error names the place in the source")
  func place() throws {
    let pipe = try Pipe()
    Log("hub", to: pipe.sink(.error, .text)).error("impossible", file: "Hub/Hub.swift", line: 7)
    #expect(pipe.read().hasSuffix("level=error room=hub msg=impossible file=Hub/Hub.swift line=7\n"))
  }

  @Test("below the level nothing is written and no value is computed")
  func disabled() throws {
    let pipe = try Pipe()
    let sink = pipe.sink(.warning, .text)
    let log = Log("hub", to: sink)
    log.info("silent", ["value": Self.notComputed()])
    log.debug("silent", ["value": Self.notComputed()])
    #expect(pipe.read() == "")
    sink.level = .debug
    log.debug("heard")
    #expect(pipe.read().contains("msg=heard"))
  }

  @Test("lines of many threads stay whole")
  func threads() async throws {
    let pipe = try Pipe()
    let log = Log("hub", to: pipe.sink(.info, .text))
    await withTaskGroup { group in
      for writer in 0..<8 {
        group.addTask { for number in 0..<25 { log.info("tick", ["writer": writer, "number": number]) } }
      }
    }
    let lines = pipe.read().split(separator: "\n")
    #expect(lines.count == 200)
    #expect(lines.allSatisfy { $0.hasPrefix("time=2026-") && $0.contains(" number=") })
    #expect(Set(lines).count == 200)
  }

  @Test("a line that the descriptor refuses is counted, not waited for")
  func refused() {
    let sink = LogSink(descriptor: -1)
    Log("hub", to: sink).info("lost")
    #expect(sink.droppedLines == 1)
  }

  @Test(
    "dates follow the calendar",
    arguments: [
      (0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_709_164_800, "2024-02-29"), (4_107_542_400, "2100-03-01"),
      (1_798_761_599, "2026-12-31"),
    ])
  func dates(seconds: Int64, date: String) {
    var line = LogLine(.text)
    line.addTime(seconds: seconds, milliseconds: 0)
    #expect(String(decoding: line.finish(), as: UTF8.self).hasPrefix("time=\(date)T"))
  }

  @Test("levels and formats have names, and no others")
  func names() {
    for level in LogLevel.allCases { #expect(LogLevel(named: "\(level.text)") == level) }
    #expect(LogLevel(named: "loud") == nil)
    #expect(LogFormat(named: "json") == .json)
    #expect(LogFormat(named: "xml") == nil)
  }

  private static func notComputed() -> Int {
    Issue.record("a disabled line computed its values")
    return 0
  }
}

/// A pipe to log into, read without waiting.
private final class Pipe {
  private let ends: (read: Int32, write: Int32)

  init() throws {
    var descriptors: [Int32] = [0, 0]
    try #require(pipe(&descriptors) == 0)
    for descriptor in descriptors { try #require(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0) }
    ends = (descriptors[0], descriptors[1])
  }

  deinit {
    close(ends.read)
    close(ends.write)
  }

  func sink(_ level: LogLevel, _ format: LogFormat) -> LogSink {
    LogSink(descriptor: ends.write, level: level, format: format, now: { (1_795_236_838, 7) })
  }

  func read() -> String {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(ends.read, &buffer, buffer.count)
      guard count > 0 else { return String(decoding: text, as: UTF8.self) }
      text += buffer[..<count]
    }
  }
}
