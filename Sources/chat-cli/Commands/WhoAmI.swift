import ChatSDK

extension Command {
  static let whoami = Command(
    name: "whoami", parameters: [],
    summary: "show the account and device of this data folder"
  ) { context in
    try await context.withClient { client in
      guard let account = await client.account else { throw ChatError(.notRegistered) }
      let state = account.isLoggedIn ? "logged in" : "logged out"
      context.output.print(
        Fields.account(account),
        text: "\(account.username) on \(SafeText.line(account.deviceName)) at \(account.relay), \(state)")
    }
  }
}
