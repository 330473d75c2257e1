import CryptoPrimitives
import Foundation
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// What people do with each other and with rooms, from terminal to terminal, and what everybody hears of it.
@Suite(.serialized) struct PeopleAndRoomsTests {
  private func types(_ running: Running) throws -> [String] {
    try Person.objects(running.text).compactMap { $0["type"] as? String }
  }

  /// Nothing about a room's members and settings is silent, by socket and by long poll alike.
  @Test func everybodyHearsOfEverything() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    let (carol, dave) = (try await Person("carol", at: relay), try await Person("dave", at: relay))
    try await alice.must("room", "create", "Garden", "--policy", "ask")
    try await alice.must("room", "invite", "Garden", "bob", "carol")
    let watching = [
      try bob.start(["watch", "--json"]), try carol.start(["watch", "Garden", "--json", "--long-poll"]),
    ]
    try await wait(for: "both to listen") {
      try zip(watching, ["live", "polling"]).allSatisfy { try types($0).contains("joined") && $0.text.contains($1) }
    }
    try await alice.must("profile", "set", "--display-name", "Al", "--avatar", "https://a.example/a.png")
    try await alice.must("room", "rename", "Garden", "Orchard")
    try await alice.must("room", "topic", "Orchard", "pears")
    let link = try #require(
      try await alice.must("room", "link", "Orchard", "new", "--json").objects[0]["link"] as? String)
    let file = dave.folder.path("link")
    try link.write(toFile: file, atomically: true, encoding: .utf8)
    try await dave.must("join", "--link-file", file)
    for (key, value) in [("policy", "open"), ("retention", "30d"), ("disappearing", "1h"), ("history", "7")] {
      try await alice.must("room", "set", "Orchard", key, value)
    }
    try await alice.must("room", "role", "Orchard", "bob", "admin")
    try await alice.must("room", "ban", "Orchard", "dave")
    #expect(try await alice.must("room", "banned", "Orchard").output == "dave\n")
    try await alice.must("room", "unban", "Orchard", "dave")
    try await alice.must("room", "invite", "Orchard", "dave")
    try await dave.must("send", "Orchard", "back")
    try await alice.must("room", "remove", "Orchard", "dave")
    let status = try #require(try await alice.must("room", "status", "Orchard", "--json").objects.first)
    #expect(status["members"] as? Int == 3)
    #expect(status["online"] as? Int ?? 0 >= 2, "\(status)")
    #expect(status["relaySequence"] as? Int == status["sequence"] as? Int)
    try await alice.must("room", "transfer", "Orchard", "bob")
    try await alice.must("room", "leave", "Orchard")
    let expected: Set = [
      "room_renamed", "settings_changed", "member_joined", "role_changed", "member_banned", "member_unbanned",
      "member_added", "member_removed", "member_left", "message",
    ]
    for (name, running) in zip(["bob", "carol"], watching) {
      try await wait(for: "\(name) to hear that alice left") { try types(running).contains("member_left") }
      let objects = try Person.objects(running.text)
      let missing = expected.subtracting(try types(running))
      #expect(missing.isEmpty, "\(name): \(missing)")
      let changed = Set(objects.flatMap { $0["changed"] as? [String] ?? [] })
      #expect(changed == ["topic", "join_policy", "retention", "disappearing", "history", "invites"], "\(name)")
      let order = objects.compactMap { $0["type"] as? String }.filter { expected.contains($0) }
      #expect(order.first == "room_renamed" && order.last == "member_left", "\(name): \(order)")
      let roles = objects.filter { $0["type"] as? String == "role_changed" }.compactMap { $0["role"] as? String }
      #expect(roles.sorted() == ["admin", "admin", "owner"], "\(name)")
    }
    // The names that people chose stand beside what they do, by socket at once.
    #expect(watching[0].text.contains("\"avatarURL\":\"https://a.example/a.png\""))
    // The owner's word ends the room for the one who watches it and for the one who is away.
    watching[0].kill(SIGTERM)
    _ = try await watching[0].result()
    try await bob.must("room", "delete", "Orchard", "--yes")
    try await wait(for: "carol to hear of the end") { try types(watching[1]).contains("room_deleted") }
    watching[1].kill(SIGTERM)
    _ = try await watching[1].result()
    #expect(try await carol.must("rooms").output.isEmpty)
    #expect(try await carol.run("history", "Orchard").exit == 1)
  }

  /// The account's owner takes a device out of the list: its connection ends, and so does its place in the rooms.
  @Test func revokedDeviceIsOutEverywhere() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    let carol = try await Person("carol", at: relay)
    try await alice.must("room", "create", "Before")
    try await alice.must("room", "invite", "Before", "bob")
    let hearing = try alice.start(["watch", "--json"])
    try await wait(for: "alice to listen") { hearing.text.contains("\"live\"") }
    let phone = try await bob.secondDevice()
    try await wait(for: "alice to hear of the new device") { try types(hearing).contains("new_device") }
    try await bob.must("room", "create", "Garden")
    try await bob.must("room", "invite", "Garden", "alice", "carol")
    // Who enters later enters with all devices.
    try await carol.must("room", "create", "Shed")
    try await carol.must("room", "invite", "Shed", "alice", "bob")
    let listening = try bob.start(["watch", "--json"], data: phone)
    try await wait(for: "the phone to be in") { try types(listening).contains("joined") }
    try await carol.must("send", "Shed", "for all devices")
    try await wait(for: "the phone to read") { listening.text.contains("for all devices") }
    func devices(_ person: Person) async throws -> Int? {
      try await person.must("room", "members", "Shed", "--json").objects
        .first { $0["username"] as? String == "bob" }?["devices"] as? Int
    }
    #expect(try await devices(carol) == 2)

    try await bob.revokeSecondDevice()
    // 6: the session is over; the program says so and ends.
    let ended = try await listening.result()
    #expect(ended.exit == 6, "\(ended.errors)")
    // alice, a plain member of that room, is connected and does it for all.
    try await wait(for: "alice to take the phone out") { try types(hearing).contains("device_removed") }
    #expect(try await devices(carol) == 1)
    try await carol.must("send", "Shed", "not for the phone")
    #expect(try await bob.history("Shed").map(\.text) == ["for all devices", "not for the phone"])
    let lost = try await bob.run("history", "Shed", "--json", data: phone)
    #expect(!lost.output.contains("not for the phone"))
    for person in [bob, carol] { #expect(try await person.run("doctor").exit == 0, "\(person.name)") }
    hearing.kill(SIGTERM)
    _ = try await hearing.result()
  }

  /// What goes wrong is said, with an exit code, and nothing is left half done.
  @Test func unhappyWays() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    // A registration that did not come about leaves the folder good for the next try.
    let (data, key, password) = (alice.folder.path("zoe"), alice.folder.path("zoe.key"), alice.folder.path("password"))
    func register(_ url: String, _ more: String...) async throws -> Person.Result {
      try await alice.start(
        ["register", "zoe", "--relay", url, "--key-file", key, "--password-file", password] + more, data: data
      ).result()
    }
    #expect(try await register("http://127.0.0.1:1").exit == 3)
    let invalid = try await register(relay.url, "--email", "nonsense")
    #expect(invalid.exit == 5 && invalid.errors.contains("email"), "\(invalid.errors)")
    let good = try await register(relay.url, "--email", "zoe@example.org", "--avatar", "https://a.example/z.png")
    #expect(good.exit == 0, "\(good.errors)")
    let profile = try await alice.run("profile", "--json", data: data)
    #expect(profile.output.contains("https://a.example/z.png") && profile.output.contains("zoe@example.org"))
    #expect(try await register(relay.url).exit == 1)

    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    func fails(_ person: Person, _ exit: Int32, _ text: String, _ words: String...) async throws {
      let result = try await person.start(words).result()
      #expect(result.exit == exit && result.errors.contains(text), "\(words): \(result.exit) \(result.errors)")
      // The same as JSON, with the same exit code.
      let json = try await person.start(words + ["--json"]).result()
      #expect(json.exit == exit && json.errors.contains("\"exit\":\(exit)"), "\(words): \(json.errors)")
    }
    try await fails(alice, 1, "your own account", "contacts", "request", "alice")
    try await fails(alice, 1, "no such user", "contacts", "request", "nobody")
    try await fails(alice, 1, "no such member", "room", "role", "Garden", "nobody", "admin")
    try await fails(alice, 1, "asks to come in", "room", "admit", "Garden", "bob")
    try await fails(alice, 1, "no such link", "room", "link", "Garden", "revoke", "nonsense")
    try await fails(alice, 1, "no such room", "room", "status", "Nowhere")
    try await fails(alice, 5, "lets nobody in", "room", "code", "Garden", "new")
    try await fails(alice, 5, "without an owner", "room", "leave", "Garden")
    try await fails(bob, 5, "roles do not allow", "room", "transfer", "Garden", "bob")
    try await fails(bob, 5, "roles do not allow", "room", "publish", "Garden")
    try await fails(bob, 5, "roles do not allow", "room", "delete", "Garden", "--yes")

    // Disabled while connected: the watcher is told and ends.
    let watching = try bob.start(["watch", "--json"])
    try await wait(for: "bob to listen") { watching.text.contains("\"live\"") }
    #expect(try await relay.perform("admin", "users", "disable", "bob").exit == 0)
    let ended = try await watching.result()
    #expect(ended.exit == 6 && ended.output.contains("logged_out"), "\(ended.errors)")
    let audit = try await relay.perform("admin", "audit")
    #expect(audit.output.contains("users disable"), "\(audit.output)")

    // Without a relay, what is here is shown.
    try await alice.must("contacts", "request", "zoe")
    relay.kill(SIGKILL)
    #expect(try await alice.must("contacts").output.contains("zoe (requested)"))
    #expect(try await alice.must("rooms").output.hasPrefix("Garden (2 members"))
    try await fails(alice, 3, "cannot be reached", "room", "rename", "Garden", "Orchard")
    try await relay.start()
    try await alice.must("room", "rename", "Garden", "Orchard")
  }
}

extension Person {
  /// A second device of this person's account in a folder of its own, by the SDK's internals: the way to link one comes later.
  fileprivate func secondDevice() async throws -> String {
    let path = folder.path("phone")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try await withAccount { client, account in
      let key = SigningKey.generate()
      let device = DeviceID(high: Random.uint64(), low: Random.uint64())
      let now = await client.context.now
      let entry = try account.newEntry(device, signatureKey: key.publicKey, name: "phone", now: now)
      let list = try account.nextList(adding: [entry], now: now)
      try await client.publish(list)
      var record = account
      (record.device, record.deviceName, record.deviceList) = (device, "phone", list.encoded)
      record.deviceSeed = key.seed.withBytes { Array($0) }
      let store = try await EncryptedStore(.file(path + "/account.db", keyFile: folder.path("key")))
      let saved = record
      try store.write { try $0.save(saved) }
      store.close()
    }
    try FileManager.default.copyItem(atPath: folder.path("data/account.conf"), toPath: path + "/account.conf")
    let login = try await run("login", "--password-file", folder.path("password"), data: path)
    guard login.exit == 0 else { throw TimedOut(what: "the second device to log in: \(login.errors)") }
    return path
  }

  fileprivate func revokeSecondDevice() async throws {
    try await withAccount { client, account in
      let (own, now) = (account.device, await client.context.now)
      let others = try SignedDeviceList(stored: account.deviceList).list.devices.map(\.device).filter { $0 != own }
      try await client.publish(try account.nextList(removing: Set(others), now: now))
    }
  }

  private func withAccount(_ body: (ChatClient, AccountRecord) async throws -> Void) async throws {
    let note = try String(contentsOfFile: folder.path("data/account.conf"), encoding: .utf8)
    let relay = try #require(note.split(separator: "\n").first { $0.hasPrefix("relay=") }?.dropFirst(6))
    let configuration = Configuration(
      relay: String(relay), store: .file(folder.path("data/account.db"), keyFile: folder.path("key")),
      connection: .manual)
    try await ChatClient.withClient(configuration) { client in
      let context = await client.context
      let account = try context.store.read { try $0.decode(AccountRecord.self, AccountRecord.key) }
      try await body(client, try #require(account))
    }
  }
}
