import RelayProtocol

/// A verb of `relay-server` besides `serve`: it does one thing with the relay's store and ends.
///
/// To add one, make a static member and put it into ``all``: parsing, help and exit codes follow from what stands there.
package struct Subcommand: Sendable {
  /// `--NAME VALUE`, or `--NAME` alone where no value is named.
  package struct Option: Sendable {
    let name: String
    let value: String?
    let documentation: String
    let isRequired: Bool

    init(_ name: String, _ value: String? = nil, _ documentation: String, isRequired: Bool = false) {
      (self.name, self.value, self.documentation, self.isRequired) = (name, value, documentation, isRequired)
    }
  }

  package let name: String
  /// The words that it takes before its options, such as `users|rooms list`; empty for none.
  let words: String
  let summary: String
  let options: [Option]
  let body: @Sendable (Call) async throws(SubcommandFailure) -> Void

  /// - Parameter body: does the work. What it prints goes to standard output and is data only; what it throws goes to
  ///   standard error.
  init(
    _ name: String, words: String = "", _ summary: String, options: [Option] = [],
    body: @escaping @Sendable (Call) async throws(SubcommandFailure) -> Void
  ) {
    (self.name, self.words, self.summary, self.options, self.body) = (name, words, summary, options, body)
  }

  /// Every verb but `serve`.
  package static let all: [Subcommand] = [.admin, .backup, .restore, .schema]

  package static func named(_ name: some StringProtocol) -> Subcommand? { all.first { $0.name == name } }

  /// Does it. Returns the process's exit code, and gives what went wrong to `complain`.
  package func run(_ call: Call, complain: (String) -> Void) async -> Int32 {
    do {
      try await body(call)
      return 0
    } catch {
      complain("relay-server \(name): error: \(error.text)\n")
      if let hint = error.hint { complain("hint: \(hint)\n") }
      return error.exitCode
    }
  }

  package var helpText: String {
    var text = "usage: relay-server \(name)"
    if !words.isEmpty { text += " \(words)" }
    for option in options {
      let usage = "--\(option.name)" + (option.value.map { " \($0)" } ?? "")
      text += option.isRequired ? " \(usage)" : " [\(usage)]"
    }
    text += " [--config FILE] [--KEY VALUE ...]\n\n\(summary)\n\n"
    for option in options {
      text += "  --\(option.name)\(option.value.map { " \($0)" } ?? "")\n      \(option.documentation)\n"
    }
    return text + "\nThe settings are those of the relay: relay-server --help lists them.\n"
  }
}

extension Subcommand {
  /// What stood on the command line, and where to write.
  package struct Call: Sendable {
    package let configuration: RelayConfiguration
    /// What stood between the name and the options, such as `users`, `list`.
    package let words: [String]
    private let values: [String: String]
    private let output: @Sendable (String) -> Void

    package init(
      configuration: RelayConfiguration, words: [String] = [], values: [String: String] = [:],
      output: @escaping @Sendable (String) -> Void = { Swift.print($0, terminator: "") }
    ) {
      (self.configuration, self.words, self.values, self.output) = (configuration, words, values, output)
    }

    /// The same, with its output elsewhere.
    package func writing(_ output: @escaping @Sendable (String) -> Void) -> Call {
      Call(configuration: configuration, words: words, values: values, output: output)
    }

    /// Whether `--name` was given.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// The value of `--name`, if it was given.
    func value(_ name: String) -> String? { values[name] }

    /// The value of `--name`.
    ///
    /// - Throws: a failure of usage when it was not given.
    func required(_ name: String) throws(SubcommandFailure) -> String {
      guard let value = values[name], !value.isEmpty else {
        throw SubcommandFailure("--\(name) is missing", exitCode: SubcommandFailure.usage)
      }
      return value
    }

    /// Writes a line of data to standard output. A name that a user chose goes through ``RelayCommand/printable(_:)``.
    func print(_ line: String) { output(line + "\n") }
  }
}

/// Why a subcommand did not do what it was asked, for the operator at the terminal. The text holds no secret.
package struct SubcommandFailure: Error, Sendable, CustomStringConvertible {
  /// The command line is wrong.
  static let usage: Int32 = 1
  /// Our bug.
  static let bug: Int32 = 2
  /// A folder, a file, a database or an address cannot be used.
  static let environment: Int32 = 3
  /// It was understood and refused: the account does not exist, the backup is damaged.
  static let refused: Int32 = 5

  let text: String
  let hint: String?
  let exitCode: Int32

  init(_ text: String, hint: String? = nil, exitCode: Int32) {
    (self.text, self.hint, self.exitCode) = (text, hint, exitCode)
  }

  /// A refusal or failure of the store's.
  init(_ error: RelayError) {
    let exitCode =
      switch error.code {
      case .internalError: Self.bug
      case .unavailable: Self.environment
      default: Self.refused
      }
    self.init("\(error.title)", hint: error.remedy.map { "\($0)" }, exitCode: exitCode)
  }

  package var description: String { text }
}
