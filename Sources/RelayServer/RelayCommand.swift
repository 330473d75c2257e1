/// What a command line asks `relay-server` to do.
package enum RelayCommand: Sendable {
  case serve(RelayConfiguration)
  /// A verb of its own, with all that it was given.
  case perform(Subcommand, Subcommand.Call)
  /// Settings are good: print the effective ones.
  case checkConfiguration(RelayConfiguration)
  case printConfigurationDocumentation
  case printOpenAPI
  case help(String)
  case version

  package static let versionText = "0.1.0"

  /// Gathers the settings: flags win over variables, variables over the file, the file over the defaults.
  ///
  /// - Parameter readFile: gives the text of a file, or `nil` if it cannot be read.
  /// - Throws: ``ConfigurationError``, whose text names the key and its place, never its value.
  package static func parse(
    _ arguments: [String], environment: [String: String], readFile: (String) -> String?
  ) throws(ConfigurationError) -> RelayCommand {
    var rest = arguments[...]
    var line = Line()
    switch rest.first {
    case "help": return .help(try help(about: rest.dropFirst().first))
    case "version": return .version
    case "serve": rest.removeFirst()
    case "check-config":
      rest.removeFirst()
      line.isCheck = true
    default: break
    }
    let subcommand = rest.startIndex == arguments.startIndex ? try subcommand(&rest) : nil
    while let argument = rest.popFirst() {
      switch argument {
      case "--help", "-h": return .help(subcommand?.helpText ?? helpText)
      case "--version" where subcommand == nil: return .version
      case "--print-config-doc" where subcommand == nil: return .printConfigurationDocumentation
      case "--print-openapi" where subcommand == nil: return .printOpenAPI
      case "--check-config" where subcommand == nil: line.isCheck = true
      default: try line.take(argument, &rest, subcommand)
      }
    }

    var configuration = RelayConfiguration()
    if let file = line.file ?? environment["KIN_RELAY_CONFIG"] {
      guard let text = readFile(file) else {
        throw ConfigurationError(
          "cannot read the configuration file",
          hint:
            "--config or KIN_RELAY_CONFIG names it: is it there, may this user read it, is it text of less than 1 MiB?")
      }
      try configuration.apply(file: text)
    }
    try configuration.apply(environment: environment)
    for (setting, value) in line.settings { try setting.take(value, into: &configuration, at: setting.flag) }
    try configuration.findCredentials(in: environment["CREDENTIALS_DIRECTORY"])
    try configuration.checkCompanions()
    if let subcommand {
      let call = Subcommand.Call(configuration: configuration, words: line.words, values: line.options)
      return .perform(subcommand, call)
    }
    return line.isCheck ? .checkConfiguration(configuration) : .serve(configuration)
  }

  /// The verb, if one stands first.
  private static func subcommand(_ rest: inout ArraySlice<String>) throws(ConfigurationError) -> Subcommand? {
    guard let name = rest.first, !name.hasPrefix("-") else { return nil }
    rest.removeFirst()
    guard let subcommand = Subcommand.named(name) else { throw unknown(command: name) }
    return subcommand
  }

  private static func unknown(command name: String) -> ConfigurationError {
    let names = ["serve", "check-config", "help", "version"] + Subcommand.all.map(\.name)
    return ConfigurationError(
      "unknown command \(printable(name))\(Nearest.question(name, among: names))",
      hint: "relay-server help lists the commands and the settings")
  }

  /// The help on a command or a setting, or on all.
  private static func help(about topic: String?) throws(ConfigurationError) -> String {
    guard let topic, topic != "serve", topic != "check-config" else { return helpText }
    if let subcommand = Subcommand.named(topic) { return subcommand.helpText }
    if let setting = RelaySetting.named(topic.hasPrefix("--") ? topic.dropFirst(2) : topic[...]) {
      return "\(setting.explanation)\nFlag \(setting.flag), variable \(setting.variable)"
        + (setting.defaultText.isEmpty ? "" : ", default \(setting.defaultText)")
    }
    throw unknown(command: topic)
  }

  /// What was read from the command line so far.
  private struct Line {
    var settings: [(setting: RelaySetting, value: String)] = []
    var options: [String: String] = [:]
    var words: [String] = []
    var file: String?
    var isCheck = false

    mutating func take(
      _ argument: String, _ rest: inout ArraySlice<String>, _ subcommand: Subcommand?
    ) throws(ConfigurationError) {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard argument.hasPrefix("--"), let name = parts.first?.dropFirst(2) else {
        guard let subcommand, !subcommand.words.isEmpty else {
          throw ConfigurationError("unexpected argument: only flags can stand here (see --help)")
        }
        words.append(argument)
        return
      }
      let option = subcommand?.options.first { $0.name == name }
      let setting = option == nil ? RelaySetting.named(name) : nil
      guard option != nil || setting != nil || name == "config" else {
        let names = RelaySetting.all.map(\.name) + ["config"] + (subcommand?.options.map(\.name) ?? [])
        throw ConfigurationError(
          "unknown flag --\(printable(name))\(Nearest.question(name, among: names, prefix: "--"))")
      }
      if let option, option.value == nil {
        guard parts.count == 1 else { throw ConfigurationError("--\(name) takes no value") }
        options[option.name] = ""
        return
      }
      guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
        throw ConfigurationError("--\(name) needs a value")
      }
      if let option {
        options[option.name] = value
      } else if let setting {
        settings.append((setting, value))
      } else {
        file = value
      }
    }
  }

  package static var helpText: String {
    var text = """
      usage: relay-server [serve] [--config FILE] [--KEY VALUE ...]
             relay-server check-config [--config FILE] [--KEY VALUE ...]
             relay-server help [COMMAND|KEY]

      Relays end-to-end encrypted messages that it cannot read.

        --config FILE        read settings from FILE: lines of `key = value`, `#` begins a comment
        --check-config       as check-config: check the settings and the files that they name, print what is in force, and exit
        --print-config-doc   print the table of settings as Markdown
        --print-openapi      print the OpenAPI document of the HTTP interface
        --version, --help


      """
    if !Subcommand.all.isEmpty {
      text += "Commands (relay-server COMMAND --help says more):\n\n"
      for subcommand in Subcommand.all { text += "  \(subcommand.name)\n      \(subcommand.summary)\n" }
      text += "\n"
    }
    text += "Settings (flags win over variables, variables over the file):\n\n"
    for setting in RelaySetting.all {
      let value = setting.defaultText.isEmpty ? "" : " [\(setting.defaultText)]"
      text += "  \(setting.flag)\(value)\n      \(setting.documentation)\n"
    }
    return text
  }

  /// What came from outside, fit for a terminal.
  static func printable(_ text: some StringProtocol) -> String {
    String(decoding: text.utf8.prefix(64).map { $0 >= 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}

/// Why settings are not usable: a text for the operator that holds no values.
package struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
  package let description: String
  /// What helps, if it is more than the list of all settings.
  package let hint: String?
  init(_ description: String, hint: String? = nil) { (self.description, self.hint) = (description, hint) }
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
        let question = Nearest.question(name, among: RelaySetting.all.map(\.name))
        throw ConfigurationError("line \(index + 1): unknown key \(RelayCommand.printable(name))\(question)")
      }
      guard seen.insert(name).inserted else { throw ConfigurationError("line \(index + 1): \(name) is set twice") }
      let value = RelaySetting.trim(line[line.index(after: equals)...])
      try setting.take(value, into: &self, at: "line \(index + 1): \(name)")
    }
  }

  /// Refuses settings that mean nothing without others: what was forgotten would otherwise be noticed too late.
  fileprivate func checkCompanions() throws(ConfigurationError) {
    guard (tlsCertificateFile == nil) == (tlsKeyFile == nil) else {
      throw ConfigurationError("tls-certificate and tls-key go together")
    }
    guard postgresURLFile == nil || postgresService == nil else {
      throw ConfigurationError("postgres-url-file and postgres-service exclude each other")
    }
    guard store == .postgres || (postgresURLFile == nil && postgresService == nil) else {
      throw ConfigurationError(
        "a PostgreSQL database is named, but the store is sqlite", hint: "set store = postgres, or remove its address")
    }
    guard redisAddress != nil || (redisPasswordFile == nil && redisAuthoritiesFile == nil && redisUser.isEmpty) else {
      throw ConfigurationError("there are settings for Redis, but no redis-address", hint: "set redis-address")
    }
  }

  /// Takes in the variables `KIN_RELAY_*`.
  package mutating func apply(environment: [String: String]) throws(ConfigurationError) {
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("KIN_RELAY_") && variable != "KIN_RELAY_CONFIG" {
      guard let setting = RelaySetting.all.first(where: { $0.variable == variable }) else {
        let question = Nearest.question(variable, among: RelaySetting.all.map(\.variable))
        throw ConfigurationError("unknown variable \(RelayCommand.printable(variable))\(question)")
      }
      try setting.take(value, into: &self, at: variable)
    }
  }

  /// The settings in force, as a file that could be read again. None of them is a secret: those live in files.
  package var effectiveText: String {
    RelaySetting.all.map { "\($0.name) = \($0.get(self))\n" }.joined()
  }
}
