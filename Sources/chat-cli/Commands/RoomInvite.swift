import ChatSDK

extension Command {
  static let roomInvite = Command(
    name: "room invite", parameters: ["ROOM", "USERNAME..."],
    summary: "add users, who can read what is sent from then on"
  ) { context in
    let usernames = Array(context.arguments.positional.dropFirst())
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.invite(usernames)
      context.output.print(
        [
          ("type", .string("invited")), ("room", .string(room.id.text)),
          ("usernames", .array(usernames.map { .string($0) })),
        ], text: "invited \(SafeText.line(usernames.joined(separator: ", ")))")
    }
  }
}
