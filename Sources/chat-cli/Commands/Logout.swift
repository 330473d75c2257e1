import ChatSDK

extension Command {
  static let logout = Command(
    name: "logout", parameters: [],
    summary: "end the session; keys and history stay in the store"
  ) { context in
    try await context.withClient { client in
      try await client.logout()
      context.output.print([("type", .string("logged_out"))], text: "logged out")
    }
  }
}
