import CryptoPrimitives
public import RelayProtocol

/// One account on one device, at one relay.
public actor ChatClient {
  let context: ClientContext
  var roomsByID: [RoomID: Room] = [:]
  var isClosed = false
  /// Wakes ``run()`` when there is a session, or the set of rooms has changed.
  let nudges: AsyncStream<Void>
  let nudge: AsyncStream<Void>.Continuation
  let gate = Gate()
  /// What the relay has asked this client to look at, and whether it asked again since.
  var errands: [Errand: Bool] = [:]
  var poll: Task<PollResponse, any Error>?
  /// How far requests to come into rooms were looked at, and which of them were told of.
  var newestRequest: UInt64 = 0
  var toldRequests: Set<JoinRequested> = []

  /// Opens the client, runs it beside `body`, and closes everything when `body` is done or the task is cancelled.
  ///
  /// - Throws: whatever `body` throws; `wrongPassphrase`, `storeLocked`, `storeDamaged`, `invalidRelayURL`.
  public static func withClient<Result>(
    _ configuration: Configuration, _ body: (ChatClient) async throws -> Result
  ) async throws -> Result {
    try await withClient(configuration, environment: ClientEnvironment(), body)
  }

  package static func withClient<Result>(
    _ configuration: Configuration, environment: ClientEnvironment, _ body: (ChatClient) async throws -> Result
  ) async throws -> Result {
    let client = try await ChatClient(configuration, environment: environment)
    let run = Task { try await client.run() }
    return try await withTaskCancellationHandler {
      do {
        let result = try await body(client)
        run.cancel()
        await client.close()
        return result
      } catch {
        run.cancel()
        await client.close()
        throw error
      }
    } onCancel: {
      run.cancel()
    }
  }

  /// Opens the store, and nothing else: for those who call ``run()`` and ``close()`` themselves.
  public init(_ configuration: Configuration) async throws {
    try await self.init(configuration, environment: ClientEnvironment())
  }

  package init(_ configuration: Configuration, environment: ClientEnvironment) async throws {
    let transport = environment.wrapTransport(try NetworkTransport(configuration))
    let store = try await EncryptedStore(configuration.store, beforeWrite: environment.beforeWrite)
    do {
      context = try ClientContext(
        configuration: configuration, environment: environment, store: store, transport: transport)
      (nudges, nudge) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
      for record in try store.read({ try $0.all(RoomRecord.self) }) {
        roomsByID[record.room] = try Room(record, context: context)
      }
    } catch {
      store.close()
      throw ChatError(wrapping: error)
    }
  }

  /// Ends the connection and all sequences of events, and gives the store free.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    nudge.finish()
    poll?.cancel()
    await context.link?.end()
    context.hub.close()
    context.transport.close()
    context.store.close()
  }

  /// What happens in all rooms from now on; ends when the client closes.
  public nonisolated var events: Events { context.hub.events { _ in true } }

  // MARK: Account

  /// The account of this store; `nil` before ``register(as:password:)``.
  public var account: Account? {
    get async {
      guard let identity = context.optionalIdentity else { return nil }
      return Account(
        person: identity.person, device: identity.device.device, deviceName: identity.device.name,
        relay: context.configuration.relay, isLoggedIn: await context.session.isAlive)
    }
  }

  /// Makes an account at the relay with this device as its first.
  ///
  /// - Throws: `usernameTaken`, `invalidName`, `invalidPassword`, `registrationClosed`, `invitationInvalid`,
  ///   `alreadyRegistered`.
  @discardableResult
  public func register(
    as username: String, password: Password, details: RegistrationDetails = RegistrationDetails()
  ) async throws -> Account {
    try await chatErrors {
      guard Limits.isUsername(username) else { throw ChatError(.invalidName) }
      guard Limits.passwordLengths.contains(password.secret.count) else { throw ChatError(.invalidPassword) }
      guard context.optionalIdentity == nil else { throw ChatError(.alreadyRegistered) }
      let record = try prepareAccount(username)
      let response: SessionResponse
      do {
        response = try await context.api.register(
          RegisterRequest(
            username: username, password: password.text, email: details.email, phone: details.phone,
            profile: details.profile?.body, invite: details.invite, deviceList: record.deviceList))
      } catch let error as ChatError where error == ChatError(.usernameTaken) {
        // An earlier try may have reached the relay without its answer reaching us: then this device may log in.
        do {
          response = try await context.api.logIn(
            LoginRequest(login: username, password: password.text, device: record.device))
        } catch { throw ChatError(.usernameTaken) }
      }
      guard response.user == record.user, response.device == record.device else {
        throw ChatError(.usernameTaken)
      }
      return try await begin(response, record)
    }
  }

  /// The keys of the account to be: on disk before the relay hears of them.
  func prepareAccount(_ username: String) throws -> AccountRecord {
    let known = try context.store.read { try $0.decode(AccountRecord.self, AccountRecord.key) }
    if let known, known.username == username { return known }
    let record = try Identity.make(
      username: username, deviceName: context.configuration.deviceName, relay: context.configuration.relay,
      now: context.now)
    try context.store.write { try $0.save(record) }
    return record
  }

  func begin(_ response: SessionResponse, _ record: AccountRecord) async throws -> Account {
    var record = record
    record.isRegistered = true
    let identity = try Identity(record)
    let saved = record
    try context.store.write { try $0.save(saved) }
    try await context.session.begin(response)
    context.setIdentity(identity)
    // Without key packages nobody can invite this device; the next sync sees to it if this does not.
    try? await refillKeyPackages()
    nudge.yield()
    guard let account = await account else { throw ChatError(.internalError) }
    return account
  }

  /// Begins a new session for this store's account, by its name or its email address.
  ///
  /// - Throws: `invalidCredentials`, `notRegistered`: a store without an account cannot log in, since its keys are
  ///   nowhere else.
  @discardableResult
  public func login(as username: String, password: Password) async throws -> Account {
    try await chatErrors {
      guard let record = try context.store.read({ try $0.decode(AccountRecord.self, AccountRecord.key) }) else {
        throw ChatError(.notRegistered)
      }
      let response = try await context.api.logIn(
        LoginRequest(login: username, password: password.text, device: record.device))
      guard response.user == record.user, response.device == record.device else {
        throw ChatError(.identityInvalid, detail: "the relay knows this name as another account")
      }
      return try await begin(response, record)
    }
  }

  /// Ends the session.
  ///
  /// Keys and history stay in the store.
  public func logout() async throws {
    try await chatErrors {
      // The session ends here even where the relay cannot be told; there it runs out.
      try? await context.api.logOut()
      try await context.session.end()
      await context.link?.end()
    }
  }

  // MARK: Rooms

  /// Makes a room with this account as its owner.
  public func createRoom(named name: String) async throws -> Room {
    try await createRoom(RoomSettings(name: name))
  }

  /// Makes a room with these settings.
  ///
  /// - Throws: `invalidName` if the name is empty or a text too long.
  public func createRoom(_ settings: RoomSettings) async throws -> Room {
    let name = settings.name
    return try await chatErrors {
      guard !name.isEmpty, name.utf8.count <= RoomState.maxName else {
        throw ChatError(.invalidName, detail: "a room's name has 1 to \(RoomState.maxName) bytes")
      }
      let room = try await makeRoom(settings)
      roomsByID[room.id] = room
      await follow(room)
      return room
    }
  }

  /// The rooms of this account, the one with the latest activity first.
  public func rooms() async throws -> [RoomSummary] {
    try await chatErrors {
      var summaries: [RoomSummary] = []
      for room in roomsByID.values { summaries.append(try await room.summary()) }
      return summaries.sorted {
        ($0.lastActivity?.millisecondsSince1970 ?? 0, $0.id.text) > (
          $1.lastActivity?.millisecondsSince1970 ?? 0, $1.id.text
        )
      }
    }
  }

  /// A room by its id or its name.
  ///
  /// - Throws: `roomNotFound`; `ambiguousRoom`, whose `detail` lists the ids.
  public func room(_ nameOrID: String) async throws -> Room {
    if let id = RoomID(nameOrID), let room = roomsByID[id] { return room }
    var found: [(room: Room, isGood: Bool)] = []
    for room in roomsByID.values where await room.name == nameOrID {
      found.append((room, await room.isInUse))
    }
    // A room that was left is in nobody's way, and neither is a room of two that the other one left.
    if found.contains(where: \.isGood) { found.removeAll { !$0.isGood } }
    guard let first = found.first else { throw ChatError(.roomNotFound, detail: nameOrID) }
    guard found.count == 1 else {
      throw ChatError(.ambiguousRoom, detail: found.map(\.room.id.text).sorted().joined(separator: ", "))
    }
    return first.room
  }

  public func room(_ id: RoomID) async throws -> Room {
    guard let room = roomsByID[id] else { throw ChatError(.roomNotFound) }
    return room
  }

  // MARK: Trust

  /// The safety number with a user.
  ///
  /// Asks the relay for the identity, so that a change is seen before it is compared.
  public func safetyNumber(with username: String) async throws -> SafetyNumber {
    try await chatErrors { try await Trust(context: context).safetyNumber(with: username) }
  }

  /// Remembers that the safety numbers were compared and equal.
  public func markVerified(_ username: String) async throws {
    try await chatErrors { try await Trust(context: context).markVerified(username) }
  }

  /// Accepts the new identity of a user whose account key has changed.
  ///
  /// It is not verified by that.
  public func acceptNewIdentity(of username: String) async throws {
    try await chatErrors { try await Trust(context: context).acceptNewIdentity(of: username) }
  }

  /// What is not as it should be, and what was refused: the newest first.
  public func diagnose() async throws -> [Finding] {
    try await chatErrors { try context.store.read { try $0.findings(limit: 1000) } }
  }
}

extension Password {
  /// For the one request that carries it; JSON has no secrets.
  var text: String { secret.withBytes { String(decoding: $0, as: UTF8.self) } }
}
