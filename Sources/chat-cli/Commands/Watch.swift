import ChatSDK

extension Command {
  static let watch = Command(
    name: "watch", parameters: ["[ROOM]"],
    summary: "print what happens, in one room or all, until interrupted",
    details: "Begins with what arrived since this account was last connected.",
    options: [
      Option("count", value: "N", "end after N messages"),
      Option("long-poll", "use long polls even where a WebSocket could be had"),
    ]
  ) { context in
    let count = try context.arguments.number("count", in: 1...Int.max)
    let wanted = context.arguments.positional.first
    try await context.withConnectedClient { client, events in
      var seen = 0
      // A room stays the same one when it is renamed.
      var watched: Set<RoomID> = []
      if let wanted {
        if let room = try? await client.room(wanted) {
          watched.insert(room.id)
        } else {
          Terminal.diagnose("chat-cli: note: no such room here yet: \(SafeText.line(wanted))")
        }
      }
      for try await event in events {
        if let wanted, let id = event.room, !watched.contains(id) {
          guard await context.matches(id, wanted, of: client) else { continue }
          watched.insert(id)
        }
        context.show(event)
        if case .connection(.loggedOut) = event { throw ChatError(.sessionEnded) }
        if case .message = event { seen += 1 }
        if seen == count { return }
      }
    }
  }
}

extension Context {
  /// Whether the room with this id is the one that was named, by id or by name.
  fileprivate func matches(_ id: RoomID, _ wanted: String, of client: ChatClient) async -> Bool {
    if id.text == wanted { return true }
    // A room that was deleted has no name any more.
    guard let room = try? await client.room(id) else { return false }
    return await room.name == wanted
  }

  /// Prints an event; as text, the state of the connection is no data.
  func show(_ event: Event) {
    // A message has its turn in the room's order; that the relay has an own one is said before that.
    if case .sent = event { return }
    if output.isJSON {
      output.print(Fields.event(event), text: "")
    } else if case .connection = event {
      Terminal.diagnose(Lines.event(event))
    } else {
      output.print([], text: Lines.event(event))
    }
  }
}
