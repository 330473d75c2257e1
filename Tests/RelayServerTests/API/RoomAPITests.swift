import Networking
import RelayProtocol
import Testing

@testable import RelayServer

struct RoomAPITests {
  @Test func keepsALogThatAllMembersRead() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      await #expect(throws: Refusal(code: "room_exists")) {
        let _: RoomResponse = try await bob.call(.createRoom, nil, CreateRoomRequest(room: room))
      }
      try await alice.commit(room, epoch: 0, add: [bob])
      let sent = try await bob.send("hello", to: room, epoch: 1)
      #expect(sent.position.sequence == 2)
      let log = try await alice.log(of: room)
      #expect(log.entries.map(\.kind) == [.commit, .application] && log.epoch == 1)
      #expect(log.entries[1].message.bytes == Array("hello".utf8))
      let members: MembersResponse = try await bob.call(.members, Route.members.path("\(room)"))
      #expect(Set(members.members.map(\.username)) == ["alice", "bob"])
      let rooms: RoomsResponse = try await bob.call(.rooms)
      #expect(rooms.rooms.map(\.room) == [room] && rooms.rooms[0].position == sent.position)
      let one: RoomResponse = try await bob.call(.room, Route.room.path("\(room)"))
      #expect(one == rooms.rooms[0])

      let welcomes: WelcomesResponse = try await bob.call(.welcomes)
      let welcome = try #require(welcomes.welcomes.first)
      #expect(welcome.room == room && welcome.position.sequence == 1)
      // Not another's to delete.
      let path = Route.deleteWelcome.path("\(welcome.id)")
      #expect(try await fixture.call(.deleteWelcome, path, token: alice.token).status == 204)
      let still: WelcomesResponse = try await bob.call(.welcomes)
      #expect(still.welcomes.count == 1)
      #expect(try await fixture.call(.deleteWelcome, path, token: bob.token).status == 204)
      let none: WelcomesResponse = try await bob.call(.welcomes)
      #expect(none.welcomes.isEmpty)

      let base = Route.log.path("\(room)")
      let page: LogResponse = try await bob.call(.log, base + "?after=1&limit=1")
      #expect(page.entries.map(\.sequence) == [2])
      for query in ["?after=x", "?limit=1.5", "?after=-1", "?incarnation="] {
        #expect(try await fixture.call(.log, base + query, token: bob.token).problem() == "invalid_request")
      }
      let stale = try await fixture.call(
        .log, base + "?after=0&incarnation=\(log.last.incarnation &+ 1)", token: bob.token)
      #expect(try stale.problem() == "incarnation_changed")

      let leave = LeaveRequest(sendID: .random(), epoch: 1, proposal: Array("remove me".utf8))
      let left: SendResponse = try await bob.call(.leave, Route.leave.path("\(room)"), leave)
      #expect(left.position.sequence == 3)
      await #expect(throws: Refusal(code: "room_not_found")) { _ = try await bob.log(of: room) }
    }
  }

  @Test func answersRetriesWithTheFirstResult() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      let id = SendID.random()
      let first = try await alice.send("once", to: room, id: id)
      #expect(try await alice.send("once", to: room, id: id) == first)
      await #expect(throws: Refusal(code: "send_id_reused")) { try await alice.send("other", to: room, id: id) }
      #expect(try await alice.log(of: room).entries.count == 1)
      await #expect(throws: Refusal(code: "epoch_unknown")) { try await alice.send("x", to: room, epoch: 7) }
      await #expect(throws: Refusal(code: "invalid_request")) { try await alice.send("", to: room) }
    }
  }

  @Test func oneOfTwoCommitsWins() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      for epoch in UInt64(1)...10 {
        let outcomes = await withTaskGroup(of: String.self) { group in
          for person in [alice, bob] {
            group.addTask {
              do {
                try await person.commit(room, epoch: epoch)
                return "won"
              } catch { return (error as? Refusal)?.code ?? "\(error)" }
            }
          }
          return await group.reduce(into: [String]()) { $0.append($1) }.sorted()
        }
        #expect(outcomes == ["epoch_conflict", "won"])
      }
      #expect(try await alice.log(of: room).epoch == 11)
    }
  }

  @Test func doesNotExistForOthers() async throws {
    try await RelayFixture.run { fixture in
      let (alice, mallory) = (try await fixture.person("alice"), try await fixture.person("mallory"))
      let room = try await alice.createRoom()
      try await alice.send("secret", to: room)
      let commit = CommitRequest(
        sendID: .random(), epoch: 0, message: [1], welcome: nil, recipients: [], added: [mallory.user], removed: [])
      let send = SendRequest(sendID: .random(), epoch: 0, message: [1])
      let leave = LeaveRequest(sendID: .random(), epoch: 0, proposal: [1])
      let bodies: [(Route, (any Encodable & Sendable)?)] = [
        (.room, nil), (.members, nil), (.log, nil), (.send, send), (.commit, commit), (.leave, leave),
        (.join, JoinRequest(sendID: .random(), epoch: 0, message: [1], invite: nil, groupInfo: nil)),
        (.groupInfo, nil), (.code, nil), (.newCode, CodeRequest(lifetime: 60, uses: 1)), (.revokeCode, nil),
        (.requests, nil), (.askBack, nil), (.refuseRequest, nil), (.deleteRoom, DeleteRoomRequest(proof: [1])),
        (.publishRoom, ListingRequest(name: "x", topic: "")), (.withdrawRoom, nil),
      ]
      #expect(Set(bodies.map(\.0)) == Set(Route.all.filter { $0.path.contains("{room}") }))
      for (route, body) in bodies {
        func path(_ room: String) -> String {
          route == .refuseRequest ? route.path(room, "\(mallory.user)") : route.path(room)
        }
        let there = try await fixture.call(route, path("\(room)"), token: mallory.token, body)
        let nowhere = try await fixture.call(route, path("\(RoomID.random())"), token: mallory.token, body)
        let malformed = try await fixture.call(route, path("not-a-room"), token: mallory.token, body)
        for response in [there, nowhere, malformed] { #expect(try response.problem() == "room_not_found") }
        // Nothing tells a room that exists from one that does not.
        #expect(there.body.count == nowhere.body.count && there.headers.count == nowhere.headers.count)
      }
      #expect(try await alice.log(of: room).entries.count == 1)

      let socket = try await mallory.socket()
      try await socket.follow(room, incarnation: try await alice.log(of: room).last.incarnation)
      guard case .following(_, let statuses)? = try await socket.next() else {
        Issue.record("no answer")
        return
      }
      #expect(statuses.map(\.outcome) == [.gone] && statuses[0].last.sequence == 0)
      try await socket.send(.send(requestID: 2, room: room, send))
      let refused = RelayFrame.refused(requestID: 2, code: RelayCode.roomNotFound.number, retryAfterMilliseconds: 0)
      #expect(try await socket.next() == refused)
      try await alice.send("more", to: room)
      #expect(await socket.quiet() == nil)
    }
  }

  @Test func boundsCommits() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      func refusal(_ request: CommitRequest) async throws -> String {
        try await fixture.call(.commit, Route.commit.path("\(room)"), token: alice.token, request).problem()
      }
      func commit(
        welcome: [UInt8]? = nil, recipients: [DeviceID] = [], added: [UserID] = [], removed: [UserID] = []
      ) -> CommitRequest {
        CommitRequest(
          sendID: .random(), epoch: 0, message: [1], welcome: welcome, recipients: recipients, added: added,
          removed: removed)
      }
      #expect(try await refusal(commit(added: [bob.user, bob.user])) == "invalid_request")
      #expect(try await refusal(commit(added: [.random()])) == "user_not_found")
      #expect(try await refusal(commit(removed: [alice.user])) == "invalid_request")
      #expect(try await refusal(commit(welcome: [1])) == "invalid_request")
      #expect(try await refusal(commit(recipients: [bob.device], added: [bob.user])) == "invalid_request")
      #expect(try await refusal(commit(welcome: [1], recipients: [bob.device])) == "device_unknown")
      #expect(try await refusal(commit(added: (0...5000).map { _ in .random() })) == "too_large")
      #expect(try await alice.log(of: room).epoch == 0)
    }
  }
}
