import FoundationEssentials
import Networking
import Observability
import RelayProtocol
import Testing

@testable import RelayServer

struct ShutdownTests {
  @Test func goesAwayInGoodOrderAndComesBack() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = folder + "/data"
    let quiet = LogSink(descriptor: 2, level: .warning)
    let first = Relay(configuration: configuration, log: quiet)
    try await first.start()
    var fixture = RelayFixture(relay: first, folder: folder)
    let alice = try await fixture.person("alice")
    let room = try await alice.createRoom()
    let socket = try await alice.socket()
    // Another relay must not open the same store.
    let rival = Relay(configuration: configuration, log: quiet)
    await #expect(throws: RelayError(.unavailable, "")) { try await rival.start() }

    let last = try await alice.log(of: room).last
    async let poll = PollTests.poll(alice, [(room, last)], wait: 30)
    try await Task.sleep(for: .milliseconds(200))
    for index in 0..<UInt32(50) {
      let request = SendRequest(sendID: .random(), epoch: 0, message: [1])
      try await socket.send(.send(requestID: index, room: room, request))
    }
    let begun = ContinuousClock.now
    await first.shutdown()
    await first.shutdown()
    #expect(ContinuousClock.now - begun < .seconds(10))
    _ = try await poll
    var acknowledged: UInt64 = 0
    while let frame = try await socket.next() { if case .sent = frame { acknowledged += 1 } }
    #expect(socket.stream.closeCode?.rawValue == CloseCode.goingAway.number)

    let second = Relay(configuration: configuration, log: quiet)
    try await second.start()
    fixture = RelayFixture(relay: second, folder: folder)
    // The same keys and sessions, and everything that was acknowledged.
    var back = Person(
      fixture: fixture, name: "alice", accountKey: alice.accountKey, list: alice.list, session: alice.session)
    let log = try await back.log(of: room)
    #expect(log.last.sequence >= acknowledged)
    let refreshed = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: alice.session.refreshToken))
    back.session = try refreshed.decoded()
    let _: AccountResponse = try await back.call(.me)
    await second.shutdown()
  }

  @Test func saysWhyItCannotStart() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let quiet = LogSink(descriptor: 2, level: .off)
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = folder + "/missing/data"
    await #expect(throws: RelayError(.unavailable, "")) {
      try await Relay(configuration: configuration, log: quiet).start()
    }
    configuration.dataDirectory = folder + "/data"
    configuration.host = "203.0.113.7"
    await #expect(throws: RelayError(.unavailable, "")) {
      try await Relay(configuration: configuration, log: quiet).start()
    }
    configuration.host = "127.0.0.1"
    configuration.tlsCertificateFile = folder + "/none.pem"
    configuration.tlsKeyFile = folder + "/none.key"
    await #expect(throws: RelayError(.unavailable, "")) {
      try await Relay(configuration: configuration, log: quiet).start()
    }
    // What failed left nothing locked.
    (configuration.tlsCertificateFile, configuration.tlsKeyFile) = (nil, nil)
    let relay = Relay(configuration: configuration, log: quiet)
    try await relay.start()
    await relay.shutdown()
  }
}
