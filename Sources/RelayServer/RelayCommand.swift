/// What a command line asks `relay-server` to do.
package enum RelayCommand: Sendable {
  case run(RelayConfiguration)
  /// Settings are good: print the effective ones.
  case checkConfiguration(RelayConfiguration)
  case printConfigurationDocumentation
  case help
  case version

  package static let versionText = "0.1.0"

  /// Gathers the settings: flags win over variables, variables over the file, the file over the defaults.
  ///
  /// - Parameter readFile: gives the text of a file, or `nil` if it cannot be read.
  /// - Throws: ``ConfigurationError``, whose text names the key and its place, never its value.
  package static func parse(
    _ arguments: [String], environment: [String: String], readFile: (String) -> String?
  ) throws(ConfigurationError) -> RelayCommand {
    var flags: [(setting: RelaySetting, value: String)] = []
    var file = environment["KIN_RELAY_CONFIG"]
    var isCheck = false
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--help", "-h": return .help
      case "--version": return .version
      case "--print-config-doc": return .printConfigurationDocumentation
      case "--check-config": isCheck = true
      default:
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard argument.hasPrefix("--"), let name = parts.first?.dropFirst(2) else {
          throw ConfigurationError("unexpected argument: relay-server takes only flags (see --help)")
        }
        let setting = RelaySetting.named(name)
        guard setting != nil || name == "config" else { throw ConfigurationError("unknown flag --\(printable(name))") }
        guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
          throw ConfigurationError("--\(name) needs a value")
        }
        if let setting { flags.append((setting, value)) } else { file = value }
      }
    }

    var configuration = RelayConfiguration()
    if let file {
      guard let text = readFile(file) else { throw ConfigurationError("cannot read the configuration file") }
      try configuration.apply(file: text)
    }
    try configuration.apply(environment: environment)
    for (setting, value) in flags {
      guard setting.set(&configuration, value) else { throw ConfigurationError("\(setting.flag): not a valid value") }
    }
    guard (configuration.tlsCertificateFile == nil) == (configuration.tlsKeyFile == nil) else {
      throw ConfigurationError("tls-certificate and tls-key go together")
    }
    return isCheck ? .checkConfiguration(configuration) : .run(configuration)
  }

  package static var helpText: String {
    var text = """
      usage: relay-server [--config FILE] [--KEY VALUE ...]

      Relays end-to-end encrypted messages that it cannot read.

        --config FILE        read settings from FILE: lines of `key = value`, `#` begins a comment
        --check-config       check the settings, print what is in force, and exit
        --print-config-doc   print the table of settings as Markdown
        --version, --help

      Settings (flags win over variables, variables over the file):

      """
    for setting in RelaySetting.all {
      let value = setting.defaultText.isEmpty ? "" : " [\(setting.defaultText)]"
      text += "  \(setting.flag)\(value)\n      \(setting.documentation)\n"
    }
    return text
  }

  /// What came from outside, fit for a terminal.
  static func printable(_ text: some StringProtocol) -> String {
    String(decoding: text.utf8.prefix(64).map { $0 > 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}

/// Why settings are not usable: a text for the operator that holds no values.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

extension RelayConfiguration {
  /// Takes in a file of `key = value` lines.
  package mutating func apply(file text: String) throws(ConfigurationError) {
    var seen: Set<String> = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = RelaySetting.trim(line)
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      guard let equals = line.firstIndex(of: "=") else {
        throw ConfigurationError("line \(index + 1): not of the form `key = value`")
      }
      let name = RelaySetting.trim(line[..<equals])
      guard let setting = RelaySetting.named(name) else {
        throw ConfigurationError("line \(index + 1): unknown key \(RelayCommand.printable(name))")
      }
      guard seen.insert(name).inserted else { throw ConfigurationError("line \(index + 1): \(name) is set twice") }
      guard setting.set(&self, RelaySetting.trim(line[line.index(after: equals)...])) else {
        throw ConfigurationError("line \(index + 1): \(name) has no valid value")
      }
    }
  }

  /// Takes in the variables `KIN_RELAY_*`.
  package mutating func apply(environment: [String: String]) throws(ConfigurationError) {
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("KIN_RELAY_") && variable != "KIN_RELAY_CONFIG" {
      guard let setting = RelaySetting.all.first(where: { $0.variable == variable }) else {
        throw ConfigurationError("unknown variable \(RelayCommand.printable(variable))")
      }
      guard setting.set(&self, value) else { throw ConfigurationError("\(variable): not a valid value") }
    }
  }

  /// The settings in force, as a file that could be read again. None of them is a secret: those live in files.
  package var effectiveText: String {
    RelaySetting.all.map { "\($0.name) = \($0.get(self))\n" }.joined()
  }
}
