import ChatSDK

extension Command {
  static let send = Command(
    name: "send", parameters: ["ROOM", "TEXT"],
    summary: "send a message; TEXT may be - for standard input",
    details: """
      It is on this device's disk, sealed, before it leaves: without a network it waits in the outbox and goes out, once,
      with the next command or connection.
      """,
    options: [Option("lines", "with -: send each line as a message of its own, as it comes")]
  ) { context in
    let text = context.arguments.positional[1]
    guard text == "-" || !context.arguments.has("lines") else { throw Failure.usage("--lines goes with -") }
    try await context.withRoom(context.arguments.positional[0]) { _, room in
      if context.arguments.has("lines") {
        for await line in InputLines.start() where !line.isEmpty { try await context.send(line, to: room) }
      } else if text == "-" {
        var input = try Terminal.readInput(limit: 64 << 10)
        if input.last == UInt8(ascii: "\n") { input.removeLast() }
        guard let message = String(validating: input, as: UTF8.self) else {
          throw Failure.usage("the message is not UTF-8 text")
        }
        try await context.send(message, to: room)
      } else {
        try await context.send(text, to: room)
      }
    }
  }
}

extension Context {
  fileprivate func send(_ text: String, to room: Room) async throws {
    guard !text.isEmpty else { throw Failure.usage("the message is empty") }
    let message = try await room.send(text)
    if message.state == .pending {
      Terminal.diagnose("chat-cli: note: the message waits in the outbox; do not send it again")
    }
    // People see what they typed; programs need the id and the place in the order.
    if output.isJSON { output.print(Fields.message(message), text: "") }
  }
}
