import ChatSDK
import Glibc
import Observability

/// Runs one command line and says how it ended. The name of a command and its options are all that it takes.
func run(_ words: [String]) async -> ExitCode {
  signal(SIGPIPE, SIG_IGN)
  var output = Output(isJSON: words.contains("--json"))
  do {
    guard let first = words.first, !["help", "--help", "-h"].contains(first) else {
      return try help(Array(words.dropFirst()))
    }
    if first == "--version" || first == "version" {
      output.print([("version", .string(Help.version))], text: "chat-cli \(Help.version)")
      return .done
    }
    if words.count == 2, ["--help", "-h"].contains(words[1]), Command.all.allSatisfy({ $0.name != first }) {
      return try help([first])
    }
    let (command, rest) = try Command.find(words)
    let arguments = try Arguments(rest, options: command.options + Command.common)
    output = Output(isJSON: arguments.has("json"))
    if arguments.has("help") {
      output.print([("help", .string(Help.text(for: command)))], text: Help.text(for: command))
      return .done
    }
    guard command.arity.contains(arguments.positional.count) else {
      throw command.misuse(arguments.positional)
    }
    try await command.run(
      Context(arguments: arguments, output: output, folder: try DataFolder(arguments: arguments)))
    return .done
  } catch {
    let failure = Failure(any: error)
    output.fail(failure)
    return failure.exit
  }
}

func help(_ words: [String]) throws(Failure) -> ExitCode {
  let text =
    switch words.first {
    case nil, "help", "--help", "-h": Help.overview
    case let word? where words.count == 1 && Command.isGroup(word): Help.group(word)
    case "exit-codes": Help.exitCodes
    case "secrets": Help.secrets
    default: Help.text(for: try Command.find(words).0)
    }
  Terminal.write(text + "\n", to: STDOUT_FILENO)
  return .done
}

extension Failure {
  init(any error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as ChatError: self.init(error)
    default: self.init(.bug, "something unexpected went wrong", hint: "please report it with the command's name")
    }
  }
}

CoreFile.forbid()
exit(await run(Array(CommandLine.arguments.dropFirst())).rawValue)
