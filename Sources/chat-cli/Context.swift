import ChatSDK

/// What a command runs with.
struct Context: Sendable {
  let arguments: Arguments
  let output: Output
  let folder: DataFolder

  /// Makes the store of a new account and runs `body` with it.
  func withNewStore(relay: String, _ body: (ChatClient) async throws -> Void) async throws {
    let store: StoreLocation
    if let keyFile = arguments["key-file"] {
      store = .file(folder.store, keyFile: keyFile)
    } else {
      let chosen = try Secrets.choose(
        "passphrase", prompt: "passphrase for the store on this device: ", arguments: arguments)
      store = .file(folder.store, passphrase: Passphrase(try Secrets.text(chosen)))
    }
    var note = DataFolder.Note(relay: relay)
    let device = arguments["device"] ?? DataFolder.hostName
    let configuration = Configuration(
      relay: relay, store: store, deviceName: device, connection: .manual, trustedCertificates: arguments["ca-file"])
    try await ChatClient.withClient(configuration) { client in
      try await body(client)
      note.keyFile = try arguments["key-file"].map { path throws(Failure) in try DataFolder.absolute(path) }
      note.certificates = try arguments["ca-file"].map { path throws(Failure) in try DataFolder.absolute(path) }
      try folder.write(note)
    }
  }

  /// Opens the account of the data folder for one command, which fetches what it needs itself.
  func withClient(_ body: (ChatClient) async throws -> Void) async throws {
    try await ChatClient.withClient(try configuration(connection: .manual), body)
  }

  /// Opens the account of the data folder and keeps a connection while `body` runs.
  ///
  /// The events begin before the connection does, so that nothing is missed in between.
  func withConnectedClient(_ body: (ChatClient, Events) async throws -> Void) async throws {
    let connection: Configuration.Connection = arguments.has("long-poll") ? .longPollOnly : .automatic
    let client = try await ChatClient(try configuration(connection: connection))
    let events = client.events
    let running = Task { try await client.run() }
    do { try await body(client, events) } catch {
      running.cancel()
      await client.close()
      throw error
    }
    running.cancel()
    await client.close()
  }

  /// Opens the account, fetches what is new, and finds a room by name or id.
  func withRoom(_ nameOrID: String, _ body: (ChatClient, Room) async throws -> Void) async throws {
    try await withClient { client in try await body(client, try await room(nameOrID, of: client)) }
  }

  /// Does something to the users that stand behind the room on the command line, and says that it is done.
  func changeMembers(_ done: String, _ change: (Room, [String]) async throws -> Void) async throws {
    let usernames = Array(arguments.positional.dropFirst())
    try await withRoom(arguments.positional[0]) { _, room in
      try await change(room, usernames)
      output.print(
        [
          ("type", .string(done)), ("room", .string(room.id.text)),
          ("usernames", .array(usernames.map { .string($0) })),
        ], text: "\(done) \(SafeText.line(usernames.joined(separator: ", ")))")
    }
  }

  /// A room by name or id, after a look at the relay.
  ///
  /// An invitation that waits there becomes a room by this; without a network the rooms of the store remain.
  func room(_ nameOrID: String, of client: ChatClient) async throws -> Room {
    try await catchUp(client)
    return try await client.room(nameOrID)
  }

  /// Fetches what is new; without a network, says so and goes on with what is here.
  func catchUp(_ client: ChatClient) async throws {
    do { try await client.sync() } catch let error as ChatError where error.family == .network {
      Terminal.diagnose("chat-cli: note: the relay cannot be reached; working from what is here")
    }
  }

  private func configuration(connection: Configuration.Connection) throws(Failure) -> Configuration {
    guard folder.hasAccount, let note = try folder.readNote() else {
      throw Failure(.notLoggedIn, "there is no account in this data folder", hint: "`chat-cli register` makes one")
    }
    let store: StoreLocation
    if arguments["passphrase-file"] == nil, arguments["passphrase-fd"] == nil,
      let keyFile = arguments["key-file"] ?? note.keyFile
    {
      store = .file(folder.store, keyFile: keyFile)
    } else {
      let passphrase = try Secrets.read("passphrase", prompt: "passphrase of the store: ", arguments: arguments)
      store = .file(folder.store, passphrase: Passphrase(try Secrets.text(passphrase)))
    }
    return Configuration(
      relay: note.relay, store: store, connection: connection, trustedCertificates: note.certificates)
  }
}

extension Failure {
  /// The exit code and texts for an error of the SDK.
  init(_ error: ChatError) {
    let exit: ExitCode =
      switch error.family {
      case .usage: .usage
      case .network: .network
      case .trust: .trust
      case .refused: .refused
      case .login: .notLoggedIn
      case .rateLimited: .rateLimited
      case .cannotDecrypt: .undecryptable
      case .tryAgain: .tryAgain
      case .bug: .bug
      }
    let place = error.family == .bug ? " (\(error.file):\(error.line))" : ""
    self.init(exit, error.description + place, hint: Self.remedies[error.code] ?? error.hint)
    code = error.code.rawValue
    retryAfter = error.retryAfter
    isRetryable = error.isRetryable
  }

  /// Remedies that are commands here, where the library can only say what is to be done.
  static let remedies: [ChatError.Code: String] = [
    .alreadyRegistered: "`chat-cli login` begins a session of it; for another account, --data names another folder",
    .ambiguousRoom: "give the room's id instead: `chat-cli rooms` shows it",
    .banned: "an admin of the room can lift it with `chat-cli room unban`",
    .contactBlocked: "`chat-cli contacts unblock USERNAME` first",
    .identityChanged: "compare `chat-cli verify USERNAME` with them, then accept it with --accept-new",
    .identityUnknown: "`chat-cli register --sso-token-file FILE`, or ask the operator to link your account",
    .invitationInvalid: "give the operator's invitation by --invite-token-file FILE, or ask for a new one",
    .lastOwner: "`chat-cli room transfer ROOM USERNAME` first, or `chat-cli room delete ROOM` ends it for all",
    .noSuchContact: "`chat-cli contacts` lists them",
    .noSuchLink: "`chat-cli room link ROOM` lists them",
    .noSuchRequest: "`chat-cli room requests ROOM` lists them",
    .notInRoom: "`chat-cli room members ROOM` lists them",
    .notLoggedIn: "`chat-cli login` begins a session",
    .notRegistered: "`chat-cli register` makes one, or --data names the folder that has one",
    .roomClosed: "an admin can say `chat-cli room set ROOM policy ask`, or open, first",
    .roomNotFound: "`chat-cli rooms` lists them; a new invitation arrives with it",
    .roomStopped: "`chat-cli doctor` says why; an admin can make it go on by `chat-cli room repair ROOM`",
    .sessionEnded: "`chat-cli login` begins another; if that is refused, ask the relay's operator",
    .sessionNotFound: "`chat-cli sessions` lists them",
    .tlsFailed:
      "check its certificate and the URL; a certificate of your own authority is taken by `chat-cli register` with --ca-file",
    .webSocketRefused: "add --long-poll, or ask who runs the proxy between",
    .wrongPassphrase: "give the passphrase or key file that this folder was made with, or another folder by --data",
    .wrongRelay: "give the relay that the account was made at, or another folder by --data",
  ]
}
