/// A value that may stand in a log line.
///
/// What may be logged is decided by type, so that nobody can be logged by mistake: numbers, truth values, durations and
/// codes whose text stands in the source. There is no conformance for `String` or bytes and none can be added, because
/// ``LogValue`` has no way to hold them. Names, ids, addresses, tokens and message text therefore never reach a log.
package protocol Loggable: Sendable {
  /// What is written.
  var logValue: LogValue { get }
}

/// A code with a fixed text: an error code, a close reason, a route.
///
/// Conform an enum or a struct of static members by giving each its text as a literal.
package protocol LoggableCode: Loggable {
  /// The text, which must be safe for anyone to read.
  var logText: StaticString { get }
}

extension LoggableCode {
  package var logValue: LogValue { .code(logText) }
}

/// The closed set of things that a log line can hold.
package enum LogValue: Sendable {
  case signed(Int64)
  case unsigned(UInt64)
  case boolean(Bool)
  case duration(Duration)
  case code(StaticString)
}

extension Loggable where Self: FixedWidthInteger & SignedInteger {
  package var logValue: LogValue { .signed(Int64(clamping: self)) }
}

extension Loggable where Self: FixedWidthInteger & UnsignedInteger {
  package var logValue: LogValue { .unsigned(UInt64(clamping: self)) }
}

extension Int: Loggable {}
extension Int8: Loggable {}
extension Int16: Loggable {}
extension Int32: Loggable {}
extension Int64: Loggable {}
extension UInt: Loggable {}
extension UInt8: Loggable {}
extension UInt16: Loggable {}
extension UInt32: Loggable {}
extension UInt64: Loggable {}

extension Bool: Loggable {
  package var logValue: LogValue { .boolean(self) }
}

extension Duration: Loggable {
  package var logValue: LogValue { .duration(self) }
}
