import CryptoPrimitives
import FoundationEssentials
import Glibc
import Networking
import RelayProtocol
import Synchronization
import Testing
import WireCodec

@testable import RelayServer

struct AdminTests {
  struct Outcome {
    var code: Int32
    var lines: [String]
    var complaint: String
  }

  /// Runs `relay-server admin` as the program does, with this data folder.
  static func run(_ words: String..., values: [String: String] = [:], at fixture: RelayFixture) async -> Outcome {
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = fixture.folder + "/data"
    let (lines, complaint) = (Lines(), Lines())
    let code = await Subcommand.admin.run(
      Subcommand.Call(configuration: configuration, words: words, values: values) { lines.add($0) },
      complain: { complaint.add($0) })
    return Outcome(code: code, lines: lines.all, complaint: complaint.all.joined())
  }

  final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  @Test func disablingClosesSocketsAndPollsAtOnceAndTokensStopWorking() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      for (away, back) in [("disable", "enable"), ("lock", "enable"), ("delete", "restore")] {
        let login = try await fixture.call(
          .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: alice.device))
        var now = alice
        now.session = try login.decoded()
        let user = now
        let socket = try await user.socket()
        async let poll = fixture.call(.poll, token: user.token, PollRequest(cursors: [], wait: 20))
        try await Task.sleep(for: .milliseconds(100))
        let outcome = await Self.run("users", away, "alice", at: fixture)
        #expect(outcome.code == 0, "\(outcome.complaint)")
        let closed = try await within(.seconds(5)) { try await socket.closeCode() }
        #expect(closed == CloseCode.sessionEnded.number)
        #expect(try await poll.problem() == "session_ended")
        await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await user.call(.me) }
        await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await Socket(fixture, token: user.token) }
        let refresh = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: user.session.refreshToken))
        #expect(try refresh.problem() == "session_ended")
        let refused = try await fixture.call(
          .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: alice.device))
        #expect(try refused.problem() == "account_disabled")
        // Who does not know the password does not learn of it.
        let guess = try await fixture.call(
          .logIn, nil, LoginRequest(login: "alice", password: "wrong password", device: alice.device))
        #expect(try guess.problem() == "invalid_credentials")
        let taken = try await fixture.call(
          .register, nil,
          RegisterRequest(
            username: "alice", password: Person.password,
            deviceList: try Person.newList(accountKey: .generate()).encoded))
        #expect(try taken.problem() == "username_taken")
        #expect(await Self.run("users", back, "alice", at: fixture).code == 0)
      }
      let audit = await Self.run("audit", values: ["json": ""], at: fixture)
      #expect(audit.lines.count == 6 && audit.lines.allSatisfy { $0.contains("\"actor\":\"uid \(getuid())\"") })
      #expect(audit.lines.allSatisfy { !$0.contains("alice") && $0.contains("\(alice.user)") })
    }
  }

  @Test func listsAndLogsOutSessions() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      _ = try await fixture.person("bob")
      let socket = try await alice.socket()
      let listed = await Self.run("users", "list", values: ["json": ""], at: fixture)
      #expect(listed.lines.count == 2 && listed.lines[0].contains("\"username\":\"alice\""))
      #expect(await Self.run("users", "list", values: ["after": "alice"], at: fixture).lines.count == 1)
      #expect(await Self.run("users", "role", "bob", "admin", at: fixture).code == 0)
      #expect(await Self.run("users", "show", "bob", at: fixture).lines.first?.contains("admin") == true)
      let sessions = await Self.run("users", "sessions", "alice", at: fixture)
      #expect(sessions.lines.count == 1)
      let other = await Self.run("users", "logout", "alice", values: ["session": "1"], at: fixture)
      #expect(other.lines.first?.hasSuffix("\t0\n") == true)
      let _: AccountResponse = try await alice.call(.me)
      #expect(await Self.run("users", "logout", "alice", at: fixture).code == 0)
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      let room = try await fixture.person("carol").createRoom()
      #expect(await Self.run("rooms", "list", at: fixture).lines.count == 1)
      #expect(await Self.run("rooms", "show", "\(room)", at: fixture).code == 0)
      #expect(await Self.run("rooms", "show", "\(RoomID.random())", at: fixture).code == 5)
    }
  }

  @Test func rotatesKeysWhileItServes() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let before = await Self.run("keys", "list", at: fixture)
      #expect(before.lines.count == 1)
      #expect(await Self.run("keys", "rotate", at: fixture).code == 0)
      #expect(await Self.run("keys", "list", at: fixture).lines.count == 2)
      // A token under the key before is good until it expires; new ones come under the new key.
      let _: AccountResponse = try await alice.call(.me)
      let refreshed = try await fixture.call(
        .refresh, nil, RefreshRequest(refreshToken: alice.session.refreshToken))
      let session: SessionResponse = try refreshed.decoded()
      func head(_ token: String) -> Substring? { token.split(separator: ".").first }
      #expect(head(session.accessToken) != head(alice.token))
      #expect(try await fixture.call(.me, token: session.accessToken).status == 200)
      var status = stat()
      #expect(stat(fixture.folder + "/data/token-keys", &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(stat(fixture.folder + "/data/" + AdminSocket.name, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
  }

  @Test func aReplacedKeyIsGoodUntilItsLastTokenExpires() throws {
    let now = AccessTokenTests.now
    let old = TokenKeys(signing: .generate())
    let token = try AccessTokens(keys: old, issuer: "r", audience: "r").issue(
      AccessTokenTests.caller, now: now)
    let rotated = old.rotated(until: now + 1000, now: now)
    let tokens = AccessTokens(keys: rotated, issuer: "r", audience: "r")
    #expect(try tokens.check(token, now: now + 999) == AccessTokenTests.caller)
    #expect(throws: RelayError(.unauthenticated, "")) { try tokens.check(token, now: now + 1000) }
    #expect(rotated.rotated(until: now + 5000, now: now + 1000).keys.count == 2)
    #expect(rotated.rotated(until: now + 5000, now: now).keys.count == 3)
  }

  @Test func worksOnTheStoreWhileNoRelayRuns() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = folder + "/data"
    let relay = Relay(configuration: configuration)
    try await relay.start()
    let fixture = RelayFixture(relay: relay, folder: folder)
    let alice = try await fixture.person("alice")
    await relay.shutdown()
    #expect(await Self.run("users", "disable", "alice", at: fixture).code == 0)
    #expect(await Self.run("keys", "rotate", at: fixture).code == 0)
    configuration.port = 0
    let again = Relay(configuration: configuration)
    try await again.start()
    let response = try await RelayFixture(relay: again, folder: folder).call(.me, token: alice.token)
    #expect(try response.problem() == "session_ended")
    await again.shutdown()
  }

  /// People read dates; programs read milliseconds, as everywhere.
  @Test func saysTimesInBothWays() throws {
    let row = AdminRow([("created", .time(1_795_284_107_852)), ("until", .time(0)), ("uses", .number(2))])
    #expect(row.text == "2026-11-21T18:01:47Z\t-\t2")
    #expect(row.json == #"{"v":1,"created":1795284107852,"until":0,"uses":2}"#)
  }

  @Test func saysWhatIsWrong() async throws {
    try await RelayFixture.run { fixture in
      let typo = await Self.run("users", "lisst", at: fixture)
      #expect(typo.code == 1 && typo.complaint.contains("users list"))
      for verb in AdminVerb.all {
        #expect(
          Subcommand.admin.helpText.contains("  \(verb.name)") && AdminVerb.about[verb.name] != nil, "\(verb.name)")
      }
      #expect(AdminVerb.about.count == AdminVerb.all.count)
      #expect(await Self.run("users", "show", at: fixture).code == 1)
      #expect(await Self.run("users", "disable", "nobody", at: fixture).code == 5)
      #expect(await Self.run("users", "restore", "nobody", at: fixture).code == 5)
      #expect(await Self.run("users", "role", "nobody", "king", at: fixture).code == 1)
      #expect(await Self.run(at: fixture).code == 1)
      #expect(await Self.run("invites", "create", values: ["uses": "0"], at: fixture).code == 1)
      #expect(await Self.run("invites", "revoke", "77", at: fixture).code == 5)
    }
  }
}
