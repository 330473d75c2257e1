import ChatTestKit
import RelayProtocol
import Testing

@testable import ChatSDK

@Suite struct MembershipTests {
  @Test func removedMemberCannotDecryptWhatFollows() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.says("alice", "all three").deliverAll().agrees()
    try await story.removes("carol").says("alice", "without carol").deliverAll().agrees()

    // What the relay would not give her, somebody else does: the log as bob saw it.
    let alice = try await story.room("alice")
    let carol = try await story.room("carol")
    #expect(await carol.health == .left)
    let log = try await alice.context.api.log(of: story.id, after: carol.cursor.position)
    let sealed = try #require(log.entries.last { $0.kind == .application })
    await carol.pretendMembership()
    let before = try await carol.history().map(\.text)
    for entry in log.entries where entry.kind == .application { await carol.force(entry) }
    #expect(try await carol.history().map(\.text) == before)
    #expect(before == ["all three"])
    #expect(sealed.epoch > (await carol.epoch))
    #expect(try await world.client("carol").diagnose().contains { $0.code == .invalidCommit })
    await world.end()
  }

  @Test func removedOneHearsOfItAndMayComeBack() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("bob", "first").deliverAll()
    try await story.removes("bob").deliverAll()
    let heard = try await world.member("bob").events
    #expect(heard.contains { if case .removedFromRoom = $0 { true } else { false } })
    await #expect(throws: ChatError(.notAMember)) { try await story.room("bob").send("still here?") }
    try await story.invites("bob").deliverAll()
    try await story.says("bob", "again").deliverAll().agrees()
    await world.end()
  }

  @Test func removedAndInvitedAgainWhileAway() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.removes("bob").invites("bob").says("alice", "welcome back").deliverAll().agrees()
    #expect(try await story.room("bob").history().map(\.text) == ["welcome back"])
    try await story.says("bob", "was I away?").deliverAll().agrees()
    await world.end()
  }

  @Test func twoCommitAtOnceAndBothIntentsSurvive() async throws {
    let world = try await World("alice", "bob", "carol", "dave")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.room("alice").setRole(.admin, of: "bob")
    try await story.deliverAll()
    let (alice, bob) = (try await story.room("alice"), try await story.room("bob"))
    async let first: Void = alice.invite("carol")
    async let second: Void = bob.invite("dave")
    async let third: Void = alice.rename(to: "Orchard")
    _ = try await (first, second, third)
    try await story.deliverAll().agrees()
    let members = try await alice.members().map(\.person.username)
    #expect(members == ["alice", "bob", "carol", "dave"])
    #expect(await bob.name == "Orchard")
    try await story.says("dave", "all here").deliverAll().agrees()
    await world.end()
  }

  @Test func rolesHold() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let bob = try await story.room("bob")
    await #expect(throws: ChatError(.notPermitted)) { try await bob.remove("carol") }
    await #expect(throws: ChatError(.notPermitted)) { try await bob.rename(to: "Mine") }
    await #expect(throws: ChatError(.notPermitted)) { try await bob.setRole(.owner, of: "bob") }
    try await story.room("alice").setRole(.admin, of: "bob")
    try await story.deliverAll()
    try await bob.remove("carol")
    await #expect(throws: ChatError(.notPermitted)) { try await bob.remove("alice") }
    try await story.deliverAll().agrees()
    await world.end()
  }

  @Test func leaverIsTakenOutByOthers() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.leaves("bob").deliverAll()
    let heard = try await world.member("carol").events
    #expect(heard.contains { if case .memberLeft(let change) = $0 { change.member.username == "bob" } else { false } })
    #expect(try await story.room("alice").members().map(\.person.username) == ["alice", "carol"])
    #expect(try await story.room("bob").health == .left)
    try await story.says("carol", "just us").deliverAll().agrees()
    await world.end()
  }

  @Test func newKeysHealWithoutAnybodyNoticing() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.room("bob").updateKeys()
    try await story.room("alice").updateKeys()
    try await story.deliverAll().says("alice", "new keys").deliverAll().agrees()
    await world.end()
  }

  @Test func nameOfTwoRoomsIsAmbiguous() async throws {
    let world = try await World("alice")
    let first = try await world.room("alice", named: "Same")
    _ = try await world.room("alice", named: "Same")
    let client = try await world.client("alice")
    await #expect(throws: ChatError(.ambiguousRoom)) { try await client.room("Same") }
    #expect(try await client.room(first.id.text).id == first.id)
    await #expect(throws: ChatError(.roomNotFound)) { try await client.room("None") }
    await world.end()
  }
}

extension Room {
  /// Does as if the relay had said nothing.
  func pretendMembership() { stored.health = .good }

  /// Takes an entry in, wherever the room stands.
  func force(_ entry: LogEntry) async {
    var moved = entry
    moved.sequence = stored.position.sequence + 1
    await push(moved)
    await drain?.value
  }
}
