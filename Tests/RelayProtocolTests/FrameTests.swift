import RelayProtocol
import Testing
import WireCodec

@Suite struct FrameTests {
  static let room = RoomID(high: 1, low: 2)
  static let position = StreamPosition(incarnation: 7, sequence: 8)
  static let client: [ClientFrame] = [
    .authenticate(token: "a.b.c"),
    .follow(requestID: 1, cursors: [RoomCursor(room: room, position: position)]),
    .follow(requestID: 2, cursors: []),
    .send(requestID: 3, room: room, SendRequest(sendID: SendID(high: 4, low: 5), epoch: 6, message: [1, 2, 3])),
  ]
  static let relay: [RelayFrame] = [
    .ready(device: DeviceID(high: 1, low: 2), time: 3),
    .following(requestID: 1, [FollowStatus(room: room, outcome: .gone, last: position, epoch: 9)]),
    .sent(requestID: 2, SendResponse(position: position, time: 10)),
    .refused(requestID: 3, code: RelayCode.epochStale.number, retryAfterMilliseconds: 5),
    .entry(LogEntry(room: room, sequence: 1, kind: .commit, epoch: 2, time: 3, message: [4, 5])),
    .behind(room: room, last: position),
    .look(.welcomes),
  ]

  @Test func framesComeBack() throws {
    for frame in Self.client { #expect(try ClientFrame(decoding: frame.encoded) == frame) }
    for frame in Self.relay { #expect(try RelayFrame(decoding: frame.encoded) == frame) }
  }

  @Test func everyPrefixAndExtensionIsRefused() {
    for bytes in Self.client.map(\.encoded) {
      for count in 0..<bytes.count {
        #expect(throws: WireError.self) { try ClientFrame(decoding: Array(bytes.prefix(count))) }
      }
      #expect(throws: WireError(.leftover)) { try ClientFrame(decoding: bytes + [0]) }
    }
    for bytes in Self.relay.map(\.encoded) {
      for count in 0..<bytes.count {
        #expect(throws: WireError.self) { try RelayFrame(decoding: Array(bytes.prefix(count))) }
      }
      #expect(throws: WireError(.leftover)) { try RelayFrame(decoding: bytes + [0]) }
    }
  }

  @Test func randomBytesAreReadOrRefused() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if let frame = try? ClientFrame(decoding: bytes) { #expect(frame.encoded == bytes) }
      if let frame = try? RelayFrame(decoding: bytes) { #expect(frame.encoded == bytes) }
      if let list = try? SignedDeviceList(decoding: bytes) { #expect(list.encoded == bytes) }
    }
  }

  @Test func tooManyCursorsAreRefused() {
    let cursor = RoomCursor(room: Self.room, position: Self.position)
    let frame = ClientFrame.follow(requestID: 1, cursors: .init(repeating: cursor, count: Limits.cursorsPerFollow + 1))
    #expect(throws: WireError(.tooLong)) { try ClientFrame(decoding: frame.encoded) }
  }

  @Test func codesAndRoutesAreUnambiguous() {
    #expect(Set(RelayCode.all.map(\.number)).count == RelayCode.all.count)
    #expect(Set(RelayCode.all.map(\.text)).count == RelayCode.all.count)
    #expect(Set(Route.all.map { $0.method.rawValue + $0.path }).count == Route.all.count)
    #expect(Route.log.path("abc") == "/v1/rooms/abc/log")
    #expect(Route.log.match(["v1", "rooms", "abc", "log"]) == ["abc"])
    #expect(Route.log.match(["v1", "rooms", "abc"]) == nil)
  }

  @Test func usernames() {
    for good in ["bob", "a.b-c_9", "0ab", String(repeating: "a", count: 32)] { #expect(Limits.isUsername(good)) }
    for bad in ["", "ab", "-ab", "Bob", "a b", "á", "bob\n", "a/b", String(repeating: "a", count: 33)] {
      #expect(!Limits.isUsername(bad))
    }
  }
}

@Suite struct DeviceListTests {
  @Test func comesBackAndBoundsDevices() throws {
    let entry = DeviceEntry(device: DeviceID(high: 1, low: 1), signatureKey: [1], name: "läptop", added: 5)
    var list = DeviceList(
      user: UserID(high: 9, low: 9), accountKey: [2], number: 1, previous: [], issued: 6, devices: [entry])
    let signed = SignedDeviceList(list: list, signature: [3])
    #expect(try SignedDeviceList(decoding: signed.encoded) == signed)
    list.devices = .init(repeating: entry, count: Limits.devicesPerAccount + 1)
    #expect(throws: WireError(.tooLong)) {
      try SignedDeviceList(decoding: SignedDeviceList(list: list, signature: []).encoded)
    }
  }

  @Test func theSignatureCoversALabelAndEveryField() throws {
    let list = DeviceList(
      user: UserID(high: 1, low: 2), accountKey: [3], number: 4, previous: [5], issued: 6, devices: [])
    let bytes = SignedDeviceList.signedBytes(of: list)
    #expect(Array(bytes.suffix(list.encoded.count)) == list.encoded)
    #expect(bytes.count > list.encoded.count)
  }
}
