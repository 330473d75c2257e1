import ChatSDK

extension Command {
  static let rooms = Command(
    name: "rooms", parameters: [],
    summary: "list the rooms, the one with the latest activity first"
  ) { context in
    try await context.withClient { client in
      do { try await client.sync() } catch let error as ChatError where error.family == .network {
        Terminal.diagnose("chat-cli: note: the relay cannot be reached; showing what is here")
      }
      for room in try await client.rooms() { context.output.print(Fields.room(room), text: Lines.room(room)) }
    }
  }
}
