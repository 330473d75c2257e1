public import ChatSDK
import Synchronization

/// A relay and people who use it, each with a store of their own.
///
/// ```swift
/// let world = try await World("alice", "bob")
/// try await world.room("alice").invites("bob").says("alice", "Hello").deliverAll().agrees()
/// await world.end()
/// ```
public actor World {
  public nonisolated let relay: LocalRelay
  public nonisolated let seed: UInt64
  private let folder: TemporaryFolder
  private let connection: Configuration.Connection
  private var members: [String: Member] = [:]

  /// A relay and accounts of these names.
  ///
  /// - Parameters:
  ///   - connection: how the clients hear news; with `manual`, only when told to.
  ///   - accessTokenLifetime: how soon the clients must renew their tokens.
  public init(
    _ names: String..., connection: Configuration.Connection = .manual, seed: UInt64 = .random(in: 0 ... .max),
    accessTokenLifetime: Duration = .seconds(600)
  ) async throws {
    (self.connection, self.seed) = (connection, seed)
    folder = try TemporaryFolder()
    relay = LocalRelay(folder: folder, accessTokenLifetime: accessTokenLifetime)
    try await relay.start()
    for name in names { try await add(name) }
  }

  /// Stops all clients and the relay.
  public func end() async {
    for member in members.values {
      // What changes answers may hold the world, which would then outlive its end.
      await member.wire?.setTamper(nil)
      await member.stop()
    }
    await relay.stop()
  }

  @discardableResult
  public func add(_ name: String, connection: Configuration.Connection? = nil) async throws -> Member {
    let member = Member(
      name: name, relay: await relay.url, folder: folder.path, connection: connection ?? self.connection,
      seed: seed &+ UInt64(members.count))
    members[name] = member
    try await member.start()
    try await member.client.register(as: name, password: Password("password of \(name)"))
    return member
  }

  public func member(_ name: String) throws -> Member {
    guard let member = members[name] else { throw WorldError("nobody is called \(name)") }
    return member
  }

  public func client(_ name: String) async throws -> ChatClient { try await member(name).client }

  /// Makes a room that `owner` owns.
  public func room(_ owner: String, named name: String = "Garden") async throws -> Story {
    let room = try await client(owner).createRoom(named: name)
    return Story(world: self, id: room.id, teller: owner)
  }

  /// Whether everybody whose client has this room, and is a member, has come to the same.
  func states(of room: RoomID) async throws -> [(name: String, state: RoomFingerprint)] {
    var states: [(String, RoomFingerprint)] = []
    for (name, member) in members.sorted(by: { $0.key < $1.key }) where await member.isRunning {
      guard let room = try? await member.client.room(room), await room.health != .left else { continue }
      states.append((name, try await room.fingerprint()))
    }
    return states
  }

  func syncAll() async throws {
    for (_, member) in members.sorted(by: { $0.key < $1.key }) where await member.isRunning {
      try await member.client.sync()
    }
  }
}

/// Something in a world is not as it should be.
public struct WorldError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// One person with one device.
public actor Member {
  public nonisolated let name: String
  private let configuration: Configuration
  private let seed: UInt64
  private var current: ChatClient?
  private var run: Task<Void, any Error>?
  private var listening: Task<Void, Never>?
  private let heard = Mutex<[Event]>([])
  private var link: FaultyLink?
  private var faults = Faults()
  private var beforeWrite: (@Sendable () throws -> Void)?

  init(name: String, relay: String, folder: String, connection: Configuration.Connection, seed: UInt64) {
    (self.name, self.seed) = (name, seed)
    var store = StoreLocation.file("\(folder)/\(name).db", passphrase: Passphrase("passphrase of \(name)"))
    store.cost = (passes: 1, memoryKiB: 8)
    configuration = Configuration(
      relay: relay, store: store, deviceName: "\(name)'s device", connection: connection, timeout: .seconds(10))
  }

  public var isRunning: Bool { current != nil }

  /// The client.
  public var client: ChatClient {
    get throws {
      guard let current else { throw WorldError("\(name)'s client does not run") }
      return current
    }
  }

  /// What the client has told since it was started first.
  public var events: [Event] { heard.withLock { $0 } }

  /// The store's file.
  public nonisolated var storePath: String { configuration.store.path }

  /// What goes wrong on the way to the relay from now on.
  public func setFaults(_ faults: Faults) {
    self.faults = faults
    link?.faults = faults
  }

  package var wire: FaultyLink? { link }

  /// Called before each write to the store, from the next start on.
  package func setBeforeWrite(_ body: (@Sendable () throws -> Void)?) { beforeWrite = body }

  public func start() async throws {
    guard current == nil else { return }
    var environment = ClientEnvironment()
    let made = Mutex<FaultyLink?>(nil)
    let (seed, faults) = (seed, faults)
    environment.beforeWrite = beforeWrite
    environment.wrapTransport = { inner in
      let link = FaultyLink(inner, seed: seed, faults: faults)
      made.withLock { $0 = link }
      return link
    }
    let client = try await ChatClient(configuration, environment: environment)
    link = made.withLock { $0 }
    current = client
    let events = client.events
    listening = Task { [weak self] in
      var iterator = events.makeAsyncIterator()
      while let event = try? await iterator.next() { self?.note(event) }
    }
    run = Task { try await client.run() }
  }

  private nonisolated func note(_ event: Event) { heard.withLock { $0.append(event) } }

  /// Ends the client; its store stays.
  public func stop() async {
    run?.cancel()
    await current?.close()
    await listening?.value
    current = nil
  }

  public func restart() async throws {
    await stop()
    try await start()
  }
}
