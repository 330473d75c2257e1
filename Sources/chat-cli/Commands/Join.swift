import ChatSDK

extension Command {
  static let join = Command(
    name: "join", parameters: ["[CODE|ID]"],
    summary: "join by a link, or ask to come in by a code or a listed room's id",
    details: "A link is a secret: it is read from a file, a descriptor or the terminal, never from the command line.",
    options: [
      Option("link-file", value: "FILE", "the invite link is the first line of FILE"),
      Option("link-fd", value: "N", "the invite link is the first line of descriptor N"),
    ]
  ) { context in
    let word = context.arguments.positional.first
    if let word, word.contains("#") || word.contains("/") {
      throw Failure.usage(
        "a link does not belong on the command line, where others can read it",
        hint: "use --link-file FILE, or give it when `chat-cli join` asks")
    }
    try await context.withClient { client in
      guard let word else {
        let link = try InviteLink(
          try Secrets.text(try Secrets.read("link", prompt: "invite link: ", arguments: context.arguments)))
        let room = try await client.join(link)
        let name = await room.name
        context.output.print(
          [("type", .string("joined")), ("room", .string(room.id.text)), ("name", .string(name))],
          text: "you are now in \(SafeText.line(name))  \(room.id.text)")
        return
      }
      if let id = RoomID(text: word) { try await client.ask(room: id) } else { try await client.ask(code: word) }
      context.output.print(
        [("type", .string("asked"))], text: "asked; if there is such a room, an admin's answer comes with the next sync"
      )
    }
  }
}
