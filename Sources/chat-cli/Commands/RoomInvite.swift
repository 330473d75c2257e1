import ChatSDK

extension Command {
  static let roomInvite = Command(
    name: "room invite", parameters: ["ROOM", "USERNAME..."],
    summary: "add users, who can read what is sent from then on"
  ) { context in
    try await context.changeMembers("invited") { room, usernames in try await room.invite(usernames) }
  }
}
