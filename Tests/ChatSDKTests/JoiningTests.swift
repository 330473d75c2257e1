import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// Coming into rooms from outside, and how others try it.
@Suite struct JoiningTests {
  private func open(_ story: Story, _ policy: JoinPolicy = .ask) async throws {
    try await story.room("alice").change { $0.joinPolicy = policy }
  }

  @Test func linkLetsInAtOnceWithNobodyOnline() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let alice = try await story.room("alice")
    await #expect(throws: ChatError(.roomClosed)) { try await alice.newLink() }
    try await open(story)
    let link = try await alice.newLink()
    #expect(!"\(link)".contains(link.text.split(separator: "#")[1]))
    // Nobody else's client runs.
    try await world.member("alice").stop()
    try await world.member("bob").stop()
    let room = try await world.client("carol").join(InviteLink(link.text))
    #expect(await room.name == "Garden")
    try await room.send("hello from outside")
    try await world.member("alice").start()
    try await world.member("bob").start()
    try await story.deliverAll().agrees()
    try await story.says("bob", "welcome").deliverAll().agrees()
    #expect(try await story.room("bob").history().map(\.text) == ["hello from outside", "welcome"])
    let heard = try await world.member("bob").events
    #expect(
      heard.contains { if case .memberJoined(let change) = $0 { change.member.username == "carol" } else { false } })
    let invite = try #require(try await story.room("alice").links().first)
    #expect(invite.used == 1 && invite.madeBy.username == "alice")
    // Joining again by it is no error and changes nothing.
    #expect(try await world.client("carol").join(InviteLink(link.text)).id == story.id)
    await world.end()
  }

  /// What the relay has of it: no name, no secret, and nothing that tells a joiner from another commit but its size.
  @Test func linkShowsTheRelayNothing() async throws {
    let world = try await World("alice", "carol")
    let story = try await world.room("alice", named: "Secret Garden")
    try await open(story)
    let link = try await story.room("alice").newLink()
    let secret = link.secret.secret.withBytes { Array($0) }
    _ = try await world.client("carol").join(link)
    for name in ["alice", "carol"] {
      for item in try await world.member(name).wire?.calls ?? [] {
        let text = String(decoding: item.call.body, as: UTF8.self) + item.call.path
        #expect(!text.contains("Secret Garden") && !text.contains(Base64URL(secret).text))
      }
    }
    await world.end()
  }

  @Test func revokedUsedAndOverLinksAreNotGood() async throws {
    let world = try await World("alice", "bob", "carol", "dave")
    let story = try await world.room("alice")
    try await open(story)
    let alice = try await story.room("alice")
    let revoked = try await alice.newLink()
    try await alice.revokeLinks(revoked.id)
    let brief = try await alice.newLink(lifetime: .seconds(1))
    let once = try await alice.newLink(uses: 1)
    try await Task.sleep(for: .milliseconds(1100))
    let (bob, carol) = (try await world.client("bob"), try await world.client("carol"))
    for link in [revoked, brief] {
      await #expect(throws: ChatError(.inviteInvalid)) { try await bob.join(link) }
    }
    // Attack 48: of two at once, one gets in.
    async let first = try? bob.join(once)
    async let second = try? carol.join(once)
    let joined = [await first, await second].compactMap { $0 }
    #expect(joined.count == 1)
    try await story.deliverAll().agrees()
    await #expect(throws: ChatError(.inviteInvalid)) { try await world.client("dave").join(once) }
    // Closing the room ends them all.
    let open = try await alice.newLink()
    try await self.open(story, .closed)
    await #expect(throws: ChatError(.inviteInvalid)) { try await world.client("dave").join(open) }
    #expect(try await alice.links().isEmpty)
    await world.end()
  }

  /// Attack 10: a link is good for its own room only, and what it seals cannot be put behind another.
  @Test func linkIsForItsRoom() async throws {
    let world = try await World("alice", "mallory", "carol")
    let story = try await world.room("alice")
    let other = try await world.room("mallory", named: "Trap")
    try await open(story)
    try await other.room("mallory").change { $0.joinPolicy = .ask }
    let link = try await story.room("alice").newLink()
    let trap = try await other.room("mallory").newLink()
    let carol = try await world.client("carol")
    let shown = try await carol.context.api.groupInfo(invite: trap.secret.id)
    try await world.tamper("carol", path: "/v1/invites/\(link.id)") { (_: GroupInfoResponse) in shown }
    await #expect(throws: ChatError(.inviteInvalid)) { try await carol.join(link) }
    // Under the room's own name, but of another.
    try await world.tamper("carol", path: "/v1/invites/\(link.id)") { (answer: GroupInfoResponse) in
      GroupInfoResponse(
        room: answer.room, epoch: answer.epoch, position: answer.position, groupInfo: shown.groupInfo.bytes)
    }
    await #expect(throws: ChatError(.inviteInvalid)) { try await carol.join(link) }
    #expect(try await carol.rooms().isEmpty)
    // And the relay itself takes a link for its room only.
    let request = JoinRequest(
      sendID: .random(), epoch: 1, message: [1], invite: trap.secret.id, groupInfo: nil)
    await #expect(throws: ChatError(.inviteInvalid)) { try await carol.context.api.join(request, story.id) }
    await world.end()
  }

  /// Attacks 3 and 23: a banned account is refused by the relay, and by every client if the relay plays along.
  @Test func bannedStayOut() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    try await open(story)
    let alice = try await story.room("alice")
    let link = try await alice.newLink()
    try await alice.ban("mallory")
    try await story.deliverAll().agrees()
    #expect(try await alice.banned().map(\.username) == ["mallory"])
    let mallory = try await world.client("mallory")
    await #expect(throws: ChatError(.inviteInvalid)) { try await mallory.join(link) }
    await #expect(throws: ChatError(.banned)) { try await alice.invite("mallory") }
    #expect(try await alice.members().count == 2)
    let heard = try await world.member("bob").events
    #expect(heard.contains { if case .memberBanned = $0 { true } else { false } })
    try await alice.unban("mallory")
    _ = try await mallory.join(link)
    try await story.deliverAll().agrees()
    await world.end()
  }

  /// Attacks 22 and 23: the state that is given to a joiner is of an epoch that is over.
  @Test func staleStateLeadsNowhere() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await open(story)
    let link = try await story.room("alice").newLink()
    let carol = try await world.client("carol")
    let old = try await carol.context.api.groupInfo(invite: link.secret.id)
    try await story.room("alice").updateKeys()
    try await world.tamper("carol", path: "/v1/invites/\(link.id)") { (_: GroupInfoResponse) in old }
    await #expect(throws: ChatError(.roomBusy)) { try await carol.join(link) }
    try await world.member("carol").wire?.setTamper(nil)
    // While others commit, a joiner comes in all the same.
    async let busy: Void = {
      for _ in 0..<5 { try await story.room("alice").updateKeys() }
    }()
    _ = try await carol.join(link)
    try await busy
    try await story.deliverAll().agrees()
    await world.end()
  }

  // MARK: Codes

  @Test func codeOnlyAsks() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let alice = try await story.room("alice")
    await #expect(throws: ChatError(.roomClosed)) { try await alice.newCode() }
    try await open(story)
    let code = try await alice.newCode(uses: 2)
    #expect(code.code.utf8.count == 6 && code.code.utf8.allSatisfy { JoinCode.alphabet.contains($0) })
    let carol = try await world.client("carol")
    await #expect(throws: ChatError(.invalidCode)) { try await carol.ask(code: "O0I1") }
    // Small letters and a dash are the same code; a code that is none gives the same answer.
    try await carol.ask(code: code.code.lowercased().prefix(3) + "-" + code.code.suffix(3))
    try await carol.ask(code: "222222")
    #expect(try await carol.rooms().isEmpty)
    // Whoever may not admit is shown nothing.
    #expect(try await story.room("bob").requests().isEmpty)
    try await world.client("alice").sync()
    let heard = try await world.member("alice").events
    #expect(
      heard.contains { if case .joinRequested(let asked) = $0 { asked.person.username == "carol" } else { false } })
    #expect(try await alice.requests().map(\.person.username) == ["carol"])
    await #expect(throws: ChatError(.noSuchRequest)) { try await alice.admit("bob") }
    try await alice.admit("carol")
    try await story.deliverAll().agrees()
    #expect(try await alice.requests().isEmpty)
    #expect(try await story.room("carol").health == .good)
    #expect(try await alice.code()?.uses == 1)
    try await alice.revokeCode()
    #expect(try await alice.code() == nil)
    await world.end()
  }

  @Test func openRoomAdmitsByItself() async throws {
    let world = try await World("alice", "bob", "carol", "dave")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await open(story, .open)
    let code = try await story.room("alice").newCode()
    try await story.deliverAll()
    try await world.client("carol").ask(code: code.code)
    // Any member's client lets in; the owner's is not needed.
    try await world.client("bob").sync()
    try await story.deliverAll().agrees()
    #expect(try await story.room("carol").members().count == 3)
    try await story.room("carol").invite("dave")
    try await story.deliverAll().agrees()
    await world.end()
  }

  /// Attack 47: guesses are limited, and tell nothing.
  @Test func guessingIsLimited() async throws {
    let world = try await World("mallory")
    let mallory = try await world.client("mallory")
    var refused = false
    for index in 0..<40 where !refused {
      let guess = String(decoding: [JoinCode.alphabet[index % 32]], as: UTF8.self) + "22222"
      do { try await mallory.ask(code: guess) } catch {
        #expect((error as? ChatError) == ChatError(.rateLimited))
        refused = true
      }
    }
    #expect(refused)
    await world.end()
  }
}
