import ChatSDK

extension Command {
  static let roomPublish = Command(
    name: "room publish", parameters: ["ROOM"],
    summary: "show the room's name and topic to everybody at the relay"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.publish()
      context.output.print([("type", .string("published")), ("room", .string(room.id.text))], text: "published")
    }
  }

  static let roomWithdraw = Command(
    name: "room withdraw", parameters: ["ROOM"], summary: "take the room out of the relay's directory"
  ) { context in
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      try await room.withdraw()
      context.output.print([("type", .string("withdrawn")), ("room", .string(room.id.text))], text: "withdrawn")
    }
  }

  static let roomSearch = Command(
    name: "room search", parameters: ["[TEXT]"],
    summary: "list rooms of the relay's directory whose name holds TEXT",
    options: [Option("limit", value: "N", "at most N rooms (else 50)")]
  ) { context in
    let text = context.arguments.positional.first ?? ""
    let limit = try context.arguments.number("limit", in: 1...10_000) ?? 50
    try await context.withClient { client in
      var (left, next): (Int, String?) = (limit, nil)
      repeat {
        let page = try await client.searchRooms(text, after: next, limit: min(left, 50))
        for room in page.rooms {
          context.output.print(
            [
              ("type", .string("public_room")), ("room", .string(room.id.text)), ("name", .string(room.name)),
              ("topic", .string(room.topic)), ("members", .number(room.memberCount)),
              ("joinPolicy", .string(room.joinPolicy.rawValue)),
            ],
            text: "\(SafeText.line(room.name)) (\(room.memberCount), \(room.joinPolicy.rawValue))  \(room.id.text)"
              + (room.topic.isEmpty ? "" : "\n    \(SafeText.line(room.topic))"))
        }
        left -= page.rooms.count
        next = page.next
      } while left > 0 && next != nil
    }
  }
}
