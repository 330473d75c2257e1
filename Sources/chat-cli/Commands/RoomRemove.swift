import ChatSDK

extension Command {
  static let roomRemove = Command(
    name: "room remove", parameters: ["ROOM", "USERNAME..."],
    summary: "remove members, who can read nothing that is sent from then on"
  ) { context in
    try await context.changeMembers("removed") { room, usernames in try await room.remove(usernames) }
  }
}
