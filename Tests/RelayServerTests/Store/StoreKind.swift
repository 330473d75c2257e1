import Glibc
import PostgresFixture
import RelayProtocol
import RelayServer
import Synchronization

/// The implementations of ``RelayStore``: every test of the suite runs on each.
enum StoreKind: String, CaseIterable, Sendable, CustomStringConvertible {
  case sqlite
  case postgres

  var description: String { rawValue }

  /// Opens the store that lives in a folder.
  func open(_ folder: borrowing StoreFolder) throws -> any RelayStore {
    switch self {
    case .sqlite: try SQLiteStore(path: folder.database)
    case .postgres: try PostgresStore(PostgresStore.Configuration(PostgresSettings(folder.postgres())))
    }
  }
}

/// A folder that is gone after the test.
final class StoreFolder: Sendable {
  let path: String
  var database: String { path + "/relay.db" }
  private let address = Mutex<String?>(nil)

  init() {
    var template = Array("/tmp/kin-store-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no temporary folder") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit {
    for name in files() { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// How to reach this test's own database on the tests' server, made when it is first asked for.
  func postgres() throws -> String {
    try address.withLock { address in
      if let address { return address }
      let made = try PostgresServer.shared().makeDatabase()
      address = made
      return made
    }
  }

  func files() -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}

/// An open store and what tests do with it, each in a line.
struct StoreWorld {
  struct Person: Sendable {
    let user: UserID
    let device: DeviceID
    let name: String
  }

  let folder = StoreFolder()
  let store: any RelayStore
  private let kind: StoreKind

  init(_ kind: StoreKind) throws {
    self.kind = kind
    store = try kind.open(folder)
  }

  /// A second life of the same store.
  func reopened() async throws -> any RelayStore {
    await store.close()
    return try kind.open(folder)
  }

  static func random<ID: RelayProtocol.Identifier>(_ type: ID.Type = ID.self) -> ID {
    ID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
  }

  /// Registers someone with one device.
  func person(_ name: String) async throws -> Person {
    let person = Person(user: Self.random(), device: Self.random(), name: name)
    try await store.createAccount(Self.account(person), devices: Self.list(1, person.device))
    return person
  }

  static func account(_ person: Person, email: String? = nil) -> AccountRecord {
    AccountRecord(
      id: person.user, username: person.name, email: email, passwordHash: "$argon2id$", role: "user", created: 1)
  }

  static func list(_ number: UInt64, _ devices: DeviceID...) -> DeviceListRecord {
    DeviceListRecord(number: number, devices: devices, encoded: [UInt8(truncatingIfNeeded: number)])
  }

  /// A room whose other members were added by one commit, which is its entry 1.
  func room(of owner: Person, with others: Person...) async throws -> RoomID {
    let room: RoomID = Self.random()
    _ = try await store.createRoom(room, owner: owner.user, now: 1)
    if !others.isEmpty {
      _ = try await store.commit(
        Self.commit(room, from: owner, epoch: 0, welcome: [9], for: others.map(\.device), adding: others))
    }
    return room
  }

  static func message(
    _ room: RoomID, from sender: Person, epoch: UInt64 = 0, id: SendID = random(), kind: EntryKind = .application,
    _ content: [UInt8] = [1, 2, 3], now: UInt64 = 1000
  ) -> NewMessage {
    NewMessage(
      room: room, sender: sender.user, device: sender.device,
      request: SendRequest(sendID: id, kind: kind, epoch: epoch, message: content), now: now)
  }

  static func commit(
    _ room: RoomID, from sender: Person, epoch: UInt64, id: SendID = random(), _ content: [UInt8] = [7],
    welcome: [UInt8]? = nil, for recipients: [DeviceID] = [], adding added: [Person] = [],
    removing removed: [Person] = []
  ) -> NewCommit {
    NewCommit(
      room: room, sender: sender.user, device: sender.device,
      request: CommitRequest(
        sendID: id, epoch: epoch, message: content, welcome: welcome, recipients: recipients,
        added: added.map(\.user), removed: removed.map(\.user)), now: 1000)
  }

  func send(_ messages: [NewMessage]) async -> [Result<Appended, RelayError>] { await store.send(messages) }

  @discardableResult
  func send(_ message: NewMessage) async throws -> Appended { try await store.send([message])[0].get() }

  func log(_ room: RoomID, for person: Person, after sequence: UInt64 = 0) async throws -> LogResponse {
    try await store.entries(of: room, after: sequence, limit: 500, bytes: 1 << 20, for: person.user)
  }
}

extension RelayStore {
  func send(_ messages: [NewMessage]) async -> [Result<Appended, RelayError>] {
    await withCheckedContinuation { continuation in
      append(messages) { continuation.resume(returning: $0) }
    }
  }
}

extension Result where Failure == RelayError {
  /// The code of a refusal, or nil.
  var refusal: RelayCode? {
    if case .failure(let error) = self { error.code } else { nil }
  }
}

/// The code that an operation is refused with, or nil if it is not.
func refusal(_ body: () async throws -> Void) async throws -> RelayCode? {
  do {
    try await body()
    return nil
  } catch let error as RelayError {
    return error.code
  }
}
