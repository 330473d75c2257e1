import ChatSDK

extension Command {
  static let login = Command(
    name: "login", parameters: ["[NAME-OR-EMAIL]"],
    summary: "begin a new session for the account of this data folder",
    options: [
      Option("password-file", value: "FILE", "the account's password is the first line of FILE"),
      Option("password-fd", value: "N", "the account's password is the first line of descriptor N"),
    ]
  ) { context in
    try await context.withClient { client in
      guard let username = await client.account?.username else { throw ChatError(.notRegistered) }
      let password = try Secrets.read("password", prompt: "password for \(username): ", arguments: context.arguments)
      let account = try await client.login(
        as: context.arguments.positional.first ?? username, password: Password(try Secrets.text(password)))
      context.output.print(Fields.account(account), text: "logged in as \(account.username)")
    }
  }
}
