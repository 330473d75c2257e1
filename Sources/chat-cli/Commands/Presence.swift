import ChatSDK

extension Command {
  static let presence = Command(
    name: "presence", parameters: [],
    summary: "show who of the contacts and room mates is there"
  ) { context in
    try await context.withClient { client in
      for presence in try await client.presence() {
        context.output.print(Fields.presence(presence), text: Lines.presence(presence))
      }
    }
  }

  static let presenceSet = Command(
    name: "presence set", parameters: ["STATUS"],
    summary: "show online, away, busy or offline while connected, or with `hidden` nothing at all"
  ) { context in
    let word = context.arguments.positional[0]
    let status = Presence.Status(rawValue: word)
    guard status != nil || word == "hidden" else {
      throw Failure.usage("STATUS is online, away, busy, offline or hidden")
    }
    try await context.withClient { client in
      try await client.setPresence(status ?? .offline, isShown: status != nil)
      context.output.print(
        [("type", .string("presence_set")), ("status", .string(word))],
        text: "others see you as \(word) while connected")
    }
  }
}
