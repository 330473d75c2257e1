import ChatSDK

extension Command {
  static let roomCreate = Command(
    name: "room create", parameters: ["[NAME]"],
    summary: "make a room with you as its owner, or the room of you and another",
    details: "Of two people there is one room of two: with --direct, it is opened if it exists.",
    options: [
      Option("direct", value: "USERNAME", "the room of the two of you, which has no name"),
      Option("policy", value: "POLICY", "who may come in uninvited: closed (else), ask or open"),
      Option("topic", value: "TEXT", "what the room is about"),
    ]
  ) { context in
    let arguments = context.arguments
    guard (arguments.positional.first == nil) == (arguments["direct"] != nil) else {
      throw Failure.usage("give either a NAME or --direct USERNAME")
    }
    try await context.withClient { client in
      let room: Room
      if let username = arguments["direct"] {
        try await context.catchUp(client)
        room = try await client.directRoom(with: username)
      } else {
        var settings = RoomSettings(name: arguments.positional[0], topic: arguments["topic"] ?? "")
        if let policy = arguments["policy"] { settings.joinPolicy = try RoomSet.policy(policy) }
        room = try await client.createRoom(settings)
      }
      let name = await room.name
      context.output.print(
        [("type", .string("room_created")), ("room", .string(room.id.text)), ("name", .string(name))],
        text: "created \(SafeText.line(name))  \(room.id.text)")
    }
  }
}
