import CryptoPrimitives
import Networking
import Observability
import RelayProtocol
import Synchronization
import Testing
import WireCodec

@testable import RelayServer

struct SocketTests {
  @Test func sendsAndReceives() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      let incarnation = try await alice.log(of: room).last.incarnation
      let ears = try await bob.socket()
      let followed = try await ears.following(room, incarnation: incarnation)
      #expect(followed.missed == [1] && followed.status.outcome == .live && followed.status.epoch == 1)

      // The other way to authenticate.
      let mouth = try await Socket(fixture, token: nil)
      try await mouth.send(.authenticate(token: alice.token))
      try await mouth.expectReady(alice.device)
      let request = SendRequest(sendID: .random(), epoch: 1, message: Array("hello".utf8))
      try await mouth.send(.send(requestID: 7, room: room, request))
      guard case .sent(7, let response)? = try await mouth.next() else {
        Issue.record("not sent")
        return
      }
      guard case .entry(let entry)? = try await ears.next() else {
        Issue.record("no entry")
        return
      }
      #expect(
        entry.sequence == response.position.sequence && entry.message == request.message && entry.time == response.time)
      // A retry is answered alike and not pushed again.
      try await mouth.send(.send(requestID: 8, room: room, request))
      #expect(try await mouth.next() == .sent(requestID: 8, response))
      try await alice.send("by rest", to: room, epoch: 1)
      try await ears.expectEntry(3)
      try await alice.commit(room, epoch: 1)
      try await ears.expectEntry(4)
    }
  }

  @Test func theRemovedHearNothingMore() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      let incarnation = try await alice.log(of: room).last.incarnation
      let (socket, other) = (try await bob.socket(), try await bob.socket())
      _ = try await socket.following(room, after: 1, incarnation: incarnation)
      _ = try await other.following(room, after: 1, incarnation: incarnation)
      // Sends race with the removal: whatever comes after it in the log must not arrive.
      let sends = Task {
        for index in 0..<50 { try await alice.send("\(index)", to: room, epoch: 1) }
      }
      try await Task.sleep(for: .milliseconds(20))
      let removal = try await alice.commit(room, epoch: 1, remove: [bob])
      try await sends.value
      try await alice.send("after", to: room, epoch: 2)
      for socket in [socket, other] {
        var expected: UInt64 = 2
        while expected <= removal.position.sequence {
          try await socket.expectEntry(expected)
          expected += 1
        }
        #expect(await socket.quiet() == nil)
      }
      let again = try await Socket(fixture, token: bob.token)
      try await again.expectReady(bob.device)
      #expect(try await again.following(room, after: 1, incarnation: incarnation).status.outcome == .gone)
      // Leaving is heard by one's own devices, and is the last.
      let carol = try await fixture.person("carol")
      try await alice.commit(room, epoch: 2, add: [carol])
      let ears = try await carol.socket()
      let last = try await carol.log(of: room).last
      _ = try await ears.following(room, after: last.sequence, incarnation: incarnation)
      let leave = LeaveRequest(sendID: .random(), epoch: 3, proposal: [1])
      let _: SendResponse = try await carol.call(.leave, Route.leave.path("\(room)"), leave)
      try await alice.send("gone", to: room, epoch: 3)
      try await ears.expectEntry(last.sequence + 1)
      #expect(await ears.quiet() == nil)
    }
  }

  /// Three senders on three sockets send while a fourth follows again and again: each time from its cursor on, every
  /// entry comes once and in order.
  @Test func replayMeetsLivePushWithoutGap() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let incarnation = try await alice.log(of: room).last.incarnation
      let perSender = 200
      let total = UInt64(3 * perSender)
      let senders = Task {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<3 {
            group.addTask {
              let socket = try await alice.socket()
              for index in 0..<perSender {
                let request = SendRequest(sendID: .random(), epoch: 0, message: Random.bytes(200))
                try await socket.send(.send(requestID: UInt32(index), room: room, request))
                if index % 10 == 9 { try await Task.sleep(for: .milliseconds(3)) }
              }
              var acknowledged = 0
              while acknowledged < perSender, case .sent? = try await socket.next() { acknowledged += 1 }
              #expect(acknowledged == perSender)
            }
          }
          try await group.waitForAll()
        }
      }
      var cursor: UInt64 = 0
      var rounds = 0
      while cursor < total {
        rounds += 1
        let socket = try await alice.socket()
        try await socket.follow(room, after: cursor, incarnation: incarnation)
        // Some of them live, then away again.
        let until = rounds < 12 ? min(total, cursor + UInt64.random(in: 1...60)) : total
        while cursor < until {
          guard let frame = try await socket.next() else { break }
          guard case .entry(let entry) = frame else { continue }
          #expect(entry.sequence == cursor + 1)
          cursor = entry.sequence
        }
        socket.stream.close()
      }
      #expect(cursor == total && rounds >= 3)
      try await senders.value
    }
  }

  @Test func saysBehindWhenMuchWasMissed() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let incarnation = try await alice.log(of: room).last.incarnation
      let socket = try await alice.socket()
      for index in 0..<UInt32(Limits.entriesPerPage + 20) {
        try await socket.send(
          .send(requestID: index, room: room, SendRequest(sendID: .random(), epoch: 0, message: [1])))
      }
      for _ in 0..<(Limits.entriesPerPage + 20) { _ = try await socket.next() }
      try await socket.follow(room, incarnation: incarnation)
      for sequence in 1...UInt64(Limits.entriesPerPage) { try await socket.expectEntry(sequence) }
      let last = StreamPosition(incarnation: incarnation, sequence: UInt64(Limits.entriesPerPage + 20))
      #expect(try await socket.next() == .behind(room: room, last: last))
      guard case .following(1, let statuses)? = try await socket.next() else {
        Issue.record("no answer")
        return
      }
      #expect(statuses == [FollowStatus(room: room, outcome: .live, last: last, epoch: 0)])
      try await alice.send("live", to: room)
      try await socket.expectEntry(last.sequence + 1)
    }
  }

  @Test func tellsAWelcomeFromAnywhere() async throws {
    try await RelayFixture.run({ $0.loops = 3 }) { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      // Enough sockets that every loop has some.
      var sockets: [Socket] = []
      for _ in 0..<9 { sockets.append(try await bob.socket()) }
      try await alice.commit(room, epoch: 0, add: [bob])
      for socket in sockets { #expect(try await socket.next() == .look(.welcomes)) }
      let incarnation = try await bob.log(of: room).last.incarnation
      for socket in sockets { _ = try await socket.following(room, after: 1, incarnation: incarnation) }
      try await alice.send("all", to: room, epoch: 1)
      for socket in sockets { try await socket.expectEntry(2) }
      _ = try await fixture.call(.logOut, token: bob.token)
      for socket in sockets { #expect(try await socket.closeCode() == CloseCode.sessionEnded.number) }
    }
  }

  @Test func closesAtExpiryUnlessRenewed() async throws {
    let shift = Mutex<UInt64>(0)
    try await RelayFixture.run(clock: { 1_800_000_000_000 + shift.withLock { $0 } }) { fixture in
      let alice = try await fixture.person("alice")
      let (kept, lost) = (try await alice.socket(), try await alice.socket())
      shift.withLock { $0 = 500_000 }
      let refreshed = try await fixture.call(
        .refresh, nil, RefreshRequest(refreshToken: alice.session.refreshToken))
      let session: SessionResponse = try refreshed.decoded()
      try await kept.send(.authenticate(token: session.accessToken))
      try await kept.expectReady(alice.device)
      shift.withLock { $0 = 601_000 }
      #expect(try await lost.closeCode() == CloseCode.tokenExpired.number)
      #expect(try await fixture.call(.me, token: alice.token).status == 200)
      shift.withLock { $0 = 606_000 }
      #expect(try await fixture.call(.me, token: alice.token).problem() == "token_expired")
      #expect(await kept.quiet() == nil)
      shift.withLock { $0 = 1_200_000 }
      #expect(try await kept.closeCode() == CloseCode.tokenExpired.number)
      await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await Socket(fixture, token: alice.token) }
    }
  }

  @Test func closesWhoeverDoesNotSpeakTheProtocol() async throws {
    let shift = Mutex<UInt64>(0)
    try await RelayFixture.run(clock: { 1_800_000_000_000 + shift.withLock { $0 } }) { fixture in
      let alice = try await fixture.person("alice")
      var generator = SystemRandomNumberGenerator()
      let valid = ClientFrame.authenticate(token: alice.token).encoded
      var messages: [[UInt8]] = [
        [], [0], [255], valid + [0], Array(valid.dropLast()), [2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
      ]
      for _ in 0..<20 {
        messages.append(
          (0..<Int.random(in: 1...300, using: &generator)).map { _ in .random(in: 4...255, using: &generator) })
      }
      for message in messages {
        for token in [nil, alice.token] {
          let socket = try await Socket(fixture, token: token)
          try await socket.stream.send(binary: message)
          #expect(try await socket.closeCode() == CloseCode.protocolViolation.number)
        }
      }
      let text = try await alice.socket()
      text.stream.connection.execute { $0.send(text: "hello") }
      #expect(try await text.closeCode() == CloseCode.protocolViolation.number)
      let eager = try await Socket(fixture, token: nil)
      try await eager.follow(.random(), incarnation: 0)
      #expect(try await eager.closeCode() == CloseCode.protocolViolation.number)
      let silent = try await Socket(fixture, token: nil)
      shift.withLock { $0 = 11_000 }
      #expect(try await silent.closeCode() == CloseCode.tokenRejected.number)
      let large = try await alice.socket()
      try await large.stream.send(binary: [UInt8](repeating: 3, count: Limits.frame + 1))
      #expect(try await large.closeCode() == 1009)
      #expect(try await fixture.call(.live).status == 200)
    }
  }

  @Test func refusesForeignPagesAndVersions() async throws {
    try await RelayFixture.run({ $0.allowedOrigins = ["https://kin.example"] }) { fixture in
      let alice = try await fixture.person("alice")
      await #expect(throws: NetworkError(.upgradeRefused, "")) {
        _ = try await Socket(fixture, token: alice.token, origin: "https://evil.example")
      }
      _ = try await Socket(fixture, token: alice.token, origin: "https://kin.example")
      let old = try await Socket(fixture, token: alice.token, subprotocol: nil)
      #expect(try await old.closeCode() == CloseCode.unsupportedVersion.number)
    }
  }

  @Test func boundsConnectionsOfOneAccount() async throws {
    try await RelayFixture.run({ $0.connectionsPerAccount = 2 }) { fixture in
      let alice = try await fixture.person("alice")
      let (first, second) = (try await alice.socket(), try await alice.socket())
      let third = try await Socket(fixture, token: alice.token)
      #expect(try await third.closeCode() == CloseCode.tooManyConnections.number)
      first.stream.close()
      let isAdmitted = try await eventually {
        guard case .ready? = try await Socket(fixture, token: alice.token).next() else { return false }
        return true
      }
      #expect(isAdmitted && second.stream.closeCode == nil)
    }
  }

  /// A client that reads nothing is closed, and the others hear everything.
  @Test func givesUpTheSlow() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let incarnation = try await alice.log(of: room).last.incarnation
      let (slow, quick) = (try await alice.socket(), try await alice.socket())
      for socket in [slow, quick] { _ = try await socket.following(room, incarnation: incarnation) }
      slow.stream.connection.execute { $0.pause() }
      let message = [UInt8](repeating: 7, count: 900_000)
      let closes = "kin_socket_closes_total{reason=\"too_slow\"} 1"
      var sequence: UInt64 = 0
      for _ in 0..<40 where !fixture.relay.metrics.exposition().contains(closes) {
        let request = SendRequest(sendID: .random(), epoch: 0, message: message)
        let _: SendResponse = try await alice.call(.send, Route.send.path("\(room)"), request)
        sequence += 1
        try await quick.expectEntry(sequence)
      }
      #expect(try await eventually { fixture.relay.metrics.exposition().contains(closes) })
      try await alice.send("after", to: room)
      try await quick.expectEntry(sequence + 1)
    }
  }
}
