import ChatSDK

extension Command {
  static let chat = Command(
    name: "chat", parameters: ["ROOM"],
    summary: "talk in a room: what you type is sent, what others say is shown",
    details: """
      A line that begins with / is a command: /members, /invite NAME, /remove NAME, /history, /help, /quit.
      A message that begins with a slash is typed with two.
      """,
    options: [
      Option("linger", value: "SECONDS", "stay this long after the end of standard input (else 0)"),
      Option("long-poll", "use long polls even where a WebSocket could be had"),
    ]
  ) { context in
    let linger = try context.arguments.number("linger", in: 0...86_400) ?? 0
    try await context.withConnectedClient { client, events in
      let room = try await context.room(context.arguments.positional[0], of: client)
      var shown: UInt64 = 0
      if !context.output.isJSON {
        for message in try await room.history(limit: 10) {
          context.output.print([], text: Lines.message(message))
          shown = max(shown, message.sequence ?? 0)
        }
        if Terminal.outputIsTerminal {
          Terminal.diagnose("* in \(SafeText.line(await room.name)): type a line to send it, /help for more")
        }
      }
      // On a terminal one's own lines stand there already.
      let own = context.output.isJSON || !Terminal.outputIsTerminal ? nil : await client.account?.id
      let (id, before) = (room.id, shown)
      try await withThrowingTaskGroup(of: Void.self) { group in
        defer { group.cancelAll() }
        group.addTask {
          for try await event in events where event.room == nil || event.room == id {
            if case .message(let message) = event, message.sender.id == own || message.sequence ?? .max <= before {
              continue
            }
            context.show(event)
            if case .connection(.loggedOut) = event { throw ChatError(.sessionEnded) }
          }
        }
        group.addTask {
          let conversation = Conversation(context: context, room: room)
          for await line in InputLines.start() where try await !conversation.take(line) { return }
          if linger > 0 { try await Task.sleep(for: .seconds(linger)) }
        }
        // Whoever is done first ends it: the person, or the session.
        try await group.next()
      }
    }
  }
}

/// What the lines that a person types into `chat` do.
private struct Conversation {
  let context: Context
  let room: Room

  /// Obeys one line; `false` ends the conversation. What fails is said, and the conversation goes on.
  func take(_ line: String) async throws -> Bool {
    guard !line.isEmpty else { return true }
    do {
      guard line.hasPrefix("/"), !line.hasPrefix("//") else {
        let message = try await room.send(line.hasPrefix("//") ? String(line.dropFirst()) : line)
        if message.state == .pending { Terminal.diagnose("* waiting for the relay") }
        return true
      }
      return try await command(line.dropFirst().split(separator: " ").map(String.init))
    } catch {
      context.output.fail(Failure(any: error))
      return true
    }
  }

  private func command(_ words: [String]) async throws -> Bool {
    let names = Array(words.dropFirst())
    switch words.first {
    case "quit", "q": return false
    case "members":
      for member in try await room.members() {
        context.output.print(Fields.member(member), text: Lines.member(member))
      }
    case "invite" where !names.isEmpty: try await room.invite(names)
    case "remove" where !names.isEmpty: try await room.remove(names)
    case "history":
      for message in try await room.history(limit: 50) {
        context.output.print(Fields.message(message), text: Lines.message(message))
      }
    default: Terminal.diagnose("* /members, /invite NAME, /remove NAME, /history, /quit; // begins a line with a slash")
    }
    return true
  }
}
