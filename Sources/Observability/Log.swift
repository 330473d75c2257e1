/// Writes the log lines of one room.
///
/// ```swift
/// let log = Log("hub")
/// log.info("session closed", ["code": code, "after": duration])
/// ```
/// Messages and keys are literals and values are ``Loggable``, so a line never holds an identity. Below the level in
/// force a call costs one relaxed load and evaluates none of its values. Any thread may log.
package struct Log: Sendable {
  private let room: StaticString
  private let sink: LogSink

  /// A log for a room, under the name that its lines carry.
  package init(_ room: StaticString, to sink: LogSink = .standard) {
    self.room = room
    self.sink = sink
  }

  /// Details for whoever develops Kin.
  package func debug(
    _ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, any Loggable> = [:]
  ) {
    guard sink.isOn(.debug) else { return }
    sink.write(.debug, room, message, fields())
  }

  /// Something that an operator wants to know happened.
  package func info(
    _ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, any Loggable> = [:]
  ) {
    guard sink.isOn(.info) else { return }
    sink.write(.info, room, message, fields())
  }

  /// Something outside Kin is wrong: a full disk, an unreachable database, a hostile peer.
  package func warning(
    _ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, any Loggable> = [:]
  ) {
    guard sink.isOn(.warning) else { return }
    sink.write(.warning, room, message, fields())
  }

  /// A bug in Kin.
  ///
  /// The line says where in the source it was noticed.
  package func error(
    _ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, any Loggable> = [:],
    file: StaticString = #fileID, line: UInt = #line
  ) {
    guard sink.isOn(.error) else { return }
    sink.write(.error, room, message, fields(), file: file, line: line)
  }
}

/// How grave a line is.
package enum LogLevel: UInt8, Sendable, CaseIterable, Comparable {
  case debug, info, warning, error, off

  /// The level of that name in a configuration; nil where there is none.
  package init?(named name: String) {
    guard let level = Self.allCases.first(where: { "\($0.text)" == name }) else { return nil }
    self = level
  }

  package var text: StaticString {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    case .off: "off"
    }
  }

  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// How a line is written.
package enum LogFormat: UInt8, Sendable, CaseIterable {
  /// `time=… level=… room=… msg="…" key=value`, one line each.
  case text
  /// One JSON object a line.
  case json

  /// The format of that name in a configuration; nil where there is none.
  package init?(named name: String) {
    switch name {
    case "text": self = .text
    case "json": self = .json
    default: return nil
    }
  }
}
