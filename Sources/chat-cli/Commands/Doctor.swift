import ChatSDK

extension Command {
  static let doctor = Command(
    name: "doctor", parameters: [],
    summary: "check store, session, relay and rooms, and say what was refused or could not be read",
    details: "Ends with exit code 0 where all is well, 8 where something could not be read or was refused."
  ) { context in
    try await context.withClient { client in
      func check(_ name: String, _ isGood: Bool, _ detail: String) {
        context.output.print(
          [("type", .string("check")), ("check", .string(name)), ("ok", .bool(isGood)), ("detail", .string(detail))],
          text: "\(isGood ? "ok  " : "BAD ") \(name): \(SafeText.line(detail))")
      }
      let account = await client.account
      check("store", true, "opens, and holds \(account.map { "the account " + $0.username } ?? "no account")")
      var problem: ChatError?
      do { try await client.sync() } catch let error as ChatError { problem = error }
      check(
        "relay", problem == nil, problem.map { "\($0.description); \($0.hint)" } ?? "answers, and the session is alive")
      for room in try await client.rooms() {
        check("room \(SafeText.line(room.name))", room.health == .good, room.health.rawValue)
      }
      let findings = try await client.diagnose()
      for finding in findings { context.output.print(Fields.finding(finding), text: Lines.finding(finding)) }
      if let problem { throw problem }
      if !findings.isEmpty {
        throw Failure(.undecryptable, "\(findings.count) findings", hint: "the lines above say what and where")
      }
    }
  }
}
