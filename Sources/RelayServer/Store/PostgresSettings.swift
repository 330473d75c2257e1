import CPostgres
import Storage

/// Where the server is, and who we are there.
package struct PostgresSettings: Sendable {
  /// In libpq's words: `postgresql://user:password@host/database?sslmode=verify-full`, or `host=… dbname=…`. What it does
  /// not say comes from libpq's own places (`PGSERVICE`, `~/.pgpass`).
  private let text: String

  package init(_ text: String) { self.text = text }

  /// Whether libpq can read it; a word alone is the name of a database.
  var isWellFormed: Bool {
    guard let options = PQconninfoParse(text, nil) else {
      return !text.contains(where: { $0.isWhitespace || $0 == "=" || $0 == "/" })
    }
    PQconninfoFree(options)
    return true
  }

  /// What holds unless the operator says otherwise: a server that is gone is noticed within half a minute.
  private static let defaults = [
    ("application_name", "kin-relay"), ("connect_timeout", "10"), ("keepalives_idle", "10"),
    ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "20000"),
  ]

  /// Calls `body` with libpq's keywords and values, both ended by NULL.
  func withKeywords<T>(
    _ body: (_ keywords: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<UnsafePointer<CChar>?>?) -> T
  ) -> T {
    // Later ones win: our defaults come before what the operator wrote, and the encoding behind it.
    let pairs = Self.defaults + [("dbname", text), ("client_encoding", "UTF8")]
    let (keywords, values) = (CStrings(pairs.map(\.0)), CStrings(pairs.map(\.1)))
    return keywords.withPointers { keywords in values.withPointers { values in body(keywords, values) } }
  }
}

/// Strings as C has them, freed with this object.
private final class CStrings {
  private let storage: [UnsafeMutablePointer<CChar>]

  init(_ strings: [String]) {
    storage = strings.map { string in
      let text = string.utf8CString
      let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
      text.withUnsafeBufferPointer { source in
        if let start = source.baseAddress { copy.initialize(from: start, count: source.count) }
      }
      return copy
    }
  }

  deinit { for string in storage { string.deallocate() } }

  func withPointers<T>(_ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> T) -> T {
    let pointers = storage.map { UnsafePointer<CChar>($0) as UnsafePointer<CChar>? } + [nil]
    return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
  }
}
