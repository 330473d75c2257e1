import ChatSDK

extension Command {
  static let roomRepair = Command(
    name: "room repair", parameters: ["ROOM"],
    summary: "make a room that stands still go on, as an admin",
    details: """
      A room stands still where a change was refused. Most are mended by the clients of its admins; a change that a later
      version of Kin might accept is left to you: this puts an empty change in its place. `chat-cli doctor` says what it was.
      """
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.repair()
      let health = await room.health
      context.output.print(
        [
          ("type", .string("room_repaired")), ("room", .string(room.id.text)), ("health", .string(health.rawValue)),
        ], text: health == .good ? "the room works" : "the room still stands still")
    }
  }
}
