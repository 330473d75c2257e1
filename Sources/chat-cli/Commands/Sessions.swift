import ChatSDK

extension Command {
  static let sessions = Command(
    name: "sessions", parameters: [],
    summary: "list the sessions of this account, on all devices"
  ) { context in
    try await context.withClient { client in
      for session in try await client.sessions() {
        context.output.print(
          [
            ("type", .string("session")), ("id", .string(session.id)), ("device", .string(session.device.text)),
            ("created", .number(session.created.millisecondsSince1970)),
            ("expires", .number(session.expires.millisecondsSince1970)), ("current", .bool(session.isCurrent)),
          ],
          text:
            "\(session.id)  since \(Lines.day(session.created))  device \(session.device.text)\(session.isCurrent ? "  (this one)" : "")"
        )
      }
    }
  }

  static let sessionsLogout = Command(
    name: "sessions logout", parameters: ["[SESSION]"],
    summary: "end one session, or all with --all; their connections close at once",
    options: [Option("all", "end every session of this account, this one too")]
  ) { context in
    let id = context.arguments.positional.first
    guard (id == nil) == context.arguments.has("all") else {
      throw Failure.usage("which session?", hint: "give its id, or --all")
    }
    try await context.withClient { client in
      if let id { try await client.endSession(id) } else { try await client.logoutEverywhere() }
      context.output.print(
        [("type", .string("session_ended")), ("session", .optional(id))],
        text: id.map { "ended \(SafeText.line($0))" } ?? "ended all sessions")
    }
  }
}
