public import RelayProtocol

/// One account on one device, at one relay.
public actor ChatClient {
  /// Opens the client, runs it beside `body`, and closes everything when `body` is done or the task is cancelled.
  ///
  /// - Throws: whatever `body` throws; `wrongPassphrase`, `storeLocked`, `storeDamaged`, `invalidRelayURL`.
  public static func withClient<Result>(
    _ configuration: Configuration, _ body: (ChatClient) async throws -> Result
  ) async throws -> Result {
    throw ChatError(.internalError)
  }

  /// Opens the store, and nothing else: for those who call ``run()`` and ``close()`` themselves.
  public init(_ configuration: Configuration) async throws { throw ChatError(.internalError) }

  /// Keeps the connection to the relay until the task is cancelled or the client closed.
  public func run() async throws { throw ChatError(.internalError) }

  /// Ends the connection and all sequences of events, and gives the store free.
  public func close() async {}

  /// The account of this store; `nil` before ``register(as:password:)``.
  public var account: Account? { nil }

  /// Makes an account at the relay with this device as its first.
  ///
  /// - Throws: `usernameTaken`, `invalidName`, `invalidPassword`, `registrationClosed`, `alreadyRegistered`.
  @discardableResult
  public func register(as username: String, password: Password) async throws -> Account {
    throw ChatError(.internalError)
  }

  /// Begins a new session for this store's account.
  ///
  /// - Throws: `invalidCredentials`, `notRegistered`: a store without an account cannot log in, since its keys are
  ///   nowhere else.
  @discardableResult
  public func login(as username: String, password: Password) async throws -> Account { throw ChatError(.internalError) }

  /// Ends the session. Keys and history stay in the store.
  public func logout() async throws { throw ChatError(.internalError) }

  /// Makes a room with this account as its owner.
  public func createRoom(named name: String) async throws -> Room { throw ChatError(.internalError) }

  /// The rooms of this account, the one with the latest activity first.
  public func rooms() async throws -> [RoomSummary] { throw ChatError(.internalError) }

  /// A room by its id or its name.
  ///
  /// - Throws: `roomNotFound`; `ambiguousRoom`, whose `detail` lists the ids.
  public func room(_ nameOrID: String) async throws -> Room { throw ChatError(.internalError) }

  public func room(_ id: RoomID) async throws -> Room { throw ChatError(.internalError) }

  /// What happens in all rooms from now on; ends when the client closes.
  public nonisolated var events: Events { EventHub().events { _ in true } }

  /// Fetches what is new, answers it, sends what waits in the outbox, and returns.
  public func sync() async throws { throw ChatError(.internalError) }

  /// The safety number with a user. Fetches the identity if it is not known yet.
  public func safetyNumber(with username: String) async throws -> SafetyNumber { throw ChatError(.internalError) }

  /// Remembers that the safety numbers were compared and equal.
  public func markVerified(_ username: String) async throws { throw ChatError(.internalError) }

  /// Accepts the new identity of a user whose account key has changed. It is not verified by that.
  public func acceptNewIdentity(of username: String) async throws { throw ChatError(.internalError) }

  /// What is not as it should be, and what was refused: the newest first.
  public func diagnose() async throws -> [Finding] { throw ChatError(.internalError) }
}
