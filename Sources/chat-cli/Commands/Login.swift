import ChatSDK

extension Command {
  static let login = Command(
    name: "login", parameters: ["[NAME-OR-EMAIL]"],
    summary: "begin a new session for the account of this data folder",
    options: [
      Option("password-file", value: "FILE", "the account's password is the first line of FILE"),
      Option("password-fd", value: "N", "the account's password is the first line of descriptor N"),
    ] + Secrets.signOnOptions
  ) { context in
    let token = try Secrets.signOnToken(context.arguments)
    guard token == nil || context.arguments.positional.isEmpty else {
      throw Failure.usage("a single sign-on token says itself who logs in: leave NAME-OR-EMAIL out")
    }
    try await context.withClient { client in
      if let token {
        let account = try await client.login(with: token)
        return context.output.print(Fields.account(account), text: "logged in as \(account.username)")
      }
      guard let username = await client.account?.username else { throw ChatError(.notRegistered) }
      let password = try Secrets.read("password", prompt: "password for \(username): ", arguments: context.arguments)
      let account = try await client.login(
        as: context.arguments.positional.first ?? username, password: Password(try Secrets.text(password)))
      context.output.print(Fields.account(account), text: "logged in as \(account.username)")
    }
  }
}
