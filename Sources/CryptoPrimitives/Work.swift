import Synchronization

/// Counts what costs time, so that tests can say how an operation grows: counts do not wobble as times do.
///
/// Counted in debug builds only; in release builds nothing of this is left. The counts are the whole process's: tests
/// that look at them run one at a time.
package enum Work: Int, CaseIterable, Sendable {
  case signatures, verifications
  /// Diffie-Hellman with another's key, and with the base point.
  case agreements, baseMultiplications
  case hashes, hashedBytes
  /// Calls of an authenticated cipher, either way.
  case sealings
  /// Secrets allocated.
  case secrets

  #if DEBUG
  private static let counts = Mutex([Int](repeating: 0, count: allCases.count))

  func count(_ more: Int = 1) { Work.counts.withLock { $0[rawValue] += more } }

  /// How often each was done inside `body`.
  package static func done<Failure: Error>(in body: () throws(Failure) -> Void) throws(Failure) -> [Work: Int] {
    let before = counts.withLock { $0 }
    try body()
    let after = counts.withLock { $0 }
    return Dictionary(uniqueKeysWithValues: allCases.map { ($0, after[$0.rawValue] - before[$0.rawValue]) })
  }
  #else
  @inline(__always) func count(_ more: Int = 1) {}
  #endif
}
