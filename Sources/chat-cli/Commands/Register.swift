import ChatSDK

extension Command {
  static let register = Command(
    name: "register", parameters: ["USERNAME"],
    summary: "make an account at a relay, and its encrypted store in the data folder",
    details: """
      The store opens with a passphrase, asked for on the terminal, or with --key-file FILE, which is made if it is not
      there. Whoever has neither the passphrase nor the key file cannot read the store.
      """,
    options: [
      Option("relay", value: "URL", "the relay, as https://HOST (http:// for a relay on this machine)"),
      Option("device", value: "NAME", "what this device is called (else the host's name)"),
      Option("ca-file", value: "FILE", "a PEM file of certificates to trust instead of the system's"),
      Option("password-file", value: "FILE", "the account's password is the first line of FILE"),
      Option("password-fd", value: "N", "the account's password is the first line of descriptor N"),
    ]
  ) { context in
    guard let relay = context.arguments["relay"] else {
      throw Failure.usage("which relay?", hint: "add --relay https://HOST")
    }
    guard !context.folder.hasAccount else {
      throw Failure.usage("this data folder holds an account already", hint: "give another with --data DIR")
    }
    let username = context.arguments.positional[0]
    let password = try Secrets.choose("password", prompt: "password for \(username): ", arguments: context.arguments)
    try context.folder.create()
    try await context.withNewStore(relay: relay) { client in
      let account = try await client.register(as: username, password: Password(try Secrets.text(password)))
      context.output.print(Fields.account(account), text: "registered \(account.username) at \(account.relay)")
    }
  }
}
