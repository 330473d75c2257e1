/// A statement whose text stands in the source and whose values are bound, never written into the text.
///
/// ```swift
/// try database.execute("UPDATE room SET epoch = \(epoch) WHERE key = \(key)")
/// ```
/// Each `\(value)` becomes a parameter. There is no way to make one from a `String` that was computed.
package struct SQL: ExpressibleByStringInterpolation, Sendable {
  package typealias StringLiteralType = StaticString

  /// Each `?` stands for the next of ``values``.
  package let text: String
  package let values: [SQLValue]

  package init(stringLiteral text: StaticString) {
    self.text = text.description
    values = []
  }

  package init(stringInterpolation: StringInterpolation) {
    text = stringInterpolation.text
    values = stringInterpolation.values
  }

  package struct StringInterpolation: StringInterpolationProtocol, Sendable {
    package typealias StringLiteralType = StaticString

    var text = ""
    var values: [SQLValue] = []

    package init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + interpolationCount)
      values.reserveCapacity(interpolationCount)
    }

    package mutating func appendLiteral(_ literal: StaticString) { text += literal.description }

    /// A bound parameter.
    package mutating func appendInterpolation(_ value: some SQLBindable) {
      text += "?"
      values.append(value.sqlValue)
    }

    /// A bound parameter that may be NULL, labelled because the compiler distrusts bare optionals in text.
    package mutating func appendInterpolation(optional value: (some SQLBindable)?) {
      text += "?"
      values.append(value.sqlValue)
    }

    /// The right side of an `IN`: each value a parameter. The list is filled up with its last value to one of a few lengths, so that
    /// a database that keeps statements prepared meets few of them.
    package mutating func appendInterpolation(list values: [some SQLBindable]) {
      guard let last = values.last?.sqlValue else {
        text += "(NULL)"
        return
      }
      var count = 1
      while count < values.count { count *= 2 }
      text += "(" + Array(repeating: "?", count: count).joined(separator: ", ") + ")"
      self.values += values.map(\.sqlValue)
      self.values += Array(repeating: last, count: count - values.count)
    }

    /// A piece of text from the source, such as a list of columns.
    package mutating func appendInterpolation(raw: StaticString) { text += raw.description }

    /// A piece of a statement with values of its own.
    package mutating func appendInterpolation(part: SQL) {
      text += part.text
      values += part.values
    }

    /// Locks the rows of a table that a `SELECT` found until the transaction ends, where several write at once. SQLite has one
    /// writer and reads a comment; a connection to another database takes the marks off.
    package mutating func appendInterpolation(lock table: StaticString) { text += "/*FOR NO KEY UPDATE OF \(table)*/" }
  }
}

/// A value as a database stores it.
package enum SQLValue: Sendable, Hashable {
  case null
  case integer(Int64)
  case text(String)
  case blob([UInt8])
}

/// What may stand for a parameter.
package protocol SQLBindable {
  var sqlValue: SQLValue { get }
}

extension SQLValue: SQLBindable {
  package var sqlValue: SQLValue { self }
}

extension Int64: SQLBindable {
  package var sqlValue: SQLValue { .integer(self) }
}

extension Int: SQLBindable {
  package var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension UInt64: SQLBindable {
  /// The same 64 bits: ``Row/unsigned(_:)`` gives them back, but SQLite orders values above 2⁶³ before all others.
  package var sqlValue: SQLValue { .integer(Int64(bitPattern: self)) }
}

extension UInt32: SQLBindable {
  package var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension UInt8: SQLBindable {
  package var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension Bool: SQLBindable {
  package var sqlValue: SQLValue { .integer(self ? 1 : 0) }
}

extension String: SQLBindable {
  package var sqlValue: SQLValue { .text(self) }
}

extension [UInt8]: SQLBindable {
  package var sqlValue: SQLValue { .blob(self) }
}

extension Optional: SQLBindable where Wrapped: SQLBindable {
  package var sqlValue: SQLValue { self?.sqlValue ?? .null }
}
