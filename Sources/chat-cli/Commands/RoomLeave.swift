import ChatSDK

extension Command {
  static let roomLeave = Command(
    name: "room leave", parameters: ["ROOM"],
    summary: "end your membership; what you have of its history stays"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.leave()
      context.output.print([("type", .string("left")), ("room", .string(room.id.text))], text: "left the room")
    }
  }
}
