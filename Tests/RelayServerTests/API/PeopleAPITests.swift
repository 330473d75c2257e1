import CryptoPrimitives
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

struct PeopleAPITests {
  @Test func registersWithAnInvitationOnly() async throws {
    try await RelayFixture.run({ $0.registration = .invite }) { fixture in
      func register(_ name: String, _ token: String?) async throws -> String {
        let list = try Person.newList(accountKey: .generate())
        let response = try await fixture.call(
          .register, nil,
          RegisterRequest(username: name, password: Person.password, invite: token, deviceList: list.encoded))
        return response.status == 201 ? "made" : try response.problem()
      }
      let made = await AdminTests.run("invites", "create", values: ["uses": "2"], at: fixture)
      let token = try #require(made.lines.first?.split(separator: "\t").first.map(String.init))
      for wrong in [nil, "", "x", token + "A", String(token.dropLast()), String(repeating: "A", count: 5000)] {
        #expect(try await register("mallory", wrong) == "invitation_invalid")
      }
      #expect(try await register("alice", token) == "made")
      // What fails for another reason uses nothing up.
      #expect(try await register("alice", token) == "username_taken")
      let codes = try await withThrowingTaskGroup(of: String.self) { group in
        for index in 0..<8 { group.addTask { try await register("racer\(index)", token) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(codes.count { $0 == "made" } == 1 && codes.count { $0 == "invitation_invalid" } == 7)
      let listed = await AdminTests.run("invites", "list", values: ["json": ""], at: fixture)
      #expect(listed.lines.first?.contains("\"used\":2") == true && listed.lines.first?.contains(token) == false)
    }
  }

  @Test func logsInByAddressAtTheSameCost() async throws {
    try await RelayFixture.run { fixture in
      let key = SigningKey.generate()
      let list = try Person.newList(accountKey: key)
      let device = list.list.devices[0].device
      let request = RegisterRequest(
        username: "alice", password: Person.password, email: "Alice@Example.org", phone: "+4412345678",
        profile: ProfileBody(displayName: "Alice L.", avatarURL: "https://x.example/a.png"), deviceList: list.encoded)
      #expect(try await fixture.call(.register, nil, request).status == 201)
      for login in ["alice", "ALICE", "alice@example.org", "Alice@Example.ORG"] {
        let response = try await fixture.call(
          .logIn, nil, LoginRequest(login: login, password: Person.password, device: device))
        #expect(response.status == 201, "\(login)")
        let token = try response.decoded(SessionResponse.self).accessToken
        let me: AccountResponse = try await fixture.call(.me, token: token).decoded()
        #expect(me.email == "alice@example.org" && me.phone == "+4412345678" && me.profile.displayName == "Alice L.")
      }
      func failure(_ login: String) async throws -> (UInt64, [UInt8]) {
        let before = fixture.relay.passwordHashes
        let response = try await fixture.call(
          .logIn, nil, LoginRequest(login: login, password: "wrong password", device: device))
        #expect(try response.problem() == "invalid_credentials")
        return (fixture.relay.passwordHashes - before, response.body.sorted())
      }
      let known = try await failure("alice@example.org")
      let unknown = try await failure("nobody@example.org")
      #expect(known.0 == 1 && unknown.0 == 1 && known.1 == unknown.1)
      var other = request
      other.username = "bob"
      other.deviceList = Base64URL(try Person.newList(accountKey: .generate()).encoded)
      for phone in ["123", "+12", "+1234567890123456", "+12345a789"] {
        other.phone = phone
        #expect(try await fixture.call(.register, nil, other).problem() == "invalid_request")
      }
      other.phone = nil
      other.email = "ALICE@example.org"
      #expect(try await fixture.call(.register, nil, other).problem() == "username_taken")
    }
  }

  @Test func listsAndEndsSessions() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let mallory = try await fixture.person("mallory")
      var second = alice
      second.session = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: alice.device)
      ).decoded()
      let socket = try await second.socket()
      let listed: SessionsResponse = try await alice.call(.sessions)
      #expect(listed.sessions.count == 2 && listed.sessions.count { $0.isCurrent } == 1)
      let other = try #require(listed.sessions.first { !$0.isCurrent })
      let path = Route.endSession.path(other.id)
      // Another's session is none at all.
      #expect(try await fixture.call(.endSession, path, token: mallory.token).problem() == "not_found")
      #expect(try await fixture.call(.endSession, path, token: alice.token).status == 204)
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await second.call(.me) }
      #expect(try await fixture.call(.endSession, path, token: alice.token).problem() == "not_found")
      let last = try await alice.socket()
      #expect(try await fixture.call(.endSessions, token: alice.token).status == 204)
      #expect(try await last.closeCode() == CloseCode.sessionEnded.number)
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await alice.call(.me) }
      let _: AccountResponse = try await mallory.call(.me)
    }
  }

  @Test func tellsContactsOfRequestsAndAcceptance() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let socket = try await bob.socket()
      #expect(try await alice.contact("bob", "request") == "done")
      #expect(try await socket.next() == .look(.contacts))
      #expect(try await bob.contactStates() == ["alice": "received"])
      #expect(try await bob.contact("alice", "accept") == "done")
      #expect(try await alice.contactStates() == ["bob": "accepted"])
      #expect(try await alice.contact("bob", "dance") == "not_found")
      #expect(try await alice.contact("nobody", "request") == "user_not_found")
      #expect(try await alice.contact("alice", "request") == "invalid_request")
      var codes: Set<String> = []
      for _ in 0..<60 { codes.insert(try await alice.contact("nobody", "request")) }
      #expect(codes.contains("rate_limited"))
    }
  }

  /// Whatever the blocked asks is answered as for an account that does not exist.
  @Test func theBlockedCannotTellTheDifference() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      try await alice.becomeContacts(with: bob)
      #expect(try await alice.contact("bob", "block") == "done")
      #expect(try await bob.contactStates() == [:])
      let claim = Route.claimKeyPackages
      for (path, route) in [
        ("/v1/users/NAME", Route.user), ("/v1/users/NAME/key-packages/claim", claim),
        ("/v1/contacts/NAME/request", .changeContact), ("/v1/contacts/NAME/block", .changeContact),
        ("/v1/contacts/NAME/accept", .changeContact), ("/v1/contacts/NAME/unblock", .changeContact),
      ] {
        for (name, nobody) in [("alice", "nobody"), ("\(alice.user)", "\(UserID.random())")] {
          let blocked = try await fixture.call(route, path.replacing("NAME", with: name), token: bob.token)
          let unknown = try await fixture.call(route, path.replacing("NAME", with: nobody), token: bob.token)
          #expect(blocked.status == 404 && blocked.status == unknown.status, "\(path)")
          #expect(blocked.body.sorted() == unknown.body.sorted(), "\(path)")
        }
      }
      #expect(try await bob.presence(of: alice) == [])
      // In a room that both are in, devices can still be looked up by id; a new room is refused.
      let room = try await bob.createRoom()
      await #expect(throws: Refusal(code: "user_not_found")) { try await bob.commit(room, epoch: 0, add: [alice]) }
      let hers = try await alice.createRoom()
      try await alice.commit(hers, epoch: 0, add: [bob])
      let found: UserResponse = try await bob.call(.user, Route.user.path("\(alice.user)"))
      // What she shows of herself goes to whom her presence goes.
      #expect(found.user == alice.user && found.profile == nil)
      #expect(try await bob.presence(of: alice) == [])
      let his: UserResponse = try await alice.call(.user, Route.user.path("\(bob.user)"))
      #expect(his.profile != nil)
    }
  }

  @Test func pushesPresenceToThoseWhoMaySeeIt() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let stranger = try await fixture.person("stranger")
      try await alice.becomeContacts(with: bob)
      let (socket, strangers) = (try await bob.socket(), try await stranger.socket())
      #expect(try await bob.presence(of: alice) == ["offline"])
      let hers = try await alice.socket()
      #expect(try await Self.presence(on: socket, of: alice) == .online)
      #expect(try await bob.presence(of: alice, stranger) == ["online"])
      #expect(try await stranger.presence(of: alice) == [])
      let busy = try await fixture.call(
        .putPresence, token: alice.token, PresenceRequest(status: "busy", isShown: true))
      #expect(busy.status == 204)
      #expect(try await Self.presence(on: socket, of: alice) == .busy)
      let hidden = try await fixture.call(
        .putPresence, token: alice.token, PresenceRequest(status: "busy", isShown: false))
      #expect(hidden.status == 204)
      #expect(try await Self.presence(on: socket, of: alice) == .offline)
      #expect(try await bob.presence(of: alice) == [])
      let wrong = try await fixture.call(
        .putPresence, token: alice.token, PresenceRequest(status: "dancing", isShown: true))
      #expect(try wrong.problem() == "invalid_request")
      let many = PresenceQuery(users: (0..<501).map { _ in .random() })
      #expect(try await fixture.call(.queryPresence, token: bob.token, many).problem() == "too_large")
      #expect(await strangers.quiet() == nil)
      _ = hers
    }
  }

  private static func presence(on socket: Socket, of person: Person) async throws -> PresenceStatus? {
    while let frame = try await socket.any() {
      if case .presence(let news) = frame, news.user == person.user { return news.status }
    }
    return nil
  }

  @Test func showsProfilesToThoseWhoKnowEachOther() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let profile = ProfileBody(displayName: "Alice \u{1f600}", avatarURL: "https://x.example/a.png")
      #expect(try await fixture.call(.putProfile, token: alice.token, profile).status == 204)
      func seen() async throws -> ProfileBody? {
        let response: UserResponse = try await bob.call(.user, Route.user.path("alice"))
        return response.profile
      }
      #expect(try await seen() == nil)
      try await alice.becomeContacts(with: bob)
      #expect(try await seen() == profile)
      let socket = try await bob.socket()
      #expect(try await fixture.call(.putProfile, token: alice.token, profile).status == 204)
      while let frame = try await socket.next() {
        if case .profile(let user) = frame {
          #expect(user == alice.user)
          break
        }
      }
      for (name, avatar) in [
        ("a\nb", ""), ("\u{1b}[31m", ""), ("\u{202e}evil", ""), (String(repeating: "x", count: 65), ""), (" x", ""),
        ("ok", "http://x.example/"), ("ok", "javascript:alert(1)"), ("ok", "https://x.example/\u{1b}"),
        ("ok", "https://x.example/" + String(repeating: "a", count: 600)), ("\u{2028}", ""), ("x\u{feff}", ""),
      ] {
        let response = try await fixture.call(
          .putProfile, token: alice.token, ProfileBody(displayName: name, avatarURL: avatar))
        #expect(try response.problem() == "invalid_request", "\(name.debugDescription) \(avatar)")
      }
    }
  }
}
