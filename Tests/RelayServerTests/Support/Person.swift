import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import RelayServer
import Testing
import WireCodec

/// An account with one device and its session, as a client has it.
struct Person: Sendable {
  let fixture: RelayFixture
  let name: String
  let accountKey: SigningKey
  var list: SignedDeviceList
  var session: SessionResponse

  var user: UserID { session.user }
  var device: DeviceID { session.device }
  var token: String { session.accessToken }

  static let password = "correct horse battery"

  static func newList(accountKey: SigningKey, user: UserID = .random(), device: DeviceID = .random()) throws
    -> SignedDeviceList
  {
    try sign(
      DeviceList(
        user: user, accountKey: accountKey.publicKey, number: 1, previous: [], issued: 1,
        devices: [entry(device)]), accountKey)
  }

  static func entry(_ device: DeviceID) -> DeviceEntry {
    DeviceEntry(device: device, signatureKey: Random.bytes(32), name: "laptop", added: 1)
  }

  static func sign(_ list: DeviceList, _ key: SigningKey) throws -> SignedDeviceList {
    SignedDeviceList(list: list, signature: try key.sign(SignedDeviceList.signedBytes(of: list)))
  }

  static func register(_ name: String, at fixture: RelayFixture) async throws -> Person {
    let key = SigningKey.generate()
    let list = try newList(accountKey: key)
    let response = try await fixture.call(
      .register, nil, RegisterRequest(username: name, password: password, deviceList: list.encoded))
    try #require(response.status == 201, "\(String(decoding: response.body, as: UTF8.self))")
    return Person(fixture: fixture, name: name, accountKey: key, list: list, session: try response.decoded())
  }

  /// Calls a route as this person; throws the problem's code unless it succeeds.
  func call<T: Decodable>(
    _ route: Route, _ path: String? = nil, _ body: (any Encodable & Sendable)? = nil, as type: T.Type = T.self
  ) async throws -> T {
    let response = try await fixture.call(route, path, token: token, body)
    guard response.status < 300 else { throw Refusal(code: try response.problem()) }
    return try response.decoded()
  }

  func createRoom() async throws -> RoomID {
    let response: RoomResponse = try await call(.createRoom, nil, CreateRoomRequest(room: .random()))
    return response.room
  }

  @discardableResult
  func send(_ text: String, to room: RoomID, epoch: UInt64 = 0, id: SendID = .random()) async throws -> SendResponse {
    try await call(
      .send, Route.send.path("\(room)"), SendRequest(sendID: id, epoch: epoch, message: Array(text.utf8)))
  }

  @discardableResult
  func commit(
    _ room: RoomID, epoch: UInt64, add: [Person] = [], remove: [Person] = []
  ) async throws -> SendResponse {
    try await call(
      .commit, Route.commit.path("\(room)"),
      CommitRequest(
        sendID: .random(), epoch: epoch, message: Array("commit \(epoch)".utf8),
        welcome: add.isEmpty ? nil : Array("welcome".utf8), recipients: add.map(\.device), added: add.map(\.user),
        removed: remove.map(\.user)))
  }

  func log(of room: RoomID, after sequence: UInt64 = 0) async throws -> LogResponse {
    try await call(.log, Route.log.path("\(room)") + "?after=\(sequence)")
  }

  /// A socket that is ready.
  func socket() async throws -> Socket {
    let socket = try await Socket(fixture, token: token)
    try await socket.expectReady(device)
    return socket
  }
}

/// A problem's code, thrown by calls that should succeed.
struct Refusal: Error, Equatable {
  let code: String
}

extension Identifier {
  static func random() -> Self { Self(high: Random.uint64(), low: Random.uint64()) }
}
