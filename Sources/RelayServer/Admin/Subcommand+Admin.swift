import Glibc
import Observability

extension Subcommand {
  /// Administration, through the running relay if there is one and else on its store, which is locked meanwhile.
  static let admin = Subcommand(
    "admin", words: "WORDS",
    """
    Administers accounts, rooms, invitations and token keys:
    \(AdminVerb.helpText)
    """,
    options: [
      Option("json", nil, "Print JSON objects, one a line."),
      Option("limit", "N", "List at most N."),
      Option("after", "USERNAME", "users list: begin behind this name."),
      Option("state", "STATE", "users list: only active, disabled, locked or deleted accounts."),
      Option("session", "NUMBER", "users logout: only this session."),
      Option("uses", "N", "invites create: how many accounts it makes [1]."),
      Option("hours", "N", "invites create: how long it is good for [168]."),
    ]
  ) { call async throws(SubcommandFailure) in
    guard !call.words.isEmpty else {
      throw SubcommandFailure(
        "which command?", hint: "relay-server admin --help lists them", exitCode: SubcommandFailure.usage)
    }
    // Before any store is opened: a mistake at the command line changes nothing.
    _ = try AdminVerb.find(call.words)
    var request = AdminRequest(words: call.words, values: [:])
    for name in ["json", "limit", "after", "state", "session", "uses", "hours"] {
      if let value = call.value(name) { request.values[name] = value }
    }
    let answer: AdminAnswer
    if let given = try AdminSocket.ask(request, folder: call.configuration.dataDirectory) {
      answer = given
    } else {
      answer = try await answerAlone(request, call.configuration)
    }
    for line in answer.lines { call.print(line) }
    if let error = answer.error { throw SubcommandFailure(error, hint: answer.hint, exitCode: answer.exitCode) }
  }

  private static func answerAlone(
    _ request: AdminRequest, _ configuration: RelayConfiguration
  ) async throws(SubcommandFailure) -> AdminAnswer {
    let data = configuration.dataDirectory
    guard access(data, F_OK) == 0 else {
      throw SubcommandFailure(
        "there is no data folder", hint: "give the relay's own settings, such as --data",
        exitCode: SubcommandFailure.environment)
    }
    let store: any RelayStore
    let keys: TokenKeyRing
    do throws(RelayError) {
      keys = try TokenKeyRing(file: data + "/token-keys")
      store = try configuration.openStore(metrics: Metrics())
    } catch { throw SubcommandFailure(error) }
    let admin = Admin(
      store: store, bus: nil, keys: keys, tokenLifetime: configuration.accessTokenLifetime.wholeMilliseconds,
      now: Relay.wallClock)
    let answer = await admin.answer(request, actor: "uid \(getuid())")
    await store.close()
    return answer
  }
}
