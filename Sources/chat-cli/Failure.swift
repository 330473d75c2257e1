/// Why a command failed: what is written to standard error, and the exit code that goes with it.
struct Failure: Error {
  var exit: ExitCode
  /// A stable word for programs.
  var code: String
  var message: String
  /// What the user can do about it.
  var hint: String?
  var isRetryable = false
  var retryAfter: Duration?

  init(_ exit: ExitCode, _ message: String, hint: String? = nil) {
    (self.exit, self.code, self.message, self.hint) = (exit, exit.name, message, hint)
  }

  static func usage(_ message: String, hint: String? = nil) -> Failure { Failure(.usage, message, hint: hint) }
}
