import ChatTestKit
import Content
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// What members may do, tried by members who do it anyway.
@Suite struct RoomRulesTests {
  /// Attacks 1, 3, 8: a member whose own client lets it do what its role does not.
  @Test(arguments: ["remove", "rename", "role", "add"])
  func commitBeyondTheRoleIsRefusedByAll(_ what: String) async throws {
    let world = try await World("alice", "bob", "carol", "dave")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let bob = try await story.room("bob")
    try await bob.force(what, dave: try await world.client("dave"))
    for name in ["carol", "alice"] {
      // Without the owner's answer, which comes at its next look.
      try? await story.room(name).pull()
      #expect(try await story.room(name).health == .stopped)
      #expect(try await world.client(name).diagnose().contains { $0.code == .forbiddenCommit })
      #expect(try await story.room(name).members().map(\.person.username) == ["alice", "bob", "carol"])
      #expect(try await story.room(name).name == "Garden")
      await #expect(throws: ChatError(.roomStopped)) { try await story.says(name, "nothing goes out") }
    }
    // The owner's commit takes the place of the refused one, and the room goes on for all who keep to its rules.
    try await world.client("alice").sync()
    try await world.client("carol").sync()
    try await story.says("carol", "we are still here")
    try await world.client("alice").sync()
    for name in ["carol", "alice"] {
      #expect(try await story.room(name).health == .good)
      #expect(try await story.room(name).history().map(\.text) == ["we are still here"])
      #expect(
        try await story.room(name).members().map { "\($0.person.username) \($0.role)" } == [
          "alice owner", "bob member", "carol member",
        ])
    }
    let heard = try await world.member("carol").events
    #expect(heard.contains { if case .roomResumed = $0 { true } else { false } })
    await world.end()
  }

  /// Attack 42: what a later version might take is replaced by nobody's client, but an admin can decide it.
  @Test func whatALaterVersionMightTakeWaitsForAnAdmin() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.room("bob").forgeCommit([
      .groupContextExtensions([Extension(type: RoomState.extensionType, data: [9])])
    ])
    for name in ["alice", "carol"] {
      try await world.client(name).sync()
      #expect(try await story.room(name).health == .stopped)
      #expect(try await world.client(name).diagnose().first?.code == .forbiddenCommit)
    }
    await #expect(throws: ChatError(.notPermitted)) { try await story.room("carol").repair() }
    try await story.room("alice").repair()
    try await world.client("carol").sync()
    try await story.says("carol", "we decided").says("alice", "so it is")
    for name in ["alice", "carol"] {
      try await world.client(name).sync()
      #expect(try await story.room(name).health == .good)
      #expect(try await story.room(name).history().map(\.text) == ["we decided", "so it is"])
    }
    // A room that works has nothing to repair.
    let epoch = try await story.room("alice").epoch
    try await story.room("alice").repair()
    #expect(try await story.room("alice").epoch == epoch)
    await world.end()
  }

  /// Attacks 2 and 38: an admin adds a device that its account does not list, and so stops the room: not for long.
  @Test func roomGoesOnWithoutTheGhost() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    try await story.room("alice").setRole(.admin, of: "mallory")
    try await story.deliverAll()
    let (key, bob) = (SigningKey.generate(), try await world.client("bob").context.identity())
    let entry = DeviceEntry(device: DeviceID(high: 1, low: 2), signatureKey: key.publicKey, name: "ghost", added: 1)
    // Signed by bob's own key even, as a thief of it could: the list is what counts.
    let credential = try DeviceCredential.make(user: bob.user, entry: entry, accountKey: bob.accountKey)
    let package = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305,
      identity: ClientIdentity(credential: .basic(identity: credential.encoded), signingKey: key),
      capabilities: ClientContext.capabilities, lifetime: try await world.client("bob").context.lifetime)
    try await story.room("mallory").forgeCommit([.add(package.keyPackage)])
    try? await story.room("bob").pull()
    #expect(try await story.room("bob").health == .stopped)
    for name in ["alice", "bob"] { try await world.client(name).sync() }
    try await story.says("bob", "no ghosts")
    try await world.client("alice").sync()
    for name in ["alice", "bob"] {
      #expect(try await story.room(name).health == .good)
      #expect(try await story.room(name).history().map(\.text) == ["no ghosts"])
      #expect(try await story.room(name).members().allSatisfy { $0.deviceCount == 1 })
    }
    await world.end()
  }

  /// Who came by a link that is good for so many leaves, and no admin is there: a plain member ends the membership.
  @Test func anyMemberCommitsALeaving() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("carol").deliverAll()
    try await story.room("alice").change { $0.joinPolicy = .ask }
    let link = try await story.room("alice").newLink(uses: 1)
    _ = try await world.client("bob").join(link)
    try await world.client("carol").sync()
    try await story.leaves("bob")
    try await world.client("carol").sync()
    #expect(try await story.room("carol").members().map(\.person.username) == ["alice", "carol"])
    #expect(try await world.client("carol").diagnose().isEmpty)
    try await story.deliverAll().agrees()
    // Its place is nobody else's.
    #expect(try await story.room("alice").links().isEmpty)
    await #expect(throws: ChatError(.inviteInvalid)) { try await world.client("bob").join(link) }
    await world.end()
  }

  /// Whoever was removed and has not heard of it comes in again by a link, instead of being told that it is there.
  @Test func joinsAgainThoughItThoughtItWasIn() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.room("alice").change { $0.joinPolicy = .ask }
    let link = try await story.room("alice").newLink()
    try await story.removes("bob")
    let room = try await world.client("bob").join(link)
    try await room.send("in again")
    try await story.deliverAll().agrees()
    #expect(try await story.room("alice").members().count == 2)
    await world.end()
  }

  /// In the room of two nothing is shown of somebody who is blocked, whatever the relay passes on.
  @Test func blockedCannotWriteDirectly() async throws {
    let world = try await World("alice", "mallory")
    let (alice, mallory) = (try await world.client("alice"), try await world.client("mallory"))
    let room = try await alice.directRoom(with: "mallory")
    try await mallory.sync()
    let theirs = try await mallory.room(room.id)
    try await theirs.send("before")
    try await alice.sync()
    try await alice.block("mallory")
    try await theirs.send("while blocked")
    try await alice.sync()
    try await alice.unblock("mallory")
    try await theirs.send("after")
    try await alice.sync()
    #expect(try await room.history().map(\.text) == ["before", "after"])
    await world.end()
  }

  /// A member's proposal that it has no right to is not committed by those who have.
  @Test func proposalBeyondTheRoleIsForgotten() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.room("bob").proposeRemoval(of: "carol")
    try await story.says("alice", "and on we go").deliverAll()
    #expect(try await world.client("alice").diagnose().map(\.code) == [.forbiddenCommit])
    try await story.room("alice").updateKeys()
    try await story.deliverAll()
    #expect(try await story.room("alice").members().count == 3)
    #expect(try await story.room("carol").history().map(\.text) == ["and on we go"])
    await world.end()
  }

  /// Attack 18, by the order heads inside messages: who was shown another order finds out when people talk.
  @Test func anotherOrderIsFoundOut() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("alice", "one").says("alice", "two")
    try await world.tamper("bob", path: "/\(story.id)/log") { (answer: LogResponse) in
      guard answer.entries.count == 2 else { return answer }
      var entries = answer.entries
      entries.swapAt(0, 1)
      for index in entries.indices { entries[index].sequence = answer.entries[index].sequence }
      return LogResponse(entries: entries, last: answer.last, epoch: answer.epoch)
    }
    try await world.client("bob").sync()
    try await world.client("alice").sync()
    #expect(try await world.client("bob").diagnose().isEmpty)
    try await story.says("alice", "three")
    try await world.client("bob").sync()
    #expect(try await world.client("bob").diagnose().map(\.code) == [.orderDiffers])
    await world.end()
  }

  /// Attack 1 on the relay's side: somebody stands in its list who is not in the group.
  @Test func longerListOfTheRelayIsNoticed() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await world.tamper("bob", path: "/\(story.id)/members") { (answer: MembersResponse) in
      MembersResponse(members: answer.members + [.init(user: UserID(high: 6, low: 6), username: "ghost")])
    }
    try await story.room("alice").updateKeys()
    try await world.client("bob").sync()
    #expect(try await world.client("bob").diagnose().map(\.code) == [.membersDiffer])
    #expect(try await world.client("alice").diagnose().isEmpty)
    await world.end()
  }

  @Test func roomStateHasOneEncoding() throws {
    let state = RoomState(
      name: "Garden",
      roles: [UserID(high: 2, low: 0): .admin, UserID(high: 1, low: 5): .owner, UserID(high: 1, low: 4): .member])
    let decoded = try RoomState(decoding: state.encoded)
    #expect(decoded.roles == [UserID(high: 2, low: 0): .admin, UserID(high: 1, low: 5): .owner])
    var bytes = decoded.encoded
    // The two entries the other way round are not another way to say the same: before them stand their length, after them
    // the lengths of two empty lists, the secret, and that there is no pair.
    let end = bytes.count - 2 - RoomState.secretSize - 1
    let entries = end - 34
    bytes =
      Array(bytes[..<entries]) + bytes[(entries + 17)..<end] + bytes[entries..<(entries + 17)] + bytes[end...]
    #expect(throws: WireError(.invalidValue)) { try RoomState(decoding: bytes) }
    for count in 0..<state.encoded.count {
      #expect(throws: WireError.self) { try RoomState(decoding: Array(state.encoded.prefix(count))) }
    }
  }

  @Test func textsHideTheirLength() throws {
    let lengths = try [0, 1, 50, 120].map {
      Envelope.pad(try Envelope.text(String(repeating: "x", count: $0), sentAt: 1).encoded).count
    }
    #expect(Set(lengths).count == 1)
    for count in [0, 255, 256, 10_000, 64 << 10] {
      let text = String(repeating: "y", count: count)
      let head = RoomOrder.Head(sequence: 7, hash: [UInt8](repeating: 3, count: 16))
      let (content, encoded) = try Envelope.text(text, sentAt: 99, order: head)
      let opened = try Envelope.open(Envelope.pad(encoded))
      #expect(opened.content == content && opened.content.plainText == text)
      #expect(opened.sentAt == 99 && opened.order == head)
    }
    #expect(throws: ChatError(.messageTooLong)) {
      try Envelope.text(String(repeating: "z", count: (64 << 10) + 1), sentAt: 1)
    }
    var padded = Envelope.pad(try Envelope.text("x", sentAt: 1).encoded)
    padded[padded.count - 1] = 1
    #expect(throws: ChatError(.protocolViolation)) { try Envelope.open(padded) }
  }
}

extension Room {
  /// Commits what the role does not allow, past this client's own check.
  func force(_ what: String, dave: ChatClient) async throws {
    try await exclusively {
      try await pullLog()
      let state = try roomState()
      let own = try context.identity().user
      let proposal: Proposal
      switch what {
      case "remove":
        let carol = try await members().first { $0.person.username == "carol" }
        let leaf = try group().group.members.first { LeafCheck.credential(of: $0)?.user == carol?.id }
        proposal = .remove(try #require(leaf).leafIndex)
      case "rename":
        var next = state
        next.settings.name = "Mine"
        proposal = .groupContextExtensions(next.extensions)
      case "role":
        var next = state
        next.roles[own] = .owner
        proposal = .groupContextExtensions(next.extensions)
      default:
        let dave = await dave.context
        let identity = try dave.identity()
        let bundle = try KeyPackageBundle.generate(
          suite: .x25519ChaCha20Poly1305, identity: identity.client, capabilities: ClientContext.capabilities,
          lifetime: dave.lifetime)
        proposal = .add(bundle.keyPackage)
      }
      let box = try group()
      let commit = try box.group.commit([proposal], now: context.timestamp)
      // As if nothing else changed: what the relay is told is a lie, or it would refuse by itself.
      let request = CommitRequest(
        sendID: .random(), epoch: box.group.epoch.rawValue, message: commit.message, welcome: nil, recipients: [],
        added: [], removed: [])
      _ = try await context.api.commit(request, to: id)
      self.box = nil
    }
  }

  func proposeRemoval(of username: String) async throws {
    let user = try await members().first { $0.person.username == username }
    let box = try group()
    let leaf = try #require(box.group.members.first { LeafCheck.credential(of: $0)?.user == user?.id })
    let proposal = try box.group.propose(.remove(leaf.leafIndex), now: context.timestamp)
    _ = try await context.api.send(
      SendRequest(sendID: .random(), kind: .proposal, epoch: box.group.epoch.rawValue, message: proposal), to: id)
    // Or this client would commit it at once, and nobody else.
    self.box = nil
  }
}
