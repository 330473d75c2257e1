import CryptoPrimitives
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// Attack 49: a limit is not multiplied by sockets, requests, devices of a room or batches.
struct SendLimitTests {
  /// What became of each send over a socket, in the order of the requests.
  private func sent(_ count: Int, over socket: Socket, to room: RoomID) async throws -> [(isSent: Bool, wait: UInt32)] {
    for requestID in 0..<UInt32(count) {
      try await socket.send(
        .send(requestID: requestID, room: room, SendRequest(sendID: .random(), epoch: 0, message: [1])))
    }
    var outcomes: [UInt32: (Bool, UInt32)] = [:]
    while outcomes.count < count, let frame = try await socket.next() {
      switch frame {
      case .sent(let requestID, _): outcomes[requestID] = (true, 0)
      case .refused(let requestID, let code, let wait):
        #expect(code == RelayCode.rateLimited.number)
        outcomes[requestID] = (false, wait)
      default: break
      }
    }
    return outcomes.sorted { $0.key < $1.key }.map(\.value)
  }

  @Test func holdsOverAllSocketsAndRequests() async throws {
    try await RelayFixture.run({ $0.limits[.sends] = Rate(burst: 10, count: 1, period: .minute) }) { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let (one, other) = (try await alice.socket(), try await alice.socket())
      // All at once over one socket.
      let first = try await sent(6, over: one, to: room)
      #expect(first.allSatisfy { $0.isSent })
      let second = try await sent(8, over: other, to: room)
      #expect(second.map(\.isSent) == [true, true, true, true, false, false, false, false])
      #expect(second.filter { !$0.isSent }.allSatisfy { (50_000...60_000).contains($0.wait) })
      // Nor by a request.
      let response = try await fixture.call(
        .send, Route.send.path("\(room)"), token: alice.token,
        SendRequest(sendID: .random(), epoch: 0, message: [1]))
      #expect(try response.problem() == "rate_limited")
      let wait = try #require(response.headers["Retry-After"].flatMap { Int($0) })
      #expect((50...60).contains(wait))
      // Nor by a commit.
      await #expect(throws: Refusal(code: "rate_limited")) { try await alice.commit(room, epoch: 0) }
      #expect(try await alice.log(of: room).entries.count == 10)
    }
  }

  /// Coming back by an external commit and leaving add to the log too.
  @Test func holdsForJoinsAndLeaves() async throws {
    try await RelayFixture.run({ $0.limits[.sends] = Rate(burst: 2, count: 1, period: .hour) }) { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      func join(_ epoch: UInt64) async throws {
        let _: SendResponse = try await alice.call(
          .join, Route.join.path("\(room)"),
          JoinRequest(sendID: .random(), epoch: epoch, message: [1], invite: nil, groupInfo: nil))
      }
      for epoch in UInt64(0)..<2 { try await join(epoch) }
      await #expect(throws: Refusal(code: "rate_limited")) { try await join(2) }
      await #expect(throws: Refusal(code: "rate_limited")) {
        let _: SendResponse = try await alice.call(
          .leave, Route.leave.path("\(room)"), LeaveRequest(sendID: .random(), epoch: 2, proposal: [1]))
      }
      #expect(try await alice.log(of: room).entries.count == 2)
    }
  }

  @Test func holdsForTheRoomOverAllItsMembers() async throws {
    try await RelayFixture.run({ $0.limits[.sendsOfRoom] = Rate(burst: 5, count: 1, period: .hour) }) { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      for person in [alice, bob, alice, bob] { try await person.send("hello", to: room, epoch: 1) }
      for person in [alice, bob] {
        await #expect(throws: Refusal(code: "rate_limited")) { try await person.send("hello", to: room, epoch: 1) }
      }
      // Another room is another bucket.
      try await bob.send("hello", to: try await bob.createRoom())
    }
  }

  @Test func countsBytes() async throws {
    try await RelayFixture.run({ $0.limits[.kilobytes] = Rate(burst: 100, count: 1, period: .hour) }) { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let text = String(repeating: "x", count: 45 * 1024)
      try await alice.send(text, to: room)
      try await alice.send(text, to: room)
      await #expect(throws: Refusal(code: "rate_limited")) { try await alice.send(text, to: room) }
      try await alice.send("short", to: room)
    }
  }

  /// All that a commit brings counts, and what comes from outside counts alike.
  @Test func countsBytesOfGroupInfos() async throws {
    try await RelayFixture.run({ $0.limits[.kilobytes] = Rate(burst: 100, count: 1, period: .hour) }) { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let info = [UInt8](repeating: 7, count: 45 * 1024)
      func commit(_ epoch: UInt64) async throws {
        let _: SendResponse = try await alice.call(
          .commit, Route.commit.path("\(room)"),
          CommitRequest(
            sendID: .random(), epoch: epoch, message: [1], welcome: nil, recipients: [], added: [], removed: [],
            groupInfo: info))
      }
      func join(_ epoch: UInt64) async throws {
        let _: SendResponse = try await alice.call(
          .join, Route.join.path("\(room)"),
          JoinRequest(sendID: .random(), epoch: epoch, message: [1], invite: nil, groupInfo: info))
      }
      try await commit(0)
      try await join(1)
      await #expect(throws: Refusal(code: "rate_limited")) { try await commit(2) }
      await #expect(throws: Refusal(code: "rate_limited")) { try await join(2) }
    }
  }

  @Test func boundsRegistrationsOfOneAddress() async throws {
    try await RelayFixture.run({ $0.limits[.registrations] = Rate(burst: 2, count: 1, period: .hour) }) { fixture in
      _ = try await fixture.person("alice")
      _ = try await fixture.person("bob")
      let list = try Person.newList(accountKey: .generate())
      let response = try await fixture.call(
        .register, nil, RegisterRequest(username: "carol", password: Person.password, deviceList: list.encoded))
      #expect(try response.problem() == "rate_limited")
      #expect(response.headers["Retry-After"] != nil)
    }
  }

  /// Key packages of one account are not drained by many who each stay below their own limit.
  @Test func boundsClaimsOfOneTarget() async throws {
    try await RelayFixture.run({ $0.limits[.claimsOfTarget] = Rate(burst: 3, count: 1, period: .hour) }) { fixture in
      let alice = try await fixture.person("alice")
      for index in 0..<5 {
        let person = try await fixture.person("person\(index)")
        let response = try await fixture.call(
          .claimKeyPackages, Route.claimKeyPackages.path("\(alice.user)"), token: person.token)
        if index < 3 {
          #expect(response.status == 200)
        } else {
          #expect(try response.problem() == "rate_limited")
        }
      }
    }
  }
}
