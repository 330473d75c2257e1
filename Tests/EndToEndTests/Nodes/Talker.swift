import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import WireCodec

/// A member that sends all the time, by whatever relay it reaches, and writes down what it is told. It seals nothing: a relay
/// cannot tell.
actor Talker {
  struct Failed: Error { let status: Int, text: String }

  /// What was sent and not acknowledged yet; it is sent again under the same id.
  private struct Outgoing {
    var message: [UInt8]
    var epoch: UInt64
    var sentAt: ContinuousClock.Instant?
  }

  let name: String
  let urls: [String]
  let session: SessionResponse
  private let http: HTTPClient
  private let sockets: WebSocketClient
  private var room: RoomID?
  private var incarnation: UInt64 = 0
  private var epoch: UInt64 = 0
  private var outbox: [SendID: Outgoing] = [:]
  private var requests: [UInt32: SendID] = [:]
  private var lastRequest: UInt32 = 0
  private var count = 0
  private var connects = 0
  private var isTalking = false
  private var isOver = false

  /// The log as it was pushed, entry by entry.
  private(set) var log: [LogEntry] = []
  /// Where acknowledged messages are in the log, as the relay said.
  private(set) var acknowledged: [[UInt8]: UInt64] = [:]
  /// Entries that came twice or after a gap.
  private(set) var faults: [String] = []
  /// From sending to delivery, of others' messages, in milliseconds, with the time of delivery.
  private(set) var delays: [(at: ContinuousClock.Instant, milliseconds: Double)] = []
  private static let start = ContinuousClock.now

  init(_ name: String, at urls: [String], trusting tls: TLSClientContext?) async throws {
    (self.name, self.urls) = (name, urls)
    var configuration = HTTPClient.Configuration()
    configuration.tls = tls
    http = HTTPClient(configuration: configuration)
    var socket = WebSocketClient.Configuration()
    socket.tls = tls
    socket.connectTimeout = .seconds(3)
    sockets = WebSocketClient(configuration: socket)
    let key = SigningKey.generate()
    let device = DeviceEntry(device: Self.random(), signatureKey: Random.bytes(32), name: "laptop", added: 1)
    let list = DeviceList(
      user: Self.random(), accountKey: key.publicKey, number: 1, previous: [], issued: 1, devices: [device])
    let signed = SignedDeviceList(list: list, signature: try key.sign(SignedDeviceList.signedBytes(of: list)))
    session = try await Self.call(
      http, urls[0], .register, nil, nil,
      RegisterRequest(username: name, password: "correct horse battery", deviceList: signed.encoded))
  }

  static func random<ID: Identifier>() -> ID { ID(high: Random.uint64(), low: Random.uint64()) }

  // MARK: Requests

  private static func call<T: Decodable>(
    _ http: HTTPClient, _ url: String, _ route: Route, _ path: String?, _ token: String?,
    _ body: (any Encodable & Sendable)?
  ) async throws -> T {
    var headers: HTTPHeaders = [:]
    if let token { headers.set("Authorization", "Bearer \(token)") }
    let bytes = try body.map { Array(try JSONEncoder().encode($0)) } ?? []
    let response = try await http.send(
      HTTPClientRequest(
        HTTPMethod(rawValue: route.method.rawValue), try WebURL(url + (path ?? route.path)), headers: headers,
        body: bytes, timeout: .seconds(10)))
    guard response.status < 300 else {
      throw Failed(status: response.status, text: String(decoding: response.body, as: UTF8.self))
    }
    return try JSONDecoder().decode(T.self, from: Data(response.body))
  }

  func call<T: Decodable & Sendable>(
    _ route: Route, _ path: String? = nil, _ body: (any Encodable & Sendable)? = nil, at url: String? = nil
  ) async throws -> T {
    try await Self.call(http, url ?? urls[0], route, path, session.accessToken, body)
  }

  func logOut() async throws {
    var headers: HTTPHeaders = [:]
    headers.set("Authorization", "Bearer \(session.accessToken)")
    let response = try await http.send(
      HTTPClientRequest(.delete, try WebURL(urls[0] + Route.logOut.path), headers: headers, timeout: .seconds(10)))
    guard response.status < 300 else { throw Failed(status: response.status, text: "") }
  }

  func makeRoom(with others: [Talker]) async throws -> RoomID {
    let made: RoomResponse = try await call(.createRoom, nil, CreateRoomRequest(room: Self.random()))
    let _: SendResponse = try await call(
      .commit, Route.commit.path("\(made.room)"),
      CommitRequest(
        sendID: Self.random(), epoch: 0, message: [1], welcome: [1], recipients: others.map(\.session.device),
        added: others.map(\.session.user), removed: []))
    return made.room
  }

  /// Tries to end the present epoch; returns it if that succeeded.
  func commit() async -> UInt64? {
    guard let room, epoch > 0 else { return nil }
    let tried = epoch
    let request = CommitRequest(
      sendID: Self.random(), epoch: tried, message: Array("commit of \(name) \(tried)".utf8), welcome: nil,
      recipients: [], added: [], removed: [])
    let response: SendResponse? = try? await call(
      .commit, Route.commit.path("\(room)"), request, at: urls[connects % urls.count])
    return response == nil ? nil : tried
  }

  // MARK: Talking

  /// Follows a room and talks in it until ``finish()``.
  func run(in room: RoomID, every pause: Duration) async throws {
    self.room = room
    isTalking = true
    let known: RoomResponse = try await call(.room, Route.room.path("\(room)"))
    incarnation = known.position.incarnation
    while !isOver {
      do { try await connect(every: pause) } catch {}
      connects += 1
      if !isOver { try? await Task.sleep(for: .milliseconds(Int.random(in: 20...120))) }
    }
  }

  private func connect(every pause: Duration) async throws {
    let url = urls[connects % urls.count].replacing("http", with: "ws", maxReplacements: 1)
    let stream = try await sockets.connect(
      try WebURL(url + Route.socket.path), headers: ["Authorization": "Bearer \(session.accessToken)"],
      subprotocol: Route.subprotocol)
    requests = [:]
    for id in outbox.keys { outbox[id]?.sentAt = nil }
    let talk = Task { [weak self] in
      while !Task.isCancelled, await self?.talk(over: stream) == true { try? await Task.sleep(for: pause) }
    }
    defer {
      talk.cancel()
      stream.close()
    }
    for await message in stream {
      guard case .binary(let bytes) = message else { break }
      if try await !take(try RelayFrame(decoding: bytes), stream) { break }
    }
  }

  /// Sends something new, and again what has had no answer for long. `false` at the end.
  private func talk(over stream: WebSocketStream) async -> Bool {
    guard !isOver else {
      stream.close()
      return false
    }
    guard let room, isFollowing else { return true }
    if isTalking, outbox.count < 16 {
      count += 1
      let now = Self.start.duration(to: .now).milliseconds
      outbox[Self.random()] = Outgoing(message: Array("\(name):\(count):\(now)".utf8), epoch: epoch, sentAt: nil)
    }
    for (id, outgoing) in outbox where outgoing.sentAt.map({ $0.duration(to: .now) > .seconds(2) }) ?? true {
      lastRequest += 1
      requests[lastRequest] = id
      outbox[id]?.sentAt = .now
      let frame = ClientFrame.send(
        requestID: lastRequest, room: room,
        SendRequest(sendID: id, epoch: outgoing.epoch, message: outgoing.message))
      do { try await stream.send(binary: frame.encoded) } catch { return true }
    }
    return true
  }

  private var isFollowing = false

  /// Whether to read on.
  private func take(_ frame: RelayFrame, _ stream: WebSocketStream) async throws -> Bool {
    switch frame {
    case .ready:
      isFollowing = false
      guard let room else { return false }
      let position = StreamPosition(incarnation: incarnation, sequence: UInt64(log.count))
      try await stream.send(
        binary: ClientFrame.follow(requestID: 0, cursors: [RoomCursor(room: room, position: position)]).encoded)
    case .following(_, let statuses):
      guard statuses.first?.outcome == .live, let status = statuses.first else {
        faults.append("not followed: \(statuses)")
        return false
      }
      epoch = max(epoch, status.epoch)
      isFollowing = true
    case .entry(let entry): return take(entry)
    case .sent(let requestID, let response):
      guard let id = requests.removeValue(forKey: requestID), let outgoing = outbox.removeValue(forKey: id) else {
        break
      }
      acknowledged[outgoing.message] = response.position.sequence
    case .refused(let requestID, let code, _):
      guard let id = requests.removeValue(forKey: requestID) else {
        // The follow was refused: come again.
        return requestID != 0
      }
      // An epoch that has ended: never stored, so it may go under another id. All else is tried again as it is.
      if code == RelayCode.epochStale.number || code == RelayCode.epochUnknown.number,
        var outgoing = outbox.removeValue(forKey: id)
      {
        (outgoing.epoch, outgoing.sentAt) = (epoch, nil)
        outbox[Self.random()] = outgoing
      }
    case .behind: return false
    case .look, .presence, .profile: break
    }
    return true
  }

  private func take(_ entry: LogEntry) -> Bool {
    guard entry.sequence == UInt64(log.count) + 1 else {
      faults.append("entry \(entry.sequence) after \(log.count)")
      return false
    }
    log.append(entry)
    if entry.kind == .commit { epoch = max(epoch, entry.epoch + 1) }
    let words = String(decoding: entry.message.bytes, as: UTF8.self).split(separator: ":")
    if words.count == 3, words[0] != name, let sent = Double(words[2]), isFollowing {
      let now = ContinuousClock.now
      delays.append((now, Self.start.duration(to: now).milliseconds - sent))
    }
    return true
  }

  /// Sends nothing new.
  func fallSilent() { isTalking = false }
  var isDone: Bool { outbox.isEmpty }
  func finish() { isOver = true }
}

extension Duration {
  var milliseconds: Double { Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15 }
}
