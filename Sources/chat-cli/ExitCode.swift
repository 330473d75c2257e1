/// What the program ends with: documented in `chat-cli help exit-codes`, and the same for ever.
enum ExitCode: Int32, CaseIterable {
  case done = 0
  case usage = 1
  case bug = 2
  case network = 3
  case trust = 4
  case refused = 5
  case notLoggedIn = 6
  case rateLimited = 7
  case undecryptable = 8
  case tryAgain = 75

  var meaning: String {
    switch self {
    case .done: "done"
    case .usage: "the command line is wrong, or what it names does not exist"
    case .bug: "a fault of chat-cli's own: please report it"
    case .network: "the relay cannot be reached"
    case .trust: "an identity changed or could not be proven; nothing was sent"
    case .refused: "the relay or the room refused"
    case .notLoggedIn: "no account in this data folder, or its session is over"
    case .rateLimited: "too many requests; wait as long as the error says"
    case .undecryptable: "the store or a message could not be decrypted"
    case .tryAgain: "busy or interrupted; the same command may work in a moment"
    }
  }

  var name: String {
    switch self {
    case .done: "done"
    case .usage: "usage"
    case .bug: "bug"
    case .network: "network"
    case .trust: "trust"
    case .refused: "refused"
    case .notLoggedIn: "not_logged_in"
    case .rateLimited: "rate_limited"
    case .undecryptable: "undecryptable"
    case .tryAgain: "try_again"
    }
  }
}
