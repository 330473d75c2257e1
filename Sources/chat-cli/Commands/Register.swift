import ChatSDK

extension Command {
  static let register = Command(
    name: "register", parameters: ["[USERNAME]"],
    summary: "make an account at a relay, and its encrypted store in the data folder",
    details: """
      The store opens with a passphrase, asked for on the terminal, or with --key-file FILE, which is made if it is not
      there. Whoever has neither the passphrase nor the key file cannot read the store.

      Where the relay takes a team's single sign-on, --sso-token-file takes the place of the password, and the token says
      the username; give one only if it says none.
      """,
    options: [
      Option("relay", value: "URL", "the relay, as https://HOST (http:// for a relay on this machine)"),
      Option("device", value: "NAME", "what this device is called (else the host's name)"),
      Option("ca-file", value: "FILE", "a PEM file of certificates to trust instead of the system's"),
      Option("email", value: "ADDRESS", "an email address, to log in with as well"),
      Option("phone", value: "NUMBER", "a phone number, as +4412345678"),
      Option("display-name", value: "NAME", "what others see beside your messages"),
      Option("avatar", value: "URL", "an https URL of a picture that others see beside your messages"),
      Option("invite-token-file", value: "FILE", "the invitation's token is the first line of FILE"),
      Option("invite-token-fd", value: "N", "the invitation's token is the first line of descriptor N"),
      Option("password-file", value: "FILE", "the account's password is the first line of FILE"),
      Option("password-fd", value: "N", "the account's password is the first line of descriptor N"),
    ] + Secrets.signOnOptions
  ) { context in
    guard let relay = context.arguments["relay"] else {
      throw Failure.usage("which relay?", hint: "add --relay https://HOST")
    }
    guard try context.folder.readNote() == nil else {
      throw Failure.usage("this data folder holds an account already", hint: "give another with --data DIR")
    }
    let token = try Secrets.signOnToken(context.arguments)
    let username = context.arguments.positional.first
    let password: Password?
    if token == nil {
      guard let username else {
        throw Failure.usage("which username?", hint: "chat-cli register USERNAME, or --sso-token-file FILE")
      }
      let chosen = try Secrets.choose("password", prompt: "password for \(username): ", arguments: context.arguments)
      password = Password(try Secrets.text(chosen))
    } else {
      guard context.arguments["email"] == nil, context.arguments["phone"] == nil else {
        throw Failure.usage("--email and --phone go with a password, not with single sign-on")
      }
      password = nil
    }
    var details = RegistrationDetails(email: context.arguments["email"], phone: context.arguments["phone"])
    let (name, avatar) = (context.arguments["display-name"], context.arguments["avatar"])
    if name != nil || avatar != nil { details.profile = Profile(displayName: name ?? "", avatarURL: avatar ?? "") }
    details.invite = try Secrets.given("invite-token", arguments: context.arguments).map { token throws(Failure) in
      try Secrets.text(token)
    }
    let chosen = details
    try context.folder.create()
    try await context.withNewStore(relay: relay) { client in
      let account: Account
      if let token {
        account = try await client.register(with: token, as: username, details: chosen)
      } else if let username, let password {
        account = try await client.register(as: username, password: password, details: chosen)
      } else {
        throw Failure.usage("which username?")
      }
      context.output.print(Fields.account(account), text: "registered \(account.username) at \(account.relay)")
    }
  }
}
