import CryptoPrimitives
import FoundationEssentials
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

/// Another issuer's tokens against a relay's whole interface, with its keys in a file.
struct ExternalAPITests {
  /// Somebody who comes by single sign-on.
  struct Visitor: Sendable {
    let fixture: RelayFixture
    let subject: String
    let list: SignedDeviceList

    init(_ subject: String, at fixture: RelayFixture) throws {
      (self.fixture, self.subject) = (fixture, subject)
      list = try Person.newList(accountKey: .generate())
    }

    var device: DeviceID { list.list.devices[0].device }

    func register(_ token: String, as username: String? = nil, invite: String? = nil) async throws -> HTTPResponse {
      try await fixture.call(
        .registerExternal, nil,
        ExternalRegisterRequest(token: token, username: username, invite: invite, deviceList: list.encoded))
    }

    func register(name: String?, as username: String? = nil, invite: String? = nil) async throws -> HTTPResponse {
      try await register(try TestIssuer.token(subject, name: name), as: username, invite: invite)
    }

    func logIn(_ token: String? = nil, device: DeviceID? = nil) async throws -> HTTPResponse {
      let token = try token ?? TestIssuer.token(subject)
      return try await fixture.call(
        .logInExternal, nil, ExternalLoginRequest(token: token, device: device ?? self.device))
    }
  }

  static func run(
    _ configure: @escaping (inout RelayConfiguration) -> Void = { _ in }, _ body: (RelayFixture) async throws -> Void
  ) async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = folder + "/jwks.json"
    try Data(TestIssuer.set().utf8).write(to: URL(filePath: file))
    try await RelayFixture.run(
      { settings in
        (settings.externalIssuer, settings.externalAudience) = (TestIssuer.name, TestIssuer.audience)
        settings.externalJWKSFile = file
        configure(&settings)
      }, body)
  }

  @Test func aTokenMakesAnAccountAndBeginsSessions() async throws {
    try await Self.run { fixture in
      for key in TestIssuer.keys {
        let name = key.algorithm.rawValue.lowercased()
        let visitor = try Visitor("subject of \(name)", at: fixture)
        let response = try await visitor.register(
          try TestIssuer.token(visitor.subject, name: name.uppercased() + "@team.example", by: key))
        try #require(response.status == 201, "\(String(decoding: response.body, as: UTF8.self))")
        let session: SessionResponse = try response.decoded()
        #expect(session.username == name && session.user == visitor.list.list.user && session.expiresIn == 600)
        let again: SessionResponse = try await visitor.logIn(try TestIssuer.token(visitor.subject, by: key)).decoded()
        #expect(again.user == session.user && again.accessToken != session.accessToken)
        // From here on a session like any other: it is refreshed, and it ends.
        let refreshed = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: again.refreshToken))
        let fresh: SessionResponse = try refreshed.decoded()
        #expect(try await fixture.call(.me, token: fresh.accessToken).status == 200)
        #expect(try await fixture.call(.logOut, token: fresh.accessToken).status == 204)
        #expect(try await fixture.call(.me, token: fresh.accessToken).problem() == "session_ended")
        #expect(try await visitor.logIn(device: .random()).problem() == "device_unknown")
      }
      // The issuer's token is no access token, and ours is none of the issuer's.
      let visitor = try Visitor("x", at: fixture)
      let own: SessionResponse = try await visitor.register(name: "xavier").decoded()
      #expect(try await fixture.call(.me, token: try TestIssuer.token("x")).problem() == "unauthenticated")
      #expect(try await visitor.logIn(own.accessToken).problem() == "external_token_invalid")
    }
  }

  @Test func aTokenIsGoodOnceAndOnlyForWhatWasDone() async throws {
    try await Self.run { fixture in
      let (alice, mallory) = (try Visitor("a", at: fixture), try Visitor("m", at: fixture))
      let token = try TestIssuer.token("a", name: "alice")
      #expect(try await alice.register(token).status == 201)
      #expect(try await alice.logIn(token).problem() == "external_token_invalid")
      #expect(try await mallory.register(token).problem() == "identity_in_use")
      // A refusal spends nothing.
      let second = try TestIssuer.token("a")
      #expect(try await alice.logIn(second, device: .random()).problem() == "device_unknown")
      // Of many at once one gets through.
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<8 { group.addTask { try await alice.logIn(second).status } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.count { $0 == 201 } == 1 && statuses.count { $0 == 401 } == 7, "\(statuses)")
      let numberless = try TestIssuer.token("a", ["jti": nil])
      #expect(try await alice.logIn(numberless).status == 201)
      #expect(try await alice.logIn(numberless).problem() == "external_token_invalid")
    }
  }

  /// An account belongs to (issuer, subject); nobody comes to one by having its name elsewhere.
  @Test func nobodyTakesAnAccountOverByName() async throws {
    try await Self.run { fixture in
      let local = try await fixture.person("alice")
      let stranger = try Visitor("not alice", at: fixture)
      #expect(try await stranger.register(name: "alice").problem() == "username_taken")
      #expect(try await stranger.register(name: "ALICE@team.example").problem() == "username_taken")
      #expect(
        try await stranger.logIn(try TestIssuer.token("not alice", name: "alice")).problem() == "identity_unknown")
      #expect(try await stranger.logIn(device: local.device).problem() == "identity_unknown")

      let bob = try Visitor("b", at: fixture)
      #expect(try await bob.register(name: "bob").status == 201)
      #expect(try await stranger.register(name: "bob").problem() == "username_taken")
      #expect(
        try await stranger.logIn(try TestIssuer.token("not alice", name: "bob"), device: bob.device).problem()
          == "identity_unknown")
      // Whoever the token calls otherwise now is who it was.
      let renamed: SessionResponse = try await bob.logIn(try TestIssuer.token("b", name: "alice")).decoded()
      #expect(renamed.username == "bob")
      // An account without a password has none that is right, and takes as long to say so.
      let before = fixture.relay.passwordHashes
      for password in ["", "12345678"] {
        let answer = try await fixture.call(
          .logIn, nil, LoginRequest(login: "bob", password: password, device: bob.device))
        #expect(try answer.problem() == "invalid_credentials")
      }
      #expect(fixture.relay.passwordHashes == before + 2)
    }
  }

  @Test func theTokenNamesThePersonAndOnlyWhereItDoesNotThePersonDoes() async throws {
    try await Self.run({ $0.externalUsernameClaim = "nick" }) { fixture in
      func register(_ subject: String, _ nick: String?, as username: String?) async throws -> HTTPResponse {
        let token = try TestIssuer.token(subject, name: "unused", ["nick": nick])
        return try await Visitor(subject, at: fixture).register(token, as: username)
      }
      #expect(try await register("1", nil, as: nil).problem() == "invalid_request")
      #expect(try await register("1", "[\"alice\"]", as: nil).problem() == "invalid_request")
      #expect(try await register("1", "\"a b\"", as: "A").problem() == "invalid_request")
      #expect(try await register("1", "\"alice\"", as: "bob").problem() == "invalid_request")
      let chosen: SessionResponse = try await register("1", "\"a b\"", as: "alice").decoded()
      let same: SessionResponse = try await register("2", "\"Bob\"", as: "bob").decoded()
      #expect(chosen.username == "alice" && same.username == "bob")
    }
  }

  @Test func whoGetsAnAccountIsTheOperatorsToSay() async throws {
    for (registration, external, expected) in [
      (Registration.closed, ExternalRegistration.same, "registration_closed"), (.closed, .open, nil),
      (.open, .closed, "registration_closed"), (.invite, .same, "invitation_invalid"), (.invite, .open, nil),
    ] {
      try await Self.run({ ($0.registration, $0.externalRegistration) = (registration, external) }) { fixture in
        let visitor = try Visitor("v", at: fixture)
        let response = try await visitor.register(name: "vera")
        let code = response.status == 201 ? nil : try response.problem()
        #expect(code == expected, "\(registration) \(external)")
        guard expected == "invitation_invalid" else { return }
        let token = InviteToken.make()
        let invite = InviteRecord(id: 0, uses: 1, used: 0, created: 1, expires: .max >> 1, isRevoked: false)
        let store = try #require(fixture.relay.storeForTests)
        _ = try await store.createInvite(invite, hash: InviteToken.hash(token), actor: "test")
        #expect(try await visitor.register(name: "vera", invite: token).status == 201)
        #expect(
          try await Visitor("w", at: fixture).register(name: "will", invite: token).problem() == "invitation_invalid")
      }
    }
  }

  @Test func administratorsBindDisableAndRelease() async throws {
    try await Self.run { fixture in
      func admin(_ words: String...) throws -> AdminAnswer {
        try #require(
          try AdminSocket.ask(AdminRequest(words: words, values: ["json": ""]), folder: fixture.folder + "/data"))
      }
      let alice = try await fixture.person("alice")
      let name = TestIssuer.name
      func logIn() async throws -> HTTPResponse {
        try await fixture.call(
          .logInExternal, nil, ExternalLoginRequest(token: try TestIssuer.token("s-1"), device: alice.device))
      }
      #expect(try await logIn().problem() == "identity_unknown")
      #expect(try admin("users", "link", "alice", name, "s\n1").exitCode == 1)
      #expect(try admin("users", "link", "alice", name, "s-1").lines.count == 1)
      #expect(try admin("users", "identities", "alice").lines.first?.contains("\"subject\":\"s-1\"") == true)
      let session: SessionResponse = try await logIn().decoded()
      #expect(session.user == alice.user && session.username == "alice")
      // The password still opens it, since it was there before; and the identity is nobody else's any more.
      _ = try await fixture.person("bob")
      #expect(try admin("users", "link", "bob", name, "s-1").exitCode == 5)
      #expect(try await Visitor("s-1", at: fixture).register(name: "carol").problem() == "identity_in_use")

      let socket = try await alice.socket()
      for state in ["disable", "lock", "delete"] {
        #expect(try admin("users", state, "alice").exitCode == 0)
        #expect(try await logIn().problem() == "account_disabled", "\(state)")
        #expect(try await Visitor("s-1", at: fixture).register(name: "carol").problem() == "identity_in_use")
        #expect(try admin("users", state == "delete" ? "restore" : "enable", "alice").exitCode == 0)
      }
      _ = socket
      let fresh: SessionResponse = try await logIn().decoded()
      #expect(try admin("users", "unlink", "bob", name, "s-1").exitCode == 5)
      #expect(try admin("users", "unlink", "alice", name, "s-1").lines.first?.contains("\"ended\":1") == true)
      #expect(try await fixture.call(.me, token: fresh.accessToken).problem() == "session_ended")
      #expect(try await logIn().problem() == "identity_unknown")
      let acts = try admin("audit").lines.joined()
      #expect(acts.contains("users link") && acts.contains("users unlink") && !acts.contains("s-1"))
    }
  }

  @Test func withoutAnIssuerThereIsNothing() async throws {
    try await RelayFixture.run { fixture in
      let visitor = try Visitor("v", at: fixture)
      #expect(try await visitor.register(name: "vera").problem() == "not_found")
      #expect(try await visitor.logIn().problem() == "not_found")
    }
  }

  @Test func badRequestsAndTokensAreRefusedAlike() async throws {
    try await Self.run { fixture in
      let alice = try Visitor("a", at: fixture)
      #expect(try await alice.register(name: "alice").status == 201)
      let stranger = TestIssuer.Key(.edDSA, id: TestIssuer.key(.edDSA).id)
      var bodies: Set<[UInt8]> = []
      for token in [
        "", "x", String(repeating: "x", count: 100_000), try TestIssuer.token("a", by: stranger),
        try TestIssuer.token("a", ["aud": "\"other\""]), try TestIssuer.token("a", ["exp": "1"]),
        try TestIssuer.token("a", by: TestIssuer.Key(.es256, id: "unknown")),
      ] {
        let response = try await alice.logIn(token)
        #expect(try response.problem() == "external_token_invalid")
        bodies.insert(response.body.sorted())
        #expect(try await Visitor("n", at: fixture).register(token).problem() == "external_token_invalid")
      }
      #expect(bodies.count == 1, "who sends a bad token does not learn why it is one")
      for body in ["", "{}", #"{"token":1,"device":"x"}"#, #"{"token":"x"}"#] {
        for route in [Route.logInExternal, .registerExternal] {
          #expect(try await fixture.raw("POST", route.path, body: Array(body.utf8)).problem() == "invalid_request")
        }
      }
    }
  }

  /// The file is read again when a token names an unknown key, and at SIGHUP; a damaged one changes nothing.
  @Test func theFileOfKeysIsReadAgain() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = URL(filePath: folder + "/jwks.json")
    func write(_ text: String) throws { try Data(text.utf8).write(to: file, options: .atomic) }
    let (old, new) = (TestIssuer.Key(.edDSA, id: "old"), TestIssuer.Key(.es256, id: "new"))
    try write(TestIssuer.set([old]))
    try await Self.run({ settings in
      settings.externalJWKSFile = file.path
      settings.externalJWKSPause = .zero
    }) { fixture in
      let alice = try Visitor("a", at: fixture)
      #expect(try await alice.register(try TestIssuer.token("a", name: "alice", by: old)).status == 201)
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).problem() == "external_token_invalid")
      try write(TestIssuer.set([old, new]))
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
      #expect(try await alice.logIn(try TestIssuer.token("a", by: old)).status == 201)
      for damaged in ["", "{\"keys\":[]}", "not keys"] {
        try write(damaged)
        fixture.relay.reload()
        #expect(try await alice.logIn(try TestIssuer.token("a", by: TestIssuer.key(.rs256))).status == 401)
        #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
      }
      // A withdrawn key is not asked for: it takes SIGHUP or the interval to forget it.
      try write(TestIssuer.set([new]))
      fixture.relay.reload()
      let isForgotten = try await eventually { try await alice.logIn(try TestIssuer.token("a", by: old)).status == 401 }
      #expect(isForgotten)
      #expect(try await alice.logIn(try TestIssuer.token("a", by: new)).status == 201)
    }
    var settings = RelayFixture.cheap
    settings.dataDirectory = folder + "/data"
    (settings.externalIssuer, settings.externalAudience) = (TestIssuer.name, TestIssuer.audience)
    for content in ["{}", "{\"keys\":[\(old.jwk(#","d":"AA""#))]}"] {
      try write(content)
      settings.externalJWKSFile = file.path
      await #expect(throws: RelayError(.unavailable, "")) { try await Relay(configuration: settings).start() }
    }
  }
}
