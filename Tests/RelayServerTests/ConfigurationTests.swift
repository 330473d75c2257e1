import Networking
import Testing

@testable import RelayServer

struct ConfigurationTests {
  static func run(
    _ arguments: [String], _ environment: [String: String] = [:], file: String? = nil
  ) throws -> RelayConfiguration {
    switch try RelayCommand.parse(arguments, environment: environment, readFile: { $0 == "relay.conf" ? file : nil }) {
    case .serve(let configuration), .checkConfiguration(let configuration): return configuration
    default: throw Refusal(code: "not a run")
    }
  }

  static func error(_ arguments: [String], _ environment: [String: String] = [:], file: String? = nil) -> String {
    do {
      _ = try run(arguments, environment, file: file)
      return "none"
    } catch { return "\(error)" }
  }

  @Test func flagsWinOverVariablesWinOverTheFile() throws {
    let file = """
      # a comment

      listen = 127.0.0.1:1
      data = from file
      log-level=debug
      access-token-lifetime = 5m
      """
    var configuration = try Self.run(
      ["--config", "relay.conf", "--listen=[::1]:3"],
      ["KIN_RELAY_LISTEN": "127.0.0.1:2", "KIN_RELAY_DATA": "from env"],
      file: file)
    #expect(configuration.host == "::1" && configuration.port == 3)
    #expect(configuration.dataDirectory == "from env" && configuration.accessTokenLifetime == .seconds(300))
    configuration = try Self.run([], ["KIN_RELAY_CONFIG": "relay.conf", "HOME": "/"], file: file)
    #expect(configuration.port == 1 && configuration.dataDirectory == "from file")
  }

  @Test func namesThePlaceOfAMistakeAndNotTheValue() {
    let config = ["--config", "relay.conf"]
    #expect(Self.error(config, file: "listen = 127.0.0.1:1\n\nbogus = 1") == "relay.conf, line 3: unknown key bogus")
    #expect(Self.error(config, file: "loops = many") == "relay.conf, line 1: loops: not a valid value")
    #expect(Self.error(config, file: "loops = 1\nloops = 2") == "relay.conf, line 2: loops is set twice")
    #expect(Self.error(config, file: "loops") == "relay.conf, line 1: not of the form `key = value`")
    #expect(Self.error(config) == "cannot read the configuration file")
    #expect(Self.error([], ["KIN_RELAY_BOGUS": "x"]) == "unknown variable KIN_RELAY_BOGUS")
    #expect(Self.error([], ["KIN_RELAY_LOOPS": "hunter2"]) == "KIN_RELAY_LOOPS: not a valid value")
    #expect(Self.error(["--bogus", "x"]) == "unknown flag --bogus")
    #expect(Self.error(["--\u{1b}[31m"]) == "unknown flag --?[31m")
    #expect(Self.error(["--listen"]) == "--listen needs a value")
    #expect(Self.error(["--registration", "maybe"]) == "--registration: not a valid value")
    #expect(Self.error(["--tls-key", "x"]) == "--tls-key: tls-certificate and tls-key go together")
    #expect(Self.error(["stray"]) == "unknown command stray")
    #expect(Self.error(["chek-config"]) == "unknown command chek-config (did you mean check-config?)")
    #expect(
      Self.error(["--postgres-service", "kin"]).hasPrefix("--postgres-service: a PostgreSQL database is named, but"))
    #expect(Self.error(["--redis-user", "kin"]).hasSuffix("but no redis-address"))
    #expect(Self.error(["sevre"]) == "unknown command sevre (did you mean serve?)")
    #expect(Self.error(["serve", "stray"]).hasPrefix("unexpected argument"))
    #expect(Self.error(["--lisetn", "x"]) == "unknown flag --lisetn (did you mean --listen?)")
    #expect(Self.error(config, file: "loop = 1") == "relay.conf, line 1: unknown key loop (did you mean loops?)")
    #expect(
      Self.error([], ["KIN_RELAY_LOG_LEVLE": "x"])
        == "unknown variable KIN_RELAY_LOG_LEVLE (did you mean KIN_RELAY_LOG_LEVEL?)")
    for value in ["", ":", "localhost", "127.0.0.1", "127.0.0.1:65536", "::1:80", ":80", "127.0.0.1:-1"] {
      #expect(Self.error(["--listen", value]) == "--listen: not a valid value", "\(value)")
    }
    for value in ["", "a\"b", "a\\b", "a\nb", "\u{e9}"] {
      #expect(Self.error(["--audience", value]) == "--audience: not a valid value", "\(value)")
    }
    for value in ["10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.1 10.0.0.2", "*", "10.0.0.1,x"] {
      #expect(Self.error(["--trusted-proxies", value]) == "--trusted-proxies: not a valid value", "\(value)")
    }
    for value in [
      "*", "null", "kin.example", "https://", "https://kin.example/", "https://*.example", "https://Kin.example",
      "https://kin.example:443", "http://kin.example:80", "https://kin.example https://b.example",
      "https://a.example,*",
    ] {
      #expect(Self.error(["--allowed-origins", value]) == "--allowed-origins: not a valid value", "\(value)")
    }
    for value in ["", "0", "1y", "-1s", "99999999999999999999d", "9223372036854775807d"] {
      #expect(Self.error(["--session-lifetime", value]) == "--session-lifetime: not a valid value", "\(value)")
    }
  }

  /// Who mends one mistake at a time starts the relay as often as there are mistakes.
  @Test func namesAllMistakesAtOnce() throws {
    let file = """
      listen = nowhere
      lops = 2
      not a setting
      redis-user = kin
      tls-kye = key.pem
      tls-certificate = /nonexistent/certificate.pem
      external-issuer = https://sso.example
      """
    do {
      _ = try Self.run(
        ["--config", "relay.conf", "--retenton", "5d", "--idle-timeout", "x"], ["KIN_RELAY_LOOPS": "many"], file: file)
      Issue.record("taken")
    } catch let error as ConfigurationError {
      #expect(
        error.mistakes.map(\.text) == [
          "unknown flag --retenton (did you mean --retention?)",
          "relay.conf, line 1: listen: not a valid value",
          "relay.conf, line 2: unknown key lops (did you mean loops?)",
          "relay.conf, line 3: not of the form `key = value`",
          "relay.conf, line 5: unknown key tls-kye (did you mean tls-key?)",
          "KIN_RELAY_LOOPS: not a valid value",
          "--idle-timeout: not a valid value",
          // Not that tls-key is missing: it was perhaps meant in line 5.
          "relay.conf, line 4: there are settings for Redis, but no redis-address",
          "relay.conf, line 7: external-issuer needs external-audience",
          "relay.conf, line 7: external-issuer needs external-jwks-file or external-jwks-url, one of them",
        ])
      // What the settings name is looked at in the same breath.
      #expect(
        error.partial?.fileFindings.map(\.text) == [
          "relay.conf, line 6: tls-certificate: there is no such file"
        ])
      let withoutHint = error.mistakes.filter { $0.hint == nil }.map(\.text)
      #expect(withoutHint.allSatisfy { $0.contains("unknown") }, "\(withoutHint)")
    }
    // A file that cannot be read leaves open what stands in it.
    #expect(Self.error(["--config", "none", "--tls-key", "x"]) == "cannot read the configuration file")
  }

  /// Whatever key it is given to, and by whichever way: others can read flags and variables, and a file is shown around.
  @Test func refusesPasswordsAndDoesNotRepeatThem() {
    let values = [
      "postgres://kin:hunter2@db/kin", "host=db password=hunter2", "host=db PASSWORD = hunter2", "https://a:hunter2@b",
    ]
    for (value, setting) in values.flatMap({ value in RelaySetting.all.map { (value, $0) } }) {
      let errors = [
        Self.error([setting.flag, value]), Self.error([], [setting.variable: value]),
        Self.error(["--config", "relay.conf"], file: "\(setting.name) = \(value)"),
      ]
      for error in errors {
        #expect(
          error.hasSuffix("holds a password; secrets stand only in files of their own"), "\(setting.name): \(error)")
        #expect(!error.contains("hunter2"))
      }
    }
    #expect(Self.error(["--data", "https://a.example:8443/@x:y"]) == "none")
  }

  /// What `--check-config` prints means the same when it is read again, for every setting.
  @Test func printsWhatItReads() throws {
    let arguments = [
      "--listen", "[::1]:8", "--data", "d", "--tls-certificate", "c", "--tls-key", "k", "--loops", "3",
      "--registration", "closed", "--allowed-origins", "https://a.example, https://b.example", "--log-format", "json",
      "--trusted-proxies", "127.0.0.1, ::1,10.0.0.0/8", "--minimum-rate", "100", "--head-timeout", "3s",
      "--session-lifetime", "2d",
    ]
    let configuration = try Self.run(arguments)
    #expect(
      try Self.run(["--config", "relay.conf"], file: configuration.effectiveText).effectiveText
        == configuration.effectiveText)
    #expect(configuration.allowedOrigins == ["https://a.example", "https://b.example"])
    #expect(configuration.trustedProxies.map(\.description) == ["127.0.0.1", "::1", "10.0.0.0/8"])
    #expect(try Self.run([]).effectiveText == RelayConfiguration().effectiveText)
    #expect(Set(RelaySetting.all.map(\.name)).count == RelaySetting.all.count)
    for setting in RelaySetting.all {
      #expect(RelaySetting.markdown.contains("`\(setting.variable)`") && setting.documentation.hasSuffix("."))
      #expect(RelayCommand.helpText.contains(setting.flag))
    }
  }

  @Test func knowsItsOtherCommands() throws {
    guard case .help = try RelayCommand.parse(["--help"], environment: [:], readFile: { _ in nil }),
      case .version = try RelayCommand.parse(["--version"], environment: [:], readFile: { _ in nil }),
      case .printConfigurationDocumentation = try RelayCommand.parse(
        ["--print-config-doc"], environment: [:], readFile: { _ in nil }),
      case .checkConfiguration = try RelayCommand.parse(["--check-config"], environment: [:], readFile: { _ in nil }),
      case .checkConfiguration(let checked) = try RelayCommand.parse(
        ["check-config", "--loops", "3"], environment: [:], readFile: { _ in nil }),
      case .version = try RelayCommand.parse(["version"], environment: [:], readFile: { _ in nil })
    else {
      Issue.record("a command is not known")
      return
    }
    #expect(checked.loops == 3)
    func help(_ words: String...) throws -> String {
      guard case .help(let text) = try RelayCommand.parse(["help"] + words, environment: [:], readFile: { _ in nil })
      else { return "none" }
      return text
    }
    #expect(try help() == RelayCommand.helpText)
    for subcommand in Subcommand.all { #expect(try help(subcommand.name) == subcommand.helpText) }
    for setting in RelaySetting.all {
      #expect(try help(setting.name).contains(setting.variable) && help(setting.flag) == help(setting.name))
    }
    #expect(throws: ConfigurationError.self) { try help("nothing") }
  }
}
