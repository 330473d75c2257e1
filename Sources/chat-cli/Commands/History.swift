import ChatSDK

extension Command {
  static let history = Command(
    name: "history", parameters: ["ROOM"],
    summary: "show messages in the room's order, the newest last",
    options: [
      Option("limit", value: "N", "at most N messages (else 50)"),
      Option("before", value: "SEQUENCE", "only messages before this place in the order"),
    ]
  ) { context in
    let limit = try context.arguments.number("limit", in: 1...100_000) ?? 50
    let before = try context.arguments.number("before", in: 1...Int.max).map { UInt64($0) }
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      for message in try await room.history(before: before, limit: limit) {
        context.output.print(Fields.message(message), text: Lines.message(message))
      }
      try await room.markRead()
    }
  }
}
