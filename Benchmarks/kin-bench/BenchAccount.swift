import BenchKit
import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import WireCodec

/// An account made over the relay's own interface, with a room of its own.
struct BenchAccount: Sendable {
  let relay: String
  let session: SessionResponse
  private let tls: TLSClientContext?
  private let http: HTTPClient

  init(_ name: String, at relay: String, trusting certificates: String? = nil) async throws {
    self.relay = relay
    tls = try certificates.map { try TLSClientContext(trustedCertificates: $0) }
    var configuration = HTTPClient.Configuration()
    configuration.tls = tls
    http = HTTPClient(configuration: configuration)
    let identity = SigningKey.generate()
    let device = SigningKey.generate()
    let entry = DeviceEntry(
      device: DeviceID(high: Random.uint64(), low: Random.uint64()), signatureKey: device.publicKey, name: "bench",
      added: 1)
    let list = DeviceList(
      user: UserID(high: Random.uint64(), low: Random.uint64()), accountKey: identity.publicKey, number: 1,
      previous: [],
      issued: 1, devices: [entry])
    let signed = SignedDeviceList(list: list, signature: try identity.sign(SignedDeviceList.signedBytes(of: list)))
    let request = RegisterRequest(username: name, password: "a password of the bench", deviceList: signed.encoded)
    let url = try WebURL(relay).appending(path: Route.register.path)
    session = try await Self.call(http, .post, url, token: nil, body: request)
  }

  /// Makes a room of this account.
  func createRoom() async throws -> RoomResponse {
    let room = RoomID(high: Random.uint64(), low: Random.uint64())
    let url = try WebURL(relay).appending(path: Route.createRoom.path)
    return try await Self.call(http, .post, url, token: session.accessToken, body: CreateRoomRequest(room: room))
  }

  /// Opens a socket as this account, authenticated by its header.
  func socket(
    on loop: EventLoop, handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) async throws -> WebSocketConnection {
    var configuration = WebSocketClient.Configuration()
    configuration.limits.maxMessageBytes = Limits.frame
    // Thousands of handshakes share the cores.
    configuration.connectTimeout = .seconds(60)
    configuration.tls = tls
    let client = WebSocketClient(configuration: configuration, loop: loop)
    let url = try WebURL(relay).with(scheme: tls == nil ? .ws : .wss).appending(path: Route.socket.path)
    return try await client.connect(
      url, headers: ["Authorization": "Bearer \(session.accessToken)"], subprotocol: Route.subprotocol, handler: handler
    )
  }

  private static func call<Answer: Decodable>(
    _ http: HTTPClient, _ method: HTTPMethod, _ url: WebURL, token: String?, body: some Encodable
  ) async throws -> Answer {
    var headers: HTTPHeaders = ["Content-Type": "application/json"]
    if let token { headers.set("Authorization", "Bearer \(token)") }
    let request = HTTPClientRequest(method, url, headers: headers, body: Array(try JSONEncoder().encode(body)))
    let response = try await http.send(request)
    guard (200..<300).contains(response.status) else {
      throw Child.Failed(what: "\(url) answered \(response.status): \(String(decoding: response.body, as: UTF8.self))")
    }
    return try JSONDecoder().decode(Answer.self, from: Data(response.body))
  }
}
