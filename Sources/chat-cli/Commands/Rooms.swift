import ChatSDK

extension Command {
  static let rooms = Command(
    name: "rooms", parameters: [],
    summary: "list the rooms, the one with the latest activity first"
  ) { context in
    try await context.withClient { client in
      try await context.catchUp(client)
      for room in try await client.rooms() { context.output.print(Fields.room(room), text: Lines.room(room)) }
    }
  }
}
