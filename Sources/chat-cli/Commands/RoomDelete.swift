import ChatSDK

extension Command {
  static let roomDelete = Command(
    name: "room delete", parameters: ["ROOM"],
    summary: "end the room for all: messages and keys are erased, everywhere",
    options: [Option("yes", "do not ask")]
  ) { context in
    let name = context.arguments.positional[0]
    guard context.arguments.has("yes") else {
      throw Failure.usage(
        "this erases \(SafeText.line(name)) for every member", hint: "add --yes if that is what you want")
    }
    try await context.withRoom(name) { client, room in
      try await client.delete(room)
      context.output.print([("type", .string("deleted")), ("room", .string(room.id.text))], text: "deleted the room")
    }
  }
}
