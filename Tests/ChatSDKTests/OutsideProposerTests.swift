import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Synchronization
import Testing

@testable import ChatSDK

/// A relay that proposes (docs/threat-model.md, classes 9 and 23). No room gives it a key by which it might: it can
/// neither add, remove nor change anything, even with a member's help.
@Suite struct OutsideProposerTests {
  /// Each kind of proposal by an external sender, a newcomer's proposal, and an external commit, all put into the log.
  @Test func relayProposesNothing() async throws {
    let world = try await World("alice", "bob", "carol", "mallory")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let made = try await story.room("alice").outsideMessages(by: try await world.client("mallory"))
    for (name, message) in made {
      try await world.insert(message, before: "bob", in: story.id)
      try await story.says("alice", "\(name)")
      try await world.client("bob").sync()
      let bob = try await story.room("bob")
      #expect(try await bob.hasProposals == false, "\(name)")
      #expect(try await world.client("bob").diagnose().first?.code == .undecryptable, "\(name)")
    }
    // Nothing of it gets into a commit of bob's, and everybody is still there.
    try await world.member("bob").wire?.setTamper(nil)
    try await story.room("bob").updateKeys()
    try await story.everybody(syncs: ["alice", "carol"])
    for name in ["alice", "bob", "carol"] {
      let room = try await story.room(name)
      #expect(try await room.members().map(\.person.username) == ["alice", "bob", "carol"])
      #expect(await room.health == .good)
      #expect(await room.name == "Garden")
    }
    await world.end()
  }

  /// The same sealed by a member who has the key that external commits are sealed with, and gives it away.
  @Test func membersHelpChangesNothing() async throws {
    let world = try await World("alice", "bob", "mallory", "eve")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    let mallory = try await story.room("mallory")
    for (name, message) in try await mallory.outsideMessages(by: try await world.client("eve")) where name != "commit" {
      let sealed = try await mallory.sealedAsJoin(message)
      try await world.insert(sealed, before: "bob", in: story.id, as: .commit)
      try await story.says("alice", "\(name)")
      try await world.client("bob").sync()
      #expect(try await story.room("bob").hasProposals == false, "\(name)")
      let found = try #require(try await world.client("bob").diagnose().first?.code)
      #expect([.forbiddenCommit, .undecryptable, .invalidCommit].contains(found), "\(name)")
      #expect(try await story.room("bob").members().map(\.person.username) == ["alice", "bob", "mallory"])
    }
    await world.end()
  }

  /// A member cannot make the relay, or anybody, an external sender either.
  @Test(arguments: ["alice", "mallory"])
  func nobodyMakesTheRelayASender(_ who: String) async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    let relay = SigningKey.generate()
    let state = try await story.room(who).roomState()
    let sender = ExternalSender(signatureKey: relay.publicKey, credential: .basic(identity: Array("relay".utf8)))
    let before = try await story.room("bob").epoch
    try await story.room(who).forgeCommit([.groupContextExtensions(state.extensions + [.externalSenders([sender])])])
    try? await story.room("bob").pull()
    let bob = try await story.room("bob")
    #expect(await bob.epoch == before)
    #expect(await bob.health == .stopped)
    #expect(try await world.client("bob").diagnose().map(\.code) == [.forbiddenCommit])
    await world.end()
  }
}

extension Room {
  fileprivate var hasProposals: Bool { get throws { try group().group.hasPendingProposals } }

  /// What those outside can make of a room that they know everything of but its secrets.
  fileprivate func outsideMessages(by client: ChatClient) async throws -> [(String, [UInt8])] {
    let context = await client.context
    let identity = try context.identity()
    let bundle = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305, identity: identity.client, capabilities: ClientContext.capabilities,
      lifetime: context.lifetime)
    let box = try group()
    let (groupID, epoch, suite) = (box.group.groupID, box.group.epoch, box.group.suite)
    let relay = ExternalProposer(groupID: groupID, epoch: epoch, suite: suite, index: 0, signingKey: .generate())
    var taken = try roomState()
    taken.settings.name = "Taken"
    let others: [(String, Proposal)] = [
      ("add", .add(bundle.keyPackage)), ("remove", .remove(LeafIndex(2))),
      ("settings", .groupContextExtensions(taken.extensions)),
      ("key", .externalPSK(id: [1], suite: suite)),
      ("end", .reInit(ReInit(groupID: groupID, cipherSuite: 3, extensions: []))),
    ]
    var made = try others.map { ($0, try relay.propose($1)) }
    made.append(("newcomer", try bundle.proposeJoining(groupID: groupID, epoch: epoch, identity: identity.client)))
    let join = try Group.joinExternally(
      groupInfo: try box.group.groupInfo(), identity: identity.client, capabilities: ClientContext.capabilities,
      policy: context.groupPolicy)
    made.append(("commit", join.message))
    return made
  }

  fileprivate func sealedAsJoin(_ message: [UInt8]) throws -> [UInt8] {
    let box = try group()
    let key = try box.group.export(label: SealedJoin.label, length: Door.keySize)
    return try SealedJoin.seal(message, key: key, room: id, epoch: box.group.epoch.rawValue)
  }
}

extension World {
  /// Has the relay put bytes of its own in the place of the next message that somebody is shown.
  fileprivate func insert(_ message: [UInt8], before name: String, in room: RoomID, as kind: EntryKind = .proposal)
    async throws
  {
    try await tamper(name, path: "/\(room)/log") { (answer: LogResponse) in
      var entries = answer.entries
      guard let index = entries.lastIndex(where: { $0.kind == .application }) else { return answer }
      (entries[index].kind, entries[index].message) = (kind, Base64URL(message))
      return LogResponse(entries: entries, last: answer.last, epoch: answer.epoch)
    }
  }
}
