import ChatSDK

extension Command {
  static let roomCode = Command(
    name: "room code", parameters: ["ROOM", "[new|revoke]"],
    summary: "show, draw or end the code by which others can ask to come in",
    details: "A code lets nobody in: an admin admits, or in an open room any member's client.",
    options: [
      Option("for", value: "TIME", "how long a new code is good: 60m, 12h, 7d (else 1d)"),
      Option("uses", value: "N", "how many may ask by a new code (else 100)"),
    ]
  ) { context in
    let words = context.arguments.positional
    let uses = try context.arguments.number("uses", in: 1...1000) ?? 100
    let time = try RoomSet.seconds(context.arguments["for"] ?? "1d")
    let action = words.count > 1 ? words[1] : "show"
    guard ["show", "new", "revoke"].contains(action) else { throw Failure.usage("say new or revoke, or nothing") }
    try await context.withRoom(words[0]) { _, room in
      switch action {
      case "new": context.show(try await room.newCode(lifetime: .seconds(time), uses: uses))
      case "revoke":
        try await room.revokeCode()
        context.output.print(
          [("type", .string("code_revoked")), ("room", .string(room.id.text))], text: "the code is good no more")
      default:
        guard let code = try await room.code() else {
          throw Failure(.refused, "the room has no code", hint: "`chat-cli room code ROOM new` draws one")
        }
        context.show(code)
      }
    }
  }
}

extension Context {
  fileprivate func show(_ code: RoomCode) {
    output.print(
      [
        ("type", .string("code")), ("code", .string(code.code)),
        ("expires", .number(code.expires.millisecondsSince1970)), ("uses", .number(code.uses)),
      ], text: "\(code.code.prefix(3))-\(code.code.suffix(3))  good for \(code.uses) more")
  }
}
