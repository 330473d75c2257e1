import ChatSDK

extension Command {
  static let roomCreate = Command(
    name: "room create", parameters: ["NAME"],
    summary: "make a room with you as its owner"
  ) { context in
    try await context.withClient { client in
      let name = context.arguments.positional[0]
      let room = try await client.createRoom(named: name)
      context.output.print(
        [("type", .string("room_created")), ("room", .string(room.id.text)), ("name", .string(name))],
        text: "created \(SafeText.line(name))  \(room.id.text)")
    }
  }
}
