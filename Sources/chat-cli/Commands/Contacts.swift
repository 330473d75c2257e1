import ChatSDK

extension Command {
  static let contacts = Command(
    name: "contacts", parameters: [],
    summary: "list contacts, requests and blocked users",
    options: [Option("state", value: "STATE", "only requested, received, accepted or blocked ones")]
  ) { context in
    let wanted = context.arguments["state"]
    guard wanted == nil || wanted.flatMap(Contact.State.init(rawValue:)) != nil else {
      throw Failure.usage("STATE is requested, received, accepted or blocked")
    }
    try await context.withClient { client in
      var contacts: [Contact]
      do { contacts = try await client.contacts() } catch let error as ChatError where error.family == .network {
        Terminal.diagnose("chat-cli: note: the relay cannot be reached; these are the contacts as last known")
        contacts = try await client.knownContacts()
      }
      for contact in contacts where wanted == nil || contact.state.rawValue == wanted {
        context.output.print(
          [
            ("type", .string("contact")), ("person", Fields.person(contact.person)),
            ("state", .string(contact.state.rawValue)),
          ], text: "\(Lines.name(contact.person)) (\(contact.state.rawValue))")
      }
    }
  }

  static let contactsRequest = contact("request", "requested", "ask somebody to be a contact; no text goes with it") {
    try await $0.requestContact($1)
  }
  static let contactsAccept = contact("accept", "accepted", "accept a request") { try await $0.acceptContact($1) }
  static let contactsDecline = contact("decline", "declined", "decline a request; nobody is told") {
    try await $0.declineContact($1)
  }
  static let contactsRemove = contact("remove", "removed", "end a contact, or take a request back") {
    try await $0.removeContact($1)
  }
  static let contactsBlock = contact(
    "block", "blocked", "keep somebody from asking, inviting and seeing presence; they are not told"
  ) { try await $0.block($1) }
  static let contactsUnblock = contact("unblock", "unblocked", "end a block") { try await $0.unblock($1) }

  private static func contact(
    _ verb: String, _ done: String, _ summary: String,
    _ change: @escaping @Sendable (ChatClient, String) async throws -> Void
  ) -> Command {
    Command(name: "contacts \(verb)", parameters: ["USERNAME"], summary: summary) { context in
      let username = context.arguments.positional[0]
      try await context.withClient { client in
        try await change(client, username)
        context.output.print(
          [("type", .string("contact_\(done)")), ("username", .string(username))],
          text: "\(done) \(SafeText.line(username))")
      }
    }
  }
}
