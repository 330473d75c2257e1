import ChatSDK

extension Command {
  static let roomRequests = Command(
    name: "room requests", parameters: ["ROOM"], summary: "list who asks to come in"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      for request in try await room.requests() {
        context.output.print(
          Fields.joinRequest(request), text: "\(Lines.name(request.person)) since \(Lines.clock(request.since))")
      }
    }
  }

  static let roomAdmit = Command(
    name: "room admit", parameters: ["ROOM", "USERNAME"], summary: "let somebody in who asks"
  ) { context in
    try await context.changeMembers("admitted") { room, usernames in try await room.admit(usernames[0]) }
  }

  static let roomRefuse = Command(
    name: "room refuse", parameters: ["ROOM", "USERNAME"], summary: "forget somebody's request; they are not told"
  ) { context in
    try await context.changeMembers("refused") { room, usernames in try await room.refuse(usernames[0]) }
  }
}
