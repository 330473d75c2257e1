#if DEBUG
/// What became of one case of a file of test vectors.
public enum Verdict: Equatable, Sendable {
  case passed
  /// What was found to be wrong, for people.
  case failed(String)
  /// Why the case was left out, for people.
  case skipped(String)
}

/// Why a case did not pass.
struct Finding: Error {
  let verdict: Verdict

  static func failed(_ what: String) -> Finding { Finding(verdict: .failed(what)) }
  /// The case is about something that is not offered here.
  static func skipped(_ why: String) -> Finding { Finding(verdict: .skipped(why)) }
}

func require(_ holds: Bool, _ what: @autoclosure () -> String) throws {
  guard holds else { throw Finding.failed(what()) }
}

/// Runs a check, and says what came of it.
func verdict(of check: () throws -> Void) -> Verdict {
  do {
    try check()
    return .passed
  } catch let finding as Finding {
    return finding.verdict
  } catch {
    return .failed("\(error)")
  }
}
#endif
