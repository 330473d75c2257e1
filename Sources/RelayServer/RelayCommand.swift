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
  /// - Throws: ``ConfigurationError`` with every mistake: each names the key and its place, never its value.
  package static func parse(
    _ arguments: [String], environment: [String: String], readFile: (String) -> String?
  ) throws(ConfigurationError) -> RelayCommand {
    var rest = arguments[...]
    var line = Line()
    var reader = ConfigurationReader()
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
      default:
        reader.attempt { reader throws(ConfigurationError) in try line.take(argument, &rest, subcommand) }
      }
    }

    if let file = line.file ?? environment["KIN_RELAY_CONFIG"] {
      reader.attempt { reader throws(ConfigurationError) in
        guard let text = readFile(file) else {
          throw ConfigurationError(
            "cannot read the configuration file",
            hint:
              "--config or KIN_RELAY_CONFIG names it: is it there, may this user read it, is it text of less than 1 MiB?",
            // What stands in it is not known.
            keys: Set(RelaySetting.all.map(\.name)))
        }
        reader.take(file: text, named: file)
      }
    }
    reader.take(environment: environment)
    for (setting, value) in line.settings {
      reader.take(setting, value, at: SettingOrigin(source: nil, name: setting.flag))
    }
    reader.finish(credentials: environment["CREDENTIALS_DIRECTORY"])
    let configuration = reader.configuration
    guard reader.mistakes.isEmpty else {
      throw ConfigurationError(reader.mistakes, partial: subcommand == nil ? configuration : nil)
    }
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
        // What follows is its value, and no mistake of its own.
        if parts.count == 1, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
        throw ConfigurationReader.unknown("unknown flag ", name, among: names, prefix: "--")
      }
      if let option, option.value == nil {
        guard parts.count == 1 else { throw ConfigurationError("--\(name) takes no value") }
        options[option.name] = ""
        return
      }
      guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
        throw ConfigurationError("--\(name) needs a value", keys: [String(name)])
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
  static func printable(_ text: some StringProtocol, limit: Int = 64) -> String {
    String(decoding: text.utf8.prefix(limit).map { $0 >= 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}

extension RelayConfiguration {
  /// The settings in force, as a file that could be read again. None of them is a secret: those live in files.
  package var effectiveText: String {
    RelaySetting.all.map { "\($0.name) = \($0.get(self))\n" }.joined()
  }
}
