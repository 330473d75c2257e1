import ChatSDK

extension Command {
  static let roomRemove = Command(
    name: "room remove", parameters: ["ROOM", "USERNAME..."],
    summary: "remove members, who can read nothing that is sent from then on"
  ) { context in
    let usernames = Array(context.arguments.positional.dropFirst())
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.remove(usernames)
      context.output.print(
        [
          ("type", .string("removed")), ("room", .string(room.id.text)),
          ("usernames", .array(usernames.map { .string($0) })),
        ], text: "removed \(SafeText.line(usernames.joined(separator: ", ")))")
    }
  }
}
