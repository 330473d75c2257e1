import CryptoPrimitives
import E2ECrypto
import Observability
import RelayProtocol
import Synchronization

/// The world as a client sees it: everything that a test wants to put in its place.
package struct ClientEnvironment: Sendable {
  /// Milliseconds since 1970.
  package var now: @Sendable () -> UInt64
  package var sleep: @Sendable (Duration) async throws -> Void
  /// Uniform in 0 ..< 1, for pauses.
  package var random: @Sendable () -> Double
  /// Wraps the way to the relay.
  package var wrapTransport: @Sendable (any RelayTransport) -> any RelayTransport
  /// Called before each write to the store.
  package var beforeWrite: (@Sendable () throws -> Void)?

  package init() {
    now = {
      let (seconds, milliseconds) = LogSink.wallClock()
      return UInt64(max(0, seconds)) * 1000 + UInt64(max(0, milliseconds))
    }
    sleep = { try await Task.sleep(for: $0) }
    random = { Double(Random.uint32()) / 4_294_967_296 }
    wrapTransport = { $0 }
  }
}

/// What a client's parts share.
final class ClientContext: Sendable {
  let configuration: Configuration
  let environment: ClientEnvironment
  let store: any ChatStore
  let transport: any RelayTransport
  let session: Session
  let api: RelayAPI
  let hub: EventHub
  let profiles: ProfileBook
  private let current: Mutex<Identity?>
  private let socket = Mutex<SocketLink?>(nil)
  private let listChanges = Mutex(0)

  init(
    configuration: Configuration, environment: ClientEnvironment, store: any ChatStore,
    transport: any RelayTransport
  ) throws {
    (self.configuration, self.environment, self.store) = (configuration, environment, store)
    self.transport = transport
    let profiles = ProfileBook(try store.read { try $0.all(ProfileRecord.self) })
    self.profiles = profiles
    hub = EventHub { profiles.named($0) }
    session = try Session(store: store, now: environment.now)
    api = RelayAPI(transport: transport, session: session, timeout: configuration.timeout)
    let record = try store.read { try $0.decode(AccountRecord.self, AccountRecord.key) }
    current = Mutex(try record.flatMap { $0.isRegistered ? try Identity($0) : nil })
  }

  var suite: CipherSuite { CipherSuite(rawValue: configuration.suite.rawValue) }
  var now: UInt64 { environment.now() }
  var timestamp: Timestamp { Timestamp(secondsSinceEpoch: now / 1000) }
  var moment: Moment { Moment(millisecondsSince1970: now) }

  /// The open socket, if there is one.
  var link: SocketLink? {
    get { socket.withLock { $0 } }
    set { socket.withLock { $0 = newValue } }
  }

  /// Counts up when a device list or an identity that this client knows has become another one.
  var listVersion: Int { listChanges.withLock { $0 } }
  func listsChanged() { listChanges.withLock { $0 += 1 } }

  func setIdentity(_ identity: Identity) { current.withLock { $0 = identity } }

  var optionalIdentity: Identity? { current.withLock { $0 } }

  /// - Throws: `notRegistered`.
  func identity() throws -> Identity {
    guard let identity = optionalIdentity else { throw ChatError(.notRegistered) }
    return identity
  }

  func finding(
    _ code: Finding.Code, room: RoomID? = nil, person: Person? = nil, sequence: UInt64? = nil, _ detail: String
  ) -> Finding {
    Finding(code: code, room: room, person: person, sequence: sequence, at: moment, detail: detail)
  }

  /// Capabilities of this client's leaves.
  static let capabilities = Capabilities(
    extensions: [RoomState.extensionType, CommitClaim.Leaf.inviteExtension, Extension.lastResortType])

  var groupPolicy: GroupPolicy {
    var policy = GroupPolicy()
    policy.maxPastEpochs = Int(Limits.pastEpochs)
    // A leaver's proposal is committed by whoever is online; a message that was written offline must not wait for it.
    policy.commitsBeforeSending = false
    policy.maxLifetime = Limits.keyPackageLifetime
    // Joining a large room is mostly checking signatures; more than four cores are better left to others.
    policy.maxThreads = min(4, Parallel.availableCores)
    return policy
  }

  /// 90 days from an hour ago, since clocks differ.
  var lifetime: Lifetime {
    let seconds = now / 1000
    return Lifetime(
      notBefore: Timestamp(secondsSinceEpoch: seconds > 3600 ? seconds - 3600 : 0),
      notAfter: Timestamp(secondsSinceEpoch: seconds + 90 * 86_400))
  }

  static func hash(_ bytes: [UInt8]) -> [UInt8] { Digest.hash(.sha256, bytes) }
}
