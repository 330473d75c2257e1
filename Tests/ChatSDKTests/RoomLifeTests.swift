import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// Rooms of two, settings, owners, the directory, the end, and coming back into step.
@Suite struct RoomLifeTests {
  @Test func settingsReachEverybodyAndTheRelayOnlyAsFarAsItMust() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let wanted = RoomSettings(
      name: "Orchard", topic: "apples", avatar: "https://example.org/a.png", joinPolicy: .ask, retention: 86_400,
      disappearing: 3600, history: .days(7))
    try await story.room("alice").change { $0 = wanted }
    try await story.deliverAll().agrees()
    #expect(try await story.room("bob").settings == wanted)
    let heard = try await world.member("bob").events
    #expect(heard.contains { if case .roomRenamed(let change) = $0 { change.name == "Orchard" } else { false } })
    let changed = heard.compactMap { if case .settingsChanged(let change) = $0 { change.changed } else { nil } }
    #expect(changed == [Set(RoomSetting.allCases).subtracting([.name, .invites])])
    await #expect(throws: ChatError(.notPermitted)) { try await story.room("bob").change { $0.topic = "mine" } }
    await #expect(throws: ChatError(.invalidName)) { try await story.room("alice").rename(to: "") }
    let status = try await story.room("bob").status()
    #expect(status.role == .member && status.members == 2 && status.relayEpoch == status.epoch)
    let bodies = try await world.member("alice").wire?.calls.map { String(decoding: $0.call.body, as: UTF8.self) } ?? []
    #expect(!bodies.contains { $0.contains("apples") || $0.contains("Orchard") || $0.contains("example.org") })
    await world.end()
  }

  @Test func ownersTransferAndTheLastDoesNotLeave() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let (alice, bob) = (try await story.room("alice"), try await story.room("bob"))
    await #expect(throws: ChatError(.lastOwner)) { try await alice.leave() }
    await #expect(throws: ChatError(.lastOwner)) { try await alice.setRole(.member, of: "alice") }
    await #expect(throws: ChatError(.notPermitted)) { try await bob.transfer(to: "carol") }
    try await alice.transfer(to: "bob")
    try await story.deliverAll().agrees()
    #expect(
      try await bob.members().map { "\($0.person.username) \($0.role)" } == [
        "alice admin", "bob owner", "carol member",
      ])
    await #expect(throws: ChatError(.notPermitted)) { try await alice.remove("bob") }
    try await alice.leave()
    try await story.deliverAll().agrees()
    #expect(try await bob.members().map(\.person.username) == ["bob", "carol"])
    let listed = try await bob.context.api.members(of: story.id)
    #expect(
      Dictionary(uniqueKeysWithValues: listed.map { ($0.username, $0.role) }) == ["bob": .owner, "carol": .member])
    for name in ["bob", "carol"] { #expect(try await world.client(name).diagnose().isEmpty) }
    await world.end()
  }

  // MARK: Rooms of two

  @Test func ofTwoThereIsOneRoom() async throws {
    let world = try await World("alice", "bob", "carol")
    let (alice, bob) = (try await world.client("alice"), try await world.client("bob"))
    async let first = alice.directRoom(with: "bob")
    async let second = bob.directRoom(with: "alice")
    let (one, other) = (try await first, try await second)
    #expect(one.id == other.id)
    #expect(await one.name == "bob")
    #expect(await other.name == "alice")
    #expect(try await alice.directRoom(with: "bob").id == one.id)
    try await one.send("just us")
    try await bob.sync()
    #expect(try await other.history().map(\.text) == ["just us"])
    // Nobody else comes in, and nothing but its times can be changed.
    await #expect(throws: ChatError(.notPermitted)) { try await one.invite("carol") }
    await #expect(throws: ChatError(.notPermitted)) { try await one.change { $0.joinPolicy = .open } }
    await #expect(throws: ChatError(.notPermitted)) { try await one.setRole(.member, of: "bob") }
    await #expect(throws: ChatError(.notPermitted)) { try await other.remove("alice") }
    try await other.change { $0.disappearing = 60 }
    try await alice.sync()
    #expect(try await one.settings.disappearing == 60)
    // When one has left, the two can begin anew.
    try await other.leave()
    let again = try await alice.directRoom(with: "bob")
    #expect(again.id != one.id)
    // The name means the room in which somebody answers.
    #expect(try await alice.room("bob").id == again.id)
    await world.end()
  }

  // MARK: The end

  @Test func deletionErasesEverywhere() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").says("alice", "soon gone").deliverAll()
    try await world.member("carol").stop()
    let (alice, bob) = (try await world.client("alice"), try await world.client("bob"))
    let room = try await story.room("bob")
    await #expect(throws: ChatError(.notPermitted)) { try await bob.delete(room) }
    try await alice.delete(story.room("alice"))
    try await bob.sync()
    // Who was away learns of it too.
    try await world.member("carol").start()
    let carol = try await world.client("carol")
    try await carol.sync()
    for (name, client) in [("alice", alice), ("bob", bob), ("carol", carol)] {
      #expect(try await client.rooms().isEmpty)
      let context = await client.context
      #expect(try context.store.read { try $0.messages(in: story.id, before: .max >> 1, limit: 10).count } == 0)
      #expect(try context.store.read { try $0.record(.groupEpoch, story.id.bytes) } == nil)
      let heard = try await world.member(name).events
      try await eventually {
        heard.contains { if case .roomDeleted(let change) = $0 { change.by?.username == "alice" } else { false } }
      }
    }
    await #expect(throws: ChatError(.notAMember)) { try await alice.context.api.room(story.id) }
    await world.end()
  }

  /// A relay that says so by itself makes nobody erase anything.
  @Test func deletionNeedsTheOwnersWord() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").says("alice", "stays").deliverAll()
    let mallory = try await world.client("mallory").context.identity()
    for proof in [[], [1, 2, 3], try DeletionProof.make(room: story.id, mallory).encoded] as [[UInt8]] {
      try await world.tamper("bob", path: "/v1/rooms") { (answer: RoomsResponse) in
        RoomsResponse(rooms: [], deleted: [.init(room: story.id, proof: proof)])
      }
      try await world.client("bob").sync()
      #expect(try await story.room("bob").history().map(\.text) == ["stays"])
      #expect(try await world.client("bob").diagnose().contains { $0.code == .deletionUnproven })
    }
    await world.end()
  }

  // MARK: The directory

  @Test func directoryShowsWhatOwnersPublish() async throws {
    let world = try await World("alice", "bob")
    let (alice, bob) = (try await world.client("alice"), try await world.client("bob"))
    var ids: [RoomID] = []
    for name in ["Ärger 100%", "Zen Garden", "garden_two", "Gardening", "Private"] {
      let room = try await alice.createRoom(RoomSettings(name: name, topic: "about \(name)", joinPolicy: .ask))
      ids.append(room.id)
      if name != "Private" { try await room.publish() }
    }
    func names(_ text: String) async throws -> [String] { try await bob.searchRooms(text).rooms.map(\.name) }
    #expect(try await names("GARDEN") == ["garden_two", "Gardening", "Zen Garden"])
    #expect(try await names("ärger") == ["Ärger 100%"])
    #expect(try await names("%") == ["Ärger 100%"])
    #expect(try await names("n_t") == ["garden_two"])
    #expect(try await names("Private").isEmpty)
    var (pages, next): ([String], String?) = ([], nil)
    repeat {
      let page = try await bob.searchRooms(after: next, limit: 1)
      pages += page.rooms.map(\.name)
      next = page.next
    } while next != nil
    #expect(pages == ["garden_two", "Gardening", "Zen Garden", "Ärger 100%"])
    // A listed room can be asked at without a code.
    try await bob.ask(room: ids[1])
    let zen = try await alice.room(ids[1])
    #expect(try await zen.requests().map(\.person.username) == ["bob"])
    try await zen.admit("bob")
    try await bob.sync()
    await #expect(throws: ChatError(.notPermitted)) { try await bob.room(ids[1]).withdraw() }
    try await zen.withdraw()
    #expect(try await names("zen").isEmpty)
    await world.end()
  }

  // MARK: Coming back into step

  /// A device whose store went back in time finds its way into the room by itself.
  @Test func deviceThatFellOutOfStepComesBack() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").says("alice", "before").deliverAll()
    let bob = try await story.room("bob")
    let old = try await bob.snapshot()
    for _ in 0..<5 { try await story.room("alice").updateKeys() }
    try await story.deliverAll()
    try await bob.restore(old)
    try await world.client("bob").sync()
    try await story.says("bob", "here again").deliverAll().agrees()
    #expect(try await story.room("alice").history().map(\.text) == ["before", "here again"])
    #expect(try await story.room("alice").members().allSatisfy { $0.deviceCount == 1 })
    let heard = try await world.member("alice").events
    #expect(
      heard.contains { if case .deviceEntered(let change) = $0 { change.member.username == "bob" } else { false } })
    await world.end()
  }

  /// The same where a removal has changed the secret meanwhile: it asks, and the first admin online adds it anew.
  @Test func deviceWithAnOldSecretAsksAndIsAddedAnew() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").says("alice", "before").deliverAll()
    let bob = try await story.room("bob")
    let old = try await bob.snapshot()
    try await story.removes("carol").deliverAll()
    for _ in 0..<4 { try await story.room("alice").updateKeys() }
    try await story.deliverAll()
    try await bob.restore(old)
    try await world.client("bob").sync()
    try await world.client("alice").sync()
    try await story.deliverAll()
    try await story.says("bob", "added anew").deliverAll().agrees()
    #expect(try await story.room("alice").members().map(\.deviceCount) == [1, 1])
    await world.end()
  }
}

extension Room {
  /// What is on disk of the group, and where it stands in the log.
  fileprivate func snapshot() throws -> (epoch: [UInt8], message: [UInt8], number: UInt64) {
    let (epoch, message) = try context.store.read {
      (try $0.record(.groupEpoch, id.bytes), try $0.record(.groupMessage, id.bytes))
    }
    return (epoch ?? [], message ?? [], stored.epoch)
  }

  /// Puts the group back to what it was, while the log goes on: the step between cannot be read any more.
  fileprivate func restore(_ old: (epoch: [UInt8], message: [UInt8], number: UInt64)) throws {
    stored.epoch = old.number
    box = nil
    try context.store.write { store in
      try store.set(.groupEpoch, id.bytes, to: old.epoch)
      try store.set(.groupMessage, id.bytes, to: old.message)
      try store.save(stored)
    }
  }
}
