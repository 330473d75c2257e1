import ChatSDK

extension Command {
  static let roomMembers = Command(
    name: "room members", parameters: ["ROOM"],
    summary: "list the members, as the encrypted group has them"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      for member in try await room.members() {
        context.output.print(Fields.member(member), text: Lines.member(member))
      }
    }
  }
}
