/// What each verb does, and what it prints: values in this order, separated by tabs.
extension AdminVerb {
  /// For `relay-server admin --help`.
  static var helpText: String {
    all.map { verb in
      "  " + ([verb.name] + verb.parameters).joined(separator: " ") + (about[verb.name].map { "\n      \($0)" } ?? "")
    }.joined(separator: "\n")
  }

  private static let account = "username, id, role, state, email, phone, created, last seen"

  static let about: [String: String] = [
    "users list": "Prints \(account).",
    "users show": "The same of one: USER is a username, an email address or an id.",
    "users role": "ROLE is user, moderator or admin.",
    "users disable": "Ends all sessions; no login until `users enable`. Others see no such account.",
    "users enable": "Takes `users disable` or `users lock` back.",
    "users lock": "As disable; for whoever keeps two reasons apart.",
    "users delete": "As disable, and the name stays taken; until `users restore`.",
    "users restore": "Takes `users delete` back.",
    "users sessions": "Prints session, device, created, expires.",
    "users logout": "Ends all sessions, or that of --session, at once. Prints the account's id and how many.",
    "users identities": "Prints username, issuer, subject of single sign-on.",
    "users link": "Lets whom the issuer names by SUBJECT come in as USER. Prints as identities.",
    "users unlink": "Takes that away, and ends the account's sessions. Prints as logout.",
    "rooms list": "Prints id, members, epoch, entries, created. Names of rooms are not known here.",
    "rooms show": "The same of one.",
    "invites create":
      "Prints token, invitation, uses, expires. The token is shown only now: it is for `chat-cli register`.",
    "invites list": "Prints invitation, uses, used, created, expires, revoked.",
    "invites revoke": "Its token is good no more; accounts that it made stay.",
    "keys list": "Prints key, whether it signs, until when it verifies (-: as long as it signs).",
    "keys rotate": "Signs tokens with a new key from now on; nobody is logged out.",
    "audit": "Prints time, actor, act, subject; the newest first.",
  ]
}
