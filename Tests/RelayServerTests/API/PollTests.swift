import RelayProtocol
import Testing

@testable import RelayServer

struct PollTests {
  static func poll(_ person: Person, _ cursors: [(RoomID, StreamPosition)], wait: Double) async throws -> PollResponse {
    try await person.call(
      .poll, nil, PollRequest(cursors: cursors.map { RoomCursor(room: $0.0, position: $0.1) }, wait: wait))
  }

  @Test func answersAtOnceOrWhenSomethingHappens() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      let start = try await alice.log(of: room).last
      let nothing = try await Self.poll(alice, [(room, start)], wait: 0.05)
      #expect(nothing.ahead.isEmpty && nothing.gone.isEmpty && nothing.welcomes == 0)
      #expect(try await Self.poll(alice, [(.random(), start)], wait: 20).gone.count == 1)

      async let waiting = Self.poll(alice, [(room, start)], wait: 20)
      try await Task.sleep(for: .milliseconds(200))
      let sent = try await alice.send("x", to: room)
      #expect(try await waiting.ahead.map(\.position) == [sent.position])
      var foreign = sent.position
      foreign.incarnation &+= 1
      #expect(try await Self.poll(alice, [(room, foreign)], wait: 20).ahead.count == 1)

      async let welcome = Self.poll(bob, [], wait: 20)
      try await Task.sleep(for: .milliseconds(200))
      try await alice.commit(room, epoch: 0, add: [bob])
      #expect(try await welcome.welcomes == 1)

      let last = try await alice.log(of: room).last
      let welcomes: WelcomesResponse = try await bob.call(.welcomes)
      _ = try await fixture.call(
        .deleteWelcome, Route.deleteWelcome.path("\(welcomes.welcomes[0].id)"), token: bob.token)
      async let gone = Self.poll(bob, [(room, last)], wait: 20)
      try await Task.sleep(for: .milliseconds(200))
      try await alice.commit(room, epoch: 1, remove: [bob])
      #expect(try await gone.gone == [room])

      async let loggedOut = fixture.call(.poll, token: alice.token, PollRequest(cursors: [], wait: 20))
      try await Task.sleep(for: .milliseconds(200))
      _ = try await fixture.call(.logOut, token: alice.token)
      #expect(try await loggedOut.problem() == "session_ended")
    }
  }

  /// Sends at every instant around a poll's beginning: none may be slept through.
  @Test func losesNoWake() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      var position = try await alice.log(of: room).last
      let begun = ContinuousClock.now
      for round in 0..<60 {
        let cursor = position
        async let answer = Self.poll(alice, [(room, cursor)], wait: 25)
        if round % 3 > 0 { try await Task.sleep(for: .microseconds(round * 60)) }
        position = try await alice.send("\(round)", to: room).position
        #expect(try await answer.ahead.first?.position.sequence == UInt64(round + 1))
      }
      #expect(ContinuousClock.now - begun < .seconds(20))
    }
  }

  @Test func boundsPollsOfOneAccount() async throws {
    try await RelayFixture.run({ $0.connectionsPerAccount = 2 }) { fixture in
      let alice = try await fixture.person("alice")
      async let first = Self.poll(alice, [], wait: 1)
      async let second = Self.poll(alice, [], wait: 1)
      try await Task.sleep(for: .milliseconds(300))
      await #expect(throws: Refusal(code: "rate_limited")) { _ = try await Self.poll(alice, [], wait: 1) }
      _ = try await (first, second)
      _ = try await Self.poll(alice, [], wait: 0)
      let cursors = (0...Limits.cursorsPerFollow).map { _ in
        (RoomID.random(), StreamPosition(incarnation: 0, sequence: 0))
      }
      await #expect(throws: Refusal(code: "invalid_request")) { _ = try await Self.poll(alice, cursors, wait: 0) }
    }
  }
}
