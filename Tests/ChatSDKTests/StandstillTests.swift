import ChatTestKit
import E2ECrypto
import FoundationEssentials
import RelayProtocol
import Synchronization
import Testing

@testable import ChatSDK

/// Rooms that somebody tries to bring to a standstill, and what leads out of it (docs/threat-model.md, classes 38 and 40).
@Suite struct StandstillTests {
  /// Attack 38: a forbidden commit wins the epoch for which the owner's own commit is on its way.
  @Test func ownCommitThatLostToARefusedOneShutsNoWayOut() async throws {
    let world = try await World("alice", "bob", "mallory", "dave")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    let alice = try await story.room("alice")
    // Alice's request never arrives: what she wanted stays on her disk.
    try await alice.prepareUpdate()
    #expect(await alice.pending != nil)
    try await story.room("mallory").forgeCommit([
      .groupContextExtensions(try await story.room("mallory").renamed("Mine").extensions)
    ])
    for _ in 0..<2 { try? await world.client("alice").sync() }
    #expect(await alice.health == .good)
    #expect(await alice.pending == nil)
    try await world.client("bob").sync()
    try await story.says("alice", "it goes on").says("bob", "so it does")
    try await world.client("alice").sync()
    #expect(try await alice.history().map(\.text) == ["it goes on", "so it does"])
    try await story.invites("dave")
    await world.end()
  }

  /// Attack 3: an admin's commit that clients refuse has the relay take a member out: with the commit the removal is undone.
  @Test func whoARefusedCommitTookOutAtTheRelayComesBack() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    try await story.room("alice").setRole(.admin, of: "mallory")
    try await story.deliverAll()
    // Without a new secret for coming back, which the rules ask of every removal.
    try await story.room("mallory").forgeRemoval(of: "bob")
    let bob = try await story.room("bob")
    try? await world.client("bob").sync()
    #expect(await bob.health == .left)
    for _ in 0..<2 { try? await world.client("alice").sync() }
    #expect(try await story.room("alice").members().count == 3)
    for _ in 0..<2 { try? await world.client("bob").sync() }
    #expect(await bob.health == .good)
    try await story.says("bob", "still here")
    try await world.client("alice").sync()
    #expect(try await story.room("alice").history().map(\.text) == ["still here"])
    await world.end()
  }

  /// The relay says for a while that there is no such room, and then again that there is.
  @Test func relayThatForgetsARoomForAWhileEndsNoMembership() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let bob = try await story.room("bob")
    try await world.tamper("bob", path: "/v1/rooms") { (_: RoomsResponse) in RoomsResponse(rooms: []) }
    try await world.client("bob").sync()
    #expect(await bob.health == .left)
    await #expect(throws: ChatError(.notAMember)) { try await bob.send("lost?") }
    try await world.member("bob").wire?.setTamper(nil)
    try await world.member("bob").restart()
    try await story.says("alice", "where are you?")
    try await story.deliverAll().agrees()
    try await story.says("bob", "back").deliverAll().agrees()
    #expect(try await story.room("bob").history().map(\.text) == ["where are you?", "back"])
    // Whoever was really removed stays out, whatever the relay says afterwards.
    let rooms = try await world.client("bob").context.api.rooms().rooms
    try await story.removes("bob")
    try await world.client("bob").sync()
    try await world.tamper("bob", path: "/v1/rooms") { (_: RoomsResponse) in RoomsResponse(rooms: rooms) }
    for _ in 0..<2 { try? await world.client("bob").sync() }
    try await story.says("alice", "without bob").deliverAll()
    try? await world.client("bob").sync()
    #expect(try await story.room("bob").history().map(\.text) == ["where are you?", "back"])
    await world.end()
  }

  /// Nobody is told that they left a room that would not let them say so.
  @Test func leavingAStoppedRoomIsNotClaimed() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    try await story.room("mallory").forgeCommit([
      .groupContextExtensions(try await story.room("mallory").renamed("Mine").extensions)
    ])
    try await world.client("bob").sync()
    #expect(try await story.room("bob").health == .stopped)
    await #expect(throws: ChatError(.roomStopped)) { try await story.leaves("bob") }
    // The owner puts it right, and then it works.
    try await world.client("alice").sync()
    try await world.client("bob").sync()
    try await story.leaves("bob")
    #expect(try await story.room("bob").health == .left)
    await world.end()
  }

  /// A room whose log has a hole keeps no other room from being read.
  @Test func oneBadLogKeepsNoOtherRoomWaiting() async throws {
    let world = try await World("alice", "bob")
    let bad = try await world.room("alice", named: "Bad").invites("bob").deliverAll()
    let good = try await world.room("alice", named: "Good").invites("bob").deliverAll()
    let others = try await world.room("alice", named: "Other").invites("bob").deliverAll()
    try await world.tamper("bob", path: "/\(bad.id)/log") { (answer: LogResponse) in
      LogResponse(entries: Array(answer.entries.dropFirst()), last: answer.last, epoch: answer.epoch)
    }
    for story in [bad, good, others] { try await story.says("alice", "one").says("alice", "two") }
    await #expect(throws: ChatError(.protocolViolation)) { try await world.client("bob").sync() }
    for story in [good, others] { #expect(try await story.room("bob").history().map(\.text) == ["one", "two"]) }
    await world.end()
  }

  /// What a relay says of a session is written down, and must be readable when the store is opened again.
  @Test func hugeTokenDoesNotSpoilTheStore() async throws {
    let world = try await World("alice")
    let alice = try await world.client("alice")
    try await alice.logout()
    try await world.member("alice").wire?.setTamper { call, answer in
      guard call.path == "/v1/sessions",
        var session = try? JSONDecoder().decode(
          SessionResponse.self, from: Data(answer.body))
      else { return answer }
      session.accessToken = String(repeating: "a", count: 5000)
      return RelayAnswer(status: answer.status, body: Array((try? JSONEncoder().encode(session)) ?? Data()))
    }
    await #expect(throws: ChatError(.protocolViolation)) {
      try await alice.login(as: "alice", password: Password("password of alice"))
    }
    try await world.member("alice").restart()
    try await world.client("alice").login(as: "alice", password: Password("password of alice"))
    await world.end()
  }

  /// A relay that names a next page for ever is asked once more at most.
  @Test func emptyPageOfTheDirectoryIsTheLast() async throws {
    let world = try await World("alice")
    try await world.tamper("alice", path: "/v1/directory") { (_: DirectoryResponse) in
      DirectoryResponse(rooms: [], next: "more")
    }
    #expect(try await world.client("alice").searchRooms().next == nil)
    await world.end()
  }

  /// However often the relay asks for a look, one is under way and one waits.
  @Test func looksDoNotPileUp() async throws {
    let world = try await World("alice")
    let alice = try await world.client("alice")
    let count = Mutex(0)
    let gate = AsyncStream<Void>.makeStream()
    for _ in 0..<10_000 {
      await alice.run(.contacts) {
        count.withLock { $0 += 1 }
        for await _ in gate.stream { break }
      }
    }
    for user in 0..<10_000 {
      await alice.run(.profile(UserID(high: 0, low: UInt64(user)))) { for await _ in gate.stream { break } }
    }
    #expect(await alice.errands.count == Errand.most)
    gate.continuation.finish()
    try await eventually { await alice.errands.isEmpty }
    #expect(count.withLock { $0 } == 2)
    await world.end()
  }
}

extension Room {
  /// Puts a commit of new keys on disk, and goes no further.
  fileprivate func prepareUpdate() async throws {
    try await exclusively {
      try await make(CommitPlan(proposals: [], next: roomState(), forcesPath: true), for: .update)
    }
  }

  fileprivate func renamed(_ name: String) throws -> RoomState {
    var next = try roomState()
    next.settings.name = name
    return next
  }

  /// Removes a member past this client's own check, at the relay too.
  fileprivate func forgeRemoval(of username: String) async throws {
    let user = try await users([username])[0]
    let box = try group()
    let leaf = try #require(box.group.members.first { LeafCheck.credential(of: $0)?.user == user })
    let commit = try box.group.commit([.remove(leaf.leafIndex)], now: context.timestamp)
    let request = CommitRequest(
      sendID: .random(), epoch: epoch, message: commit.message, welcome: nil, recipients: [], added: [],
      removed: [user])
    _ = try await context.api.commit(request, to: id)
    self.box = nil
  }
}
