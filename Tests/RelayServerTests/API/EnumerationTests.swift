import CryptoPrimitives
import Foundation
import Networking
import Observability
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer
@testable import Storage

/// Whether something exists is told neither by an answer nor by the work that it costs (docs/threat-model.md, class 47).
///
/// Time is what others see of work; work can be counted: hashes of passwords, questions to the store, transactions.
struct EnumerationTests {
  /// What one request cost, and what came back.
  private struct Outcome: Hashable, CustomStringConvertible {
    var status: Int
    var body: [UInt8]
    var work: [String: Int]

    var description: String { "\(status) \(work) \(String(decoding: body, as: UTF8.self))" }
  }

  private static let counted = ["kin_password_hashes_total", "kin_store_reads_total", "kin_store_commits_total"]

  private static func work(_ fixture: RelayFixture) async throws -> [String: Int] {
    let page = try await fixture.client.send(
      HTTPClientRequest(.get, try WebURL("http://127.0.0.1:\(fixture.relay.metricsPort)/metrics")))
    let lines = String(decoding: page.body, as: UTF8.self).split(separator: "\n")
    return try counted.reduce(into: [:]) { all, name in
      let line = try #require(lines.first { $0.hasPrefix(name + " ") })
      all[name] = try #require(Double(line.dropFirst(name.utf8.count + 1))).exactly
    }
  }

  /// The least of some tries: what the relay does by itself now and then is nobody's answer.
  private static func outcome(
    _ fixture: RelayFixture, tries: Int = 3, _ request: () async throws -> HTTPResponse
  ) async throws -> Outcome {
    var least: Outcome?
    for _ in 0..<tries {
      let before = try await work(fixture)
      let response = try await request()
      let after = try await work(fixture)
      let cost = after.merging(before) { $0 - $1 }
      let outcome = Outcome(status: response.status, body: response.body.sorted(), work: cost)
      if least.map({ $0.work.values.reduce(0, +) > cost.values.reduce(0, +) }) ?? true { least = outcome }
    }
    return try #require(least)
  }

  private static func run(
    _ configure: (inout RelayConfiguration) -> Void = { _ in }, _ body: (RelayFixture) async throws -> Void
  ) async throws {
    try await RelayFixture.run(
      {
        $0.metricsAddress = ListenAddress(host: "127.0.0.1", port: 0)
        ($0.watchInterval, $0.retentionInterval, $0.pollInterval) = (.seconds(3600), .seconds(3600), .seconds(3600))
        $0.limits = [:]
        configure(&$0)
      }, body)
  }

  @Test func loginsOfNobodyCostWhatOthersDo() async throws {
    try await Self.run { fixture in
      let alice = try await fixture.person("alice")
      var seen: [Outcome] = []
      for name in ["alice", "nobody", "ALICE", "no@address.example", String(repeating: "x", count: 300), ""] {
        seen.append(
          try await Self.outcome(fixture) {
            try await fixture.call(
              .logIn, nil, LoginRequest(login: name, password: "not it, surely", device: alice.device))
          })
      }
      #expect(Set(seen).count == 1, "\(seen)")
      #expect(seen[0].status == 401 && seen[0].work["kin_password_hashes_total"] == 1)
    }
  }

  /// A lookup, a claim and a contact request, of whom one may not know of and of nobody, by name and by id.
  @Test func usersOutOfReachCostWhatNobodyDoes() async throws {
    try await Self.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      #expect(try await alice.contact("bob", "block") == "done")
      let requests: [(Route, String)] = [
        (.user, "/v1/users/NAME"), (.claimKeyPackages, "/v1/users/NAME/key-packages/claim"),
        (.changeContact, "/v1/contacts/NAME/request"),
      ]
      for (route, path) in requests {
        var seen: [Outcome] = []
        for name in ["alice", "nobody", "\(alice.user)", "\(UserID.random())", "x"] {
          let path = path.replacing("NAME", with: name)
          seen.append(try await Self.outcome(fixture) { try await fixture.call(route, path, token: bob.token) })
        }
        #expect(Set(seen).count == 1, "\(path) \(seen)")
        #expect(seen[0].status == 404)
      }
    }
  }

  @Test func roomsOfOthersCostWhatNoRoomDoes() async throws {
    try await Self.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      for route in [Route.room, .members, .log, .groupInfo, .code, .requests] {
        var seen: [Outcome] = []
        for id in [room, .random()] {
          let path = route.path("\(id)")
          seen.append(try await Self.outcome(fixture) { try await fixture.call(route, path, token: bob.token) })
        }
        #expect(seen[0] == seen[1] && seen[0].status == 404, "\(route.path) \(seen)")
      }
    }
  }

  /// Links that were revoked, used up, over, or are of nobody; and of a room that has banned the caller.
  @Test func badLinksAreAllAlike() async throws {
    try await Self.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let names = ["revoked", "banned", "unknown"]
      var links = Dictionary(uniqueKeysWithValues: names.map { ($0, InviteID.random()) })
      links["over"] = .random()
      let room = try await alice.createRoom()
      func change(_ epoch: UInt64, _ changes: RoomChanges) async throws {
        let request = CommitRequest(
          sendID: .random(), epoch: epoch, message: Array("commit \(epoch)".utf8), welcome: nil, recipients: [],
          added: [], removed: [], changes: changes, groupInfo: [1, 2, 3])
        let _: SendResponse = try await alice.call(.commit, Route.commit.path("\(room)"), request)
      }
      var changes = RoomChanges()
      changes.joinRule = .ask
      changes.invites = ["revoked", "banned"].compactMap { links[$0] }.map {
        InviteTerms(invite: $0, expires: 0, uses: 0)
      }
      changes.invites?.append(InviteTerms(invite: try #require(links["over"]), expires: 1, uses: 0))
      try await change(0, changes)
      changes = RoomChanges()
      changes.revoked = links["revoked"].map { [$0] }
      changes.banned = [bob.user]
      try await change(1, changes)
      var seen: [Outcome] = []
      for id in links.values.map({ "\($0)" }) + ["not-an-id"] {
        let path = Route.invite.path(id)
        seen.append(try await Self.outcome(fixture) { try await fixture.call(.invite, path, token: bob.token) })
      }
      let readable = seen.dropLast()
      #expect(Set(readable).count == 1, "\(seen)")
      #expect(Set(seen.map(\.body)).count == 1 && seen[0].status != 200)
      // The same link is good for somebody else.
      let carol = try await fixture.person("carol")
      let good = try await fixture.call(
        .invite, Route.invite.path("\(try #require(links["banned"]))"), token: carol.token)
      #expect(good.status == 200)
    }
  }

  /// Where an invitation is asked for, nobody without a good one learns which names are taken.
  @Test func takenNamesAreToldToInvitedOnly() async throws {
    try await Self.run({ $0.registration = .invite }) { fixture in
      func admin(_ words: String...) throws -> [String: Any] {
        let request = AdminRequest(words: words, values: ["json": ""])
        let answer = try #require(try AdminSocket.ask(request, folder: fixture.folder + "/data"))
        #expect(answer.error == nil)
        let line = try #require(answer.lines.first)
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      }
      func token(revoked: Bool = false) throws -> String {
        let made = try admin("invites", "create")
        if revoked { _ = try admin("invites", "revoke", "\(try #require(made["invite"] as? Int))") }
        return try #require(made["token"] as? String)
      }
      func register(_ name: String, _ invite: String?) async throws -> HTTPResponse {
        let list = try Person.newList(accountKey: .generate())
        return try await fixture.call(
          .register, nil,
          RegisterRequest(username: name, password: Person.password, invite: invite, deviceList: list.encoded))
      }
      let first = try token()
      #expect(try await register("alice", first).status == 201)
      let revoked = try token(revoked: true)
      for invite in [first, revoked, InviteToken.make(), "x"] {
        let taken = try await Self.outcome(fixture) { try await register("alice", invite) }
        let free = try await Self.outcome(fixture) { try await register("nobody", invite) }
        #expect(taken == free, "\(taken) \(free)")
        #expect(taken.status == free.status && taken.status == 403)
      }
      let good = try token()
      #expect(try await register("alice", good).problem() == "username_taken")
      // Refused, it was not used.
      #expect(try await register("bob", good).status == 201)
    }
  }

  /// Right codes and wrong ones run the same statements and end in one transaction; answers come after the same time.
  @Test func codesAreAllAlike() async throws {
    try await Self.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let (right, _) = try await Self.codes(alice)
      var seen: [Outcome] = []
      for code in [right, "222222", "not a code", right] {
        let begun = ContinuousClock.now
        seen.append(
          try await Self.outcome(fixture, tries: 1) {
            try await fixture.call(.ask, token: bob.token, AskRequest(code: code))
          })
        #expect(ContinuousClock.now - begun >= .milliseconds(60))
      }
      #expect(Set(seen.map { "\($0.status) \($0.body) \($0.work["kin_store_commits_total"] ?? -1)" }).count == 1)
      #expect(seen[0].status == 202 && seen[0].body.isEmpty)
      let waiting: AskingResponse = try await alice.call(
        .requests, Route.requests.path("\(try await alice.rooms()[0])"))
      #expect(waiting.requests.map(\.username) == ["bob"])
    }
  }

  @Test func codesRunTheSameStatements() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var facts: (right: String, closed: String, user: UserID, device: DeviceID)?
    try await RelayFixture.run({ $0.dataDirectory = folder }) { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let (right, closed) = try await Self.codes(alice)
      facts = (right, closed, bob.user, bob.device)
    }
    let known = try #require(facts)
    let database = try SQLiteDatabase(path: folder + "/relay.db")
    let recorder = Recorder(database)
    let tables = StoreTables(
      database: recorder, statements: try SQLiteStatements(database), incarnation: 1, sendRetention: 1)
    func statements(_ request: AskRequest) throws -> [String] {
      // Read before: which devices there are is remembered.
      tables.forget()
      recorder.statements = []
      let asking = NewAsking(sender: known.user, device: known.device, request: request, now: Relay.wallClock())
      try recorder.transaction { _ = try tables.ask(asking) }
      return recorder.statements
    }
    let right = try statements(AskRequest(code: known.right))
    #expect(right.count > 6)
    for code in ["222222", "", "not a code", known.closed, known.right] {
      #expect(try statements(AskRequest(code: code)) == right, "\(code)")
    }
    let unknown = try statements(AskRequest(room: .random()))
    #expect(try statements(AskRequest(room: RoomID(high: 1, low: 1))) == unknown)
  }

  /// Codes of a room that lets people ask, and of one that was closed since.
  private static func codes(_ owner: Person) async throws -> (right: String, closed: String) {
    var codes: [String] = []
    for isClosed in [false, true] {
      let room = try await owner.createRoom()
      for (epoch, rule) in [JoinRule.ask, .closed].enumerated() where epoch == 0 || isClosed {
        var changes = RoomChanges()
        changes.joinRule = rule
        let request = CommitRequest(
          sendID: .random(), epoch: UInt64(epoch), message: [UInt8(epoch)], welcome: nil, recipients: [], added: [],
          removed: [], changes: changes)
        let _: SendResponse = try await owner.call(.commit, Route.commit.path("\(room)"), request)
        guard epoch == 0 else { continue }
        let code: CodeResponse = try await owner.call(
          .newCode, Route.newCode.path("\(room)"), CodeRequest(lifetime: 3600, uses: 9))
        codes.append(code.code)
      }
    }
    return (codes[0], codes[1])
  }
}

extension Person {
  fileprivate func rooms() async throws -> [RoomID] {
    let response: RoomsResponse = try await call(.rooms)
    return response.rooms.filter { $0.joinRule == .ask }.map(\.room)
  }
}

extension Double {
  fileprivate var exactly: Int { Int(exactly: self) ?? -1 }
}

/// Writes down what is run.
private final class Recorder: SQLConnection {
  private let inner: SQLiteDatabase
  var statements: [String] = []

  init(_ inner: SQLiteDatabase) { self.inner = inner }

  func execute(_ sql: SQL) throws(StorageError) -> Int {
    statements.append(sql.text)
    return try inner.execute(sql)
  }

  func forEach(_ sql: SQL, _ body: (borrowing Row) throws -> Bool) throws {
    statements.append(sql.text)
    try inner.forEach(sql, body)
  }

  var totalChanges: Int { inner.totalChanges }

  func transaction<T>(_ body: () throws -> T) throws -> T { try inner.transaction(body) }
  func snapshot<T>(_ body: () throws -> T) throws -> T { try inner.snapshot(body) }
  func savepoint<T>(_ body: () throws -> T) throws -> T { try inner.savepoint(body) }
}
