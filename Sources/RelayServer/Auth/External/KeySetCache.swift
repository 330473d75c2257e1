/// What is known of an issuer's keys, and when to ask for them again. Times are milliseconds.
struct KeySetCache: Sendable {
  /// The time that lies between two questions at least: anybody can send unknown names of keys.
  let pause: UInt64
  private(set) var set: KeySet?
  private(set) var isFailing = false
  private var asked: UInt64?

  init(pause: UInt64, set: KeySet? = nil) { (self.pause, self.set) = (pause, set) }

  /// Whether to ask now, which is noted as done.
  mutating func mayAsk(now: UInt64) -> Bool {
    // A clock that was set back must not keep the relay from asking for ever.
    if let asked, asked <= now, now - asked < pause { return false }
    asked = now
    return true
  }

  enum News: Equatable, Sendable {
    case none
    /// The first answer after a failure, or the first of all.
    case reached
    /// The first failure after an answer, or the first of all.
    case lost(KeySet.Fault)
  }

  /// Takes an answer in. A failure leaves the last good set in force: an issuer that is away for an hour must not lock
  /// everybody out, and who could silence it could not forge with the keys that it had.
  mutating func take(_ answer: Result<KeySet, KeySet.Fault>) -> News {
    switch answer {
    case .success(let fresh):
      let isNews = isFailing || set == nil
      (set, isFailing) = (fresh, false)
      return isNews ? .reached : .none
    case .failure(let fault):
      defer { isFailing = true }
      return isFailing ? .none : .lost(fault)
    }
  }
}
