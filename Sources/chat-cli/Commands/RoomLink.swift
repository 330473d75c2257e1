import ChatSDK

extension Command {
  static let roomLink = Command(
    name: "room link", parameters: ["ROOM", "[new|revoke]", "[ID]"],
    summary: "list, make or end links by which others join at once",
    details: "Whoever has a link can come in: give it by a way that you trust. It is printed once, and can be revoked.",
    options: [
      Option("for", value: "TIME", "how long a new link is good: 60m, 12h, 7d (else until it is revoked)"),
      Option("uses", value: "N", "how many may join by a new link (else as many as come)"),
    ]
  ) { context in
    let words = context.arguments.positional
    let uses = try context.arguments.number("uses", in: 1...1_000_000)
    var lifetime: Duration?
    if let text = context.arguments["for"] { lifetime = .seconds(try RoomSet.seconds(text)) }
    let action = words.count > 1 ? words[1] : "list"
    guard ["list", "new", "revoke"].contains(action) else { throw Failure.usage("say new or revoke, or nothing") }
    let time = lifetime
    try await context.withRoom(words[0]) { _, room in
      switch action {
      case "new":
        let link = try await room.newLink(lifetime: time, uses: uses)
        context.output.print(
          [("type", .string("link")), ("id", .string(link.id)), ("link", .string(link.text))], text: link.text)
      case "revoke":
        try await room.revokeLinks(words.count > 2 ? words[2] : nil)
        context.output.print(
          [("type", .string("link_revoked")), ("room", .string(room.id.text))],
          text: words.count > 2 ? "the link is good no more" : "no link is good any more")
      default:
        for invite in try await room.links() {
          let uses = invite.uses.map { " of \($0)" } ?? ""
          context.output.print(
            [
              ("type", .string("invite")), ("id", .string(invite.id)), ("madeBy", Fields.person(invite.madeBy)),
              ("expires", invite.expires.map { .number($0.millisecondsSince1970) } ?? .null),
              ("uses", invite.uses.map { .number($0) } ?? .null), ("used", .number(invite.used)),
            ], text: "\(invite.id)  by \(Lines.name(invite.madeBy)), used \(invite.used)\(uses)")
        }
      }
    }
  }
}
