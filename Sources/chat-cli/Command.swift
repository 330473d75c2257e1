/// One command: all that the parser, the help and the tests know about it.
struct Command: Sendable {
  /// Its words, as in `room create`.
  var name: String
  /// What its positional arguments are called, `...` after one that repeats.
  var parameters: [String]
  var summary: String
  /// More for `help NAME`, or empty.
  var details: String = ""
  var options: [Option] = []
  var run: @Sendable (Context) async throws -> Void

  var usage: String { (["chat-cli", name] + parameters).joined(separator: " ") }

  /// How many positional arguments it takes.
  var arity: ClosedRange<Int> {
    let required = parameters.filter { !$0.hasPrefix("[") }.count
    return required...(parameters.last?.hasSuffix("...") == true ? Int.max : parameters.count)
  }

  /// Every command, in the order of the help.
  static let all: [Command] = [
    .register, .login, .logout, .whoami, .sessions, .sessionsLogout, .profile, .profileSet,
    .contacts, .contactsRequest, .contactsAccept, .contactsDecline, .contactsRemove, .contactsBlock, .contactsUnblock,
    .presence, .presenceSet, .rooms, .roomCreate, .roomInvite, .roomRemove, .roomRole, .roomLeave,
    .roomMembers,
    .roomStatus, .roomSet, .roomTopic, .roomRename, .roomBan, .roomUnban, .roomBanned, .roomTransfer, .roomDelete,
    .roomRepair, .roomCode,
    .roomLink, .join, .roomRequests, .roomAdmit, .roomRefuse, .roomPublish, .roomWithdraw, .roomSearch,
    .send, .history, .watch, .chat, .verify, .doctor,
  ]

  /// Options that every command takes.
  static let common: [Option] = [
    Option("data", value: "DIR", "the account's folder (else $KIN_DATA, else $XDG_DATA_HOME/kin)"),
    Option("passphrase-file", value: "FILE", "the store's passphrase is the first line of FILE"),
    Option("passphrase-fd", value: "N", "the store's passphrase is the first line of descriptor N"),
    Option("key-file", value: "FILE", "the store opens with this key instead of a passphrase"),
    Option("json", "print JSON, one object a line"),
    Option("help", "explain this command"),
  ]

  /// How this one is called; and if it was called with too much, the longer name that was perhaps meant.
  func misuse(_ positional: [String]) -> Failure {
    let longer = Self.group(name).map { String($0.name.dropFirst(name.count + 1)) }
    let nearest = positional.first.flatMap { Suggestion.nearest(to: $0, in: longer) }
    return Failure.usage(
      "\(name) is called as: \(usage)", hint: nearest.map { "did you mean `chat-cli \(name) \($0)`?" })
  }

  /// Those whose names have the word before another.
  static func group(_ word: String) -> [Command] { all.filter { $0.name.hasPrefix(word + " ") } }

  /// Whether the word is no command by itself, but the beginning of some.
  static func isGroup(_ word: String) -> Bool { !group(word).isEmpty && !all.contains { $0.name == word } }

  /// Finds the command that `words` begins with, and what follows its name.
  static func find(_ words: [String]) throws(Failure) -> (Command, [String]) {
    for count in [2, 1] where words.count >= count {
      let name = words.prefix(count).joined(separator: " ")
      if let command = all.first(where: { $0.name == name }) { return (command, Array(words.dropFirst(count))) }
    }
    let word = words.first ?? ""
    let groups = group(word)
    if !groups.isEmpty {
      let names = groups.map { $0.name.dropFirst(word.count + 1) }.joined(separator: ", ")
      let given = words.count > 1 ? words[1] : ""
      let nearest = Suggestion.nearest(to: given, in: groups.map { String($0.name.dropFirst(word.count + 1)) })
      throw Failure.usage(
        "\(word) needs one of: \(names)",
        hint: nearest.map { "did you mean `chat-cli \(word) \($0)`?" } ?? "`chat-cli help \(word)` explains them")
    }
    let known = Set(all.compactMap { $0.name.split(separator: " ").first.map(String.init) }).sorted()
    let nearest = Suggestion.nearest(to: word, in: known).map { "did you mean `chat-cli \($0)`?" }
    throw Failure.usage("there is no command \(word)", hint: nearest ?? "`chat-cli help` lists them")
  }
}
