import ChatSDK

extension Command {
  static let roomBan = Command(
    name: "room ban", parameters: ["ROOM", "USERNAME..."], summary: "remove users and keep them out"
  ) { context in
    try await context.changeMembers("banned") { room, usernames in try await room.ban(usernames) }
  }

  static let roomUnban = Command(
    name: "room unban", parameters: ["ROOM", "USERNAME..."], summary: "lift a ban; nobody is a member by that"
  ) { context in
    try await context.changeMembers("unbanned") { room, usernames in try await room.unban(usernames) }
  }

  static let roomBanned = Command(
    name: "room banned", parameters: ["ROOM"], summary: "list who is banned"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      for person in try await room.banned() {
        context.output.print(
          [("type", .string("banned_user")), ("room", .string(room.id.text)), ("person", Fields.person(person))],
          text: Lines.name(person))
      }
    }
  }

  static let roomTransfer = Command(
    name: "room transfer", parameters: ["ROOM", "USERNAME"],
    summary: "make another member the owner; you are an admin from then on"
  ) { context in
    try await context.changeMembers("transferred to") { room, usernames in try await room.transfer(to: usernames[0]) }
  }
}
