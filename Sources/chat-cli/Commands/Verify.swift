import ChatSDK

extension Command {
  static let verify = Command(
    name: "verify", parameters: ["USERNAME"],
    summary: "show the safety number with a user, to compare by another way",
    details: """
      Both of you see the same 60 digits if nobody stands between. Compare them by voice or in person, then run this with
      --confirm. Ends with exit code 4 while the user's identity has changed and the change was not accepted.
      """,
    options: [
      Option("confirm", "the numbers were compared and are equal: remember it"),
      Option("accept-new", "go on with a changed identity, which is then unverified"),
    ]
  ) { context in
    let username = context.arguments.positional[0]
    try await context.withClient { client in
      if context.arguments.has("accept-new") { try await client.acceptNewIdentity(of: username) }
      if context.arguments.has("confirm") { try await client.markVerified(username) }
      let number = try await client.safetyNumber(with: username)
      let state = number.hasChanged ? "CHANGED" : number.isVerified ? "verified" : "not verified"
      let rows = stride(from: 0, to: number.groups.count, by: 4).map {
        "  " + number.groups[$0..<min($0 + 4, number.groups.count)].joined(separator: " ")
      }
      context.output.print(
        [
          ("type", .string("safety_number")), ("person", Fields.person(number.person)),
          ("digits", .string(number.digits)), ("verified", .bool(number.isVerified)),
          ("changed", .bool(number.hasChanged)),
        ],
        text: "safety number with \(Lines.name(number.person)) (\(state)):\n" + rows.joined(separator: "\n"))
      if number.hasChanged { throw ChatError(.identityChanged, detail: username) }
    }
  }
}
