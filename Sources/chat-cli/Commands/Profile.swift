import ChatSDK

extension Command {
  static let profile = Command(
    name: "profile", parameters: [],
    summary: "show what the relay keeps of this account"
  ) { context in
    try await context.withClient { client in
      let details = try await client.accountDetails()
      let rows = [
        ("display name", details.profile.displayName), ("avatar", details.profile.avatarURL),
        ("email", details.email ?? ""), ("phone", details.phone ?? ""), ("role", details.role),
        ("presence", details.showsPresence ? details.presence.rawValue : "not shown"),
      ]
      context.output.print(
        [
          ("type", .string("profile")), ("displayName", .string(details.profile.displayName)),
          ("avatarURL", .string(details.profile.avatarURL)), ("email", .optional(details.email)),
          ("phone", .optional(details.phone)), ("role", .string(details.role)),
          ("presence", .string(details.presence.rawValue)), ("presenceShown", .bool(details.showsPresence)),
        ],
        text: rows.map { "\($0.0): \($0.1.isEmpty ? "-" : SafeText.line($0.1))" }.joined(separator: "\n"))
    }
  }

  static let profileSet = Command(
    name: "profile set", parameters: [],
    summary: "change the name or avatar that others see beside your messages",
    options: [
      Option("display-name", value: "NAME", "what you want to be called; empty for none"),
      Option("avatar", value: "URL", "an https URL of a picture; empty for none"),
    ]
  ) { context in
    let (name, avatar) = (context.arguments["display-name"], context.arguments["avatar"])
    guard name != nil || avatar != nil else {
      throw Failure.usage("what is to change?", hint: "add --display-name NAME or --avatar URL")
    }
    try await context.withClient { client in
      var profile = try await client.accountDetails().profile
      profile.displayName = name ?? profile.displayName
      profile.avatarURL = avatar ?? profile.avatarURL
      try await client.setProfile(profile)
      context.output.print(
        [
          ("type", .string("profile_set")), ("displayName", .string(profile.displayName)),
          ("avatarURL", .string(profile.avatarURL)),
        ],
        text: "others see you as \(profile.displayName.isEmpty ? "your username" : SafeText.line(profile.displayName))"
      )
    }
  }
}
