import Glibc

/// What a command prints: data on standard output, one JSON object a line under `--json`, else text for people.
struct Output: Sendable {
  let isJSON: Bool

  /// Prints one result in the form that was asked for. Every JSON object carries the version of its shape.
  func print(_ fields: [(String, JSON)], text: @autoclosure () -> String) {
    if isJSON {
      Terminal.write(JSON.object([("v", .int(1))] + fields).text + "\n", to: STDOUT_FILENO)
    } else {
      Terminal.write(text() + "\n", to: STDOUT_FILENO)
    }
  }

  func fail(_ failure: Failure) {
    if isJSON {
      let fields: [(String, JSON)] = [
        ("code", .string(failure.code)), ("exit", .number(failure.exit.rawValue)),
        ("message", .string(failure.message)), ("hint", .optional(failure.hint)),
        ("retryable", .bool(failure.isRetryable)),
        ("retryAfterSeconds", failure.retryAfter.map { .number($0.components.seconds) } ?? .null),
      ]
      let error = JSON.object([("v", .int(1)), ("error", .object(fields))])
      Terminal.write(error.text + "\n", to: STDERR_FILENO)
    } else {
      Terminal.diagnose("chat-cli: error: " + failure.message)
      if let hint = failure.hint { Terminal.diagnose("hint: " + hint) }
    }
  }
}
