import Foundation
import Glibc
import Networking
import PostgresFixture
import RelayProtocol
import Testing

/// What is left at the relay of a whole life of people, rooms and administrators (docs/threat-model.md, class 55).
@Suite(.serialized) struct PrivacyTests {
  /// Attack 60, at the client's end.
  @Test func aCrashLeavesNoImageOfTheMemory() async throws {
    let relay = try await RelayProcess()
    let alice = try await Person("alice", at: relay)
    let running = try alice.start(["watch", "--json"])
    try await wait(for: "alice to be connected") { running.text.contains("live") }
    let limits = try String(contentsOfFile: "/proc/\(running.pid)/limits", encoding: .utf8)
    let line = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
    #expect(line?.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"], "\(line ?? "none")")
    running.kill()
  }

  /// What the relay must not have anywhere, and what it must not put into logs and metrics.
  private struct Secrets {
    /// Texts, names of rooms, passwords, tokens, the secrets of links.
    var anywhere: [String] = []
    /// Who there is, and who knows whom.
    var identities: [String] = []
  }

  @Test(arguments: ["sqlite", "postgres"])
  func nothingIsLeftOfWhatWasSaid(_ store: String) async throws {
    let folder = try TemporaryFolder()
    var arguments = [
      "--metrics-listen", "127.0.0.1:0", "--registration", "invite", "--log-level", "debug",
      "--password-passes", "1", "--password-memory-kib", "1024",
    ]
    var database: String?
    if store == "postgres" {
      let made = try PostgresServer.shared().makeDatabase()
      let file = folder.path("database")
      try made.write(toFile: file, atomically: true, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
      arguments += ["--store", "postgres", "--postgres-url-file", file]
      database = made
    }
    let relay = try await RelayProcess(arguments)
    let secrets = try await live(on: relay, store: store)
    try await wait(for: "the relay to be looked at") { try await !metrics(relay).isEmpty }
    let page = try await metrics(relay)
    // What an operator gets out of it: the audit log says who was acted on, by id, and so do no other files.
    let audit = try await admin(relay, store, "audit", "--json")
    #expect(audit.contains("users disable") && audit.contains("keys rotate"))
    var files = try relay.everything()
    if let database {
      files["dump"] = Data(try Self.dump(database).utf8)
    } else {
      let copy = folder.path("copy.db")
      #expect(try await relay.perform("backup", "--to", copy).exit == 0)
      files["backup"] = try Data(contentsOf: URL(fileURLWithPath: copy))
    }
    files["audit"] = Data(audit.utf8)
    // A crash leaves no image of the memory.
    let limits = try relay.limits().split(separator: "\n").first { $0.hasPrefix("Max core file size") }
    #expect(limits?.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"], "\(limits ?? "none")")
    #expect(try !FileManager.default.contentsOfDirectory(atPath: relay.dataPath).contains { $0.hasPrefix("core") })
    relay.signal(SIGTERM)
    #expect(try await relay.ended() == 0)
    files[relay.logPath] = try Data(contentsOf: URL(fileURLWithPath: relay.logPath))

    #expect(secrets.anywhere.count > 15 && secrets.identities.count >= 15)
    for (path, data) in files {
      for secret in secrets.anywhere {
        for form in Self.forms(secret) { #expect(data.range(of: form) == nil, "\(secret) is in \(path)") }
      }
    }
    let log = try String(contentsOfFile: relay.logPath, encoding: .utf8).lowercased()
    #expect(log.split(separator: "\n").count >= 2)
    for (name, text) in [("log", log), ("metrics", page.lowercased())] {
      for secret in secrets.identities + secrets.anywhere + ["127.0.0.1"] {
        #expect(!text.contains(secret.lowercased()), "\(secret) is in the \(name)")
      }
    }
    for secret in secrets.identities where !UserID.isText(secret) {
      #expect(!audit.contains(secret), "\(secret) is in the audit log")
    }
  }

  /// A life with everything in it.
  private func live(on relay: RelayProcess, store: String) async throws -> Secrets {
    var secrets = Secrets()
    var people: [Person] = []
    for name in ["alice.of.wonder", "bob.of.nowhere", "carol.of.sighs", "dave.of.late"] {
      let made = try await admin(relay, store, "invites", "create", "--json")
      let token = try #require(try Person.objects(made).first?["token"] as? String)
      let person = try await Person(name, at: relay, invite: token)
      people.append(person)
      secrets.anywhere += [token, person.password]
      let own = try #require(try await person.must("whoami", "--json").objects.first)
      let user = try #require(own["user"] as? String ?? own["id"] as? String)
      let device = try #require(own["device"] as? String)
      secrets.identities += [name, user, device]
      secrets.anywhere += try await tokens(relay, login: name, person.password, device)
    }
    let (alice, bob, carol, dave) = (people[0], people[1], people[2], people[3])
    try await alice.must("contacts", "request", "bob.of.nowhere")
    try await bob.must("contacts", "accept", "alice.of.wonder")
    try await bob.must("contacts", "block", "dave.of.late")
    try await alice.must("profile", "set", "--display-name", "Alice in Chains")
    secrets.identities += ["Alice in Chains"]
    try await alice.must("room", "create", "Secret Garden", "--policy", "ask", "--topic", "apples of silver")
    let room = try #require(try await alice.must("rooms", "--json").objects.first?["room"] as? String)
    secrets.identities.append(room)
    let made = try await alice.must("room", "link", "Secret Garden", "new", "--json").objects
    let link = try #require(made.first?["link"] as? String)
    let file = bob.folder.path("link")
    try link.write(toFile: file, atomically: true, encoding: .utf8)
    try await bob.must("join", "--link-file", file)
    let codes = try await alice.must("room", "code", "Secret Garden", "new", "--json").objects
    let code = try #require(codes.first?["code"] as? String)
    try await carol.must("join", code)
    try await alice.must("room", "admit", "Secret Garden", "carol.of.sighs")
    let texts = ["meet me at noon", "by the old oak tree", "bring nobody with you"]
    for (person, text) in zip([alice, bob, carol], texts) { try await person.must("send", "Secret Garden", text) }
    #expect(try await alice.history("Secret Garden").map(\.text) == texts)
    try await alice.must("room", "ban", "Secret Garden", "bob.of.nowhere")
    #expect(try await bob.run("send", "Secret Garden", "a word too late").exit == 5)
    try await alice.must("room", "create", "--direct", "carol.of.sighs")
    try await alice.must("send", "carol.of.sighs", "between the two of us")
    secrets.anywhere +=
      texts + [
        "Secret Garden", "apples of silver", "between the two of us", "a word too late",
        String(try #require(link.split(separator: "#").last)),
      ]
    secrets.identities.append(code)
    // Acts of administrators, and calls that fail in all ways.
    for words in [["users", "disable"], ["users", "enable"], ["users", "logout"], ["users", "lock"]] {
      _ = try await admin(relay, store, words + ["dave.of.late"])
    }
    #expect(try await dave.run("rooms").exit != 2)
    _ = try await admin(relay, store, "keys", "rotate")
    _ = try await tokens(
      relay, login: "alice.of.wonder", "not the password at all", "00000000-0000-0000-0000-000000000000")
    for path in ["/v1/rooms/\(room)?token=\(secrets.anywhere[2])", "/v1/users/alice.of.wonder", "/v1/invites/\(code)"] {
      _ = try await HTTPClient().send(HTTPClientRequest(.get, try WebURL(relay.url + path)))
    }
    secrets.anywhere.append("not the password at all")
    return secrets
  }

  /// A session of the account's own, whose tokens are seen here.
  private func tokens(
    _ relay: RelayProcess, login: String, _ password: String, _ device: String
  ) async throws -> [String] {
    let body = try JSONSerialization.data(withJSONObject: ["login": login, "password": password, "device": device])
    let answer = try await HTTPClient().send(
      HTTPClientRequest(.post, try WebURL(relay.url + Route.logIn.path), body: Array(body), timeout: .seconds(20)))
    guard let session = try? JSONDecoder().decode(SessionResponse.self, from: Data(answer.body)) else { return [] }
    return [session.accessToken, session.refreshToken]
  }

  private func metrics(_ relay: RelayProcess) async throws -> String {
    let said = try String(contentsOfFile: relay.folder.path("relay.out"), encoding: .utf8)
    let address = said.split(separator: "\n").first { $0.hasPrefix("metrics on ") }?.dropFirst(11)
    let url = try WebURL("http://\(try #require(address))/metrics")
    return String(decoding: try await HTTPClient().send(HTTPClientRequest(.get, url)).body, as: UTF8.self)
  }

  private func admin(_ relay: RelayProcess, _ store: String, _ words: String...) async throws -> String {
    try await admin(relay, store, words)
  }

  private func admin(_ relay: RelayProcess, _ store: String, _ words: [String]) async throws -> String {
    let result = try await relay.perform(["admin"] + words + (store == "postgres" ? relay.storeArguments : []))
    #expect(result.exit == 0, "\(words): \(result.output)")
    return result.output
  }

  /// All rows of all tables, as a dump has them.
  private static func dump(_ database: String) throws -> String {
    let server = try PostgresServer.shared()
    let tables = try server.run(
      "SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'", in: database
    ).compactMap(\.first).compactMap { $0 }
    #expect(tables.count > 10)
    return try tables.flatMap { table in
      try server.run("SELECT row_to_json(t)::text FROM \(table) AS t", in: database).compactMap { $0.first ?? nil }
    }.joined(separator: "\n")
  }

  /// The ways in which bytes stand in files: as they are, and in the texts that bytes are written in.
  private static func forms(_ secret: String) -> [Data] {
    let bytes = Array(secret.utf8)
    var forms = [Data(bytes), Data(bytes.map { String(format: "%02x", $0) }.joined().utf8)]
    // A third of what base64url makes of it, wherever it begins in what is encoded.
    for skipped in 0..<3 {
      let text = Base64URL([UInt8](repeating: 0, count: skipped) + bytes).text.dropFirst(4).dropLast(4)
      if text.utf8.count > 8 { forms.append(Data(text.utf8)) }
    }
    // A token is base64url itself: what it stands for must not be there either.
    if let value = Base64URL(text: Substring(secret))?.bytes, value.count >= 16 {
      forms += [Data(value), Data(value.map { String(format: "%02x", $0) }.joined().utf8)]
    }
    return forms
  }
}

extension UserID {
  /// Whether a text is an identifier: the audit log names those, and nobody by name.
  fileprivate static func isText(_ text: String) -> Bool { UserID(text) != nil }
}
