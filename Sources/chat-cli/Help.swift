/// The texts of `chat-cli help`, made from the table of commands.
enum Help {
  static let version = "0.1.0"

  static var overview: String {
    let width = Command.all.map(\.name.count).max() ?? 0
    let lines = list(Command.all)
    return """
      chat-cli: end-to-end encrypted group chat for the terminal

      usage: chat-cli COMMAND [ARGUMENT ...] [--OPTION ...]

      \(lines.joined(separator: "\n"))
        \(pad("help", to: width))  explain a command, or: exit-codes, secrets

      A first conversation:
        chat-cli register alice --relay https://relay.example
        chat-cli room create Garden && chat-cli room invite Garden bob
        echo Hello | chat-cli send Garden -
      """
  }

  /// The commands that begin with the word.
  static func group(_ word: String) -> String {
    "usage: chat-cli \(word) COMMAND [ARGUMENT ...] [--OPTION ...]\n\n"
      + list(Command.group(word)).joined(separator: "\n")
      + "\n\n`chat-cli \(word) COMMAND --help` says more."
  }

  private static func list(_ commands: [Command]) -> [String] {
    let width = commands.map(\.name.count).max() ?? 0
    return commands.map { "  " + pad($0.name, to: width) + "  " + $0.summary }
  }

  static func text(for command: Command) -> String {
    let options = command.options + Command.common
    let width = options.map { label($0).count }.max() ?? 0
    let lines = options.map { "  " + pad(label($0), to: width) + "  " + $0.help }
    let details = command.details.isEmpty ? "" : "\n\n" + command.details
    return "usage: \(command.usage) [--OPTION ...]\n\n\(command.summary)\(details)\n\noptions:\n"
      + lines.joined(separator: "\n") + also(command)
  }

  /// Commands whose names begin with this one's.
  private static func also(_ command: Command) -> String {
    let longer = Command.group(command.name)
    return longer.isEmpty ? "" : "\n\nalso:\n" + list(longer).joined(separator: "\n")
  }

  static var exitCodes: String {
    ExitCode.allCases.map { pad(String($0.rawValue), to: 3) + " " + $0.meaning }.joined(separator: "\n")
  }

  static let secrets = """
    Passwords and passphrases are never arguments or environment variables: others on the machine could read them.
    chat-cli asks on the terminal, or takes them from elsewhere:

      --password-file FILE, --password-fd N        the account's password, for register and login
      --sso-token-file FILE, --sso-token-fd N      a single sign-on token instead; FILE may be - for standard input
      --passphrase-file FILE, --passphrase-fd N    the passphrase of the local store
      --key-file FILE                              a key instead of a passphrase; made, with mode 0600, by register

    A secret is the first line of its file or descriptor. Where a store opens with a key file, its path is remembered in
    the data folder, so that later commands need no option. Keep that file elsewhere than the data folder.
    """

  private static func label(_ option: Option) -> String {
    "--" + option.name + (option.value.map { " " + $0 } ?? "")
  }

  private static func pad(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
