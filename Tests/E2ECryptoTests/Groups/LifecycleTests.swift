import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

@Suite struct LifecycleTests {
  @Test(arguments: [CipherSuite.x25519AES128GCM, .x25519ChaCha20Poly1305])
  func threePeopleTalk(_ suite: CipherSuite) throws {
    var members = try Members(1, suite: suite)
    try members.commit(by: 0, joining: [try Invitee("bob", suite: suite), try Invitee("carol", suite: suite)])
    try members.expectAgreement()
    #expect(members[0].group.epoch == Epoch(1))
    #expect(
      try members[1].group.export(label: "test", context: [1], length: 48)
        == members[2].group.export(label: "test", context: [1], length: 48))
    #expect(
      try members[1].group.export(label: "test", context: [1], length: 48)
        != members[2].group.export(label: "test", context: [2], length: 48))

    let removed = members[1]
    let before = try removed.restored()
    let effects = try members.commit(by: 0, [.remove(removed.group.ownLeafIndex)])
    #expect(effects.removed.map(\.credential) == [.basic(identity: Array("bob".utf8))])
    #expect(!removed.isActive)
    #expect(throws: MLSError(.inactive)) { try removed.say("still here?") }
    #expect(throws: MLSError(.inactive)) { try removed.group.export(label: "test", length: 32) }
    try members.expectAgreement()
    let secret = try members[0].say("between us")
    #expect(throws: MLSError(.inactive)) { try removed.hear(secret) }
    // Even with the state from before its removal.
    #expect(throws: MLSError(.futureEpoch)) { try before.hear(secret) }
    #expect(try members[1].hear(secret) == "between us")
  }

  @Test func treeApartFromWelcome() throws {
    let alice = try Client.create("alice")
    let bob = try Invitee("bob")
    var options = CommitOptions()
    options.welcomeIncludesTree = false
    let pending = try alice.commit([.add(bob.keyPackage)], options: options)
    let (welcome, tree) = (try pending.requireWelcome(), pending.ratchetTree)
    try alice.group.merge(pending)
    #expect(throws: MLSError(.missingTree)) { try bob.join(welcome) }
    let joined = try bob.join(welcome, tree: tree)
    try Members([alice, joined]).expectAgreement()
  }

  @Test func updateByProposalIsCommittedByAnother() throws {
    var members = try Members(3)
    let before = members[1].group.member(at: LeafIndex(1))
    let proposal = try members[1].group.proposeUpdate()
    let noted = try members[0].note(proposal)
    let sender = try #require(before)
    #expect(noted.sender == .member(sender))
    try members[2].note(proposal)
    #expect(throws: MLSError(.commitFirst)) { try members[0].say("not yet") }
    let effects = try members.commit(by: 2)
    #expect(effects.updated.map(\.before.leafIndex) == [LeafIndex(1), LeafIndex(2)])
    try members.expectAgreement()
    #expect(!members[0].hasPendingProposals)
  }

  @Test func removeByProposalByTheOneWhoLeaves() throws {
    var members = try Members(3)
    let proposal = try members[1].group.propose(.remove(LeafIndex(1)), now: someday)
    try members[0].note(proposal)
    try members[2].note(proposal)
    let effects = try members.commit(by: 0)
    #expect(effects.removed.map(\.leafIndex) == [LeafIndex(1)])
    #expect(effects.proposals.map(\.isByReference) == [true])
    #expect(members.all.count == 2)
    try members.expectAgreement()
  }

  @Test func extensionsChange() throws {
    var members = try Members(3)
    let new = [Extension(type: 0xff01, data: [1, 2, 3])]
    let effects = try members.commit(by: 1, [.groupContextExtensions(new)])
    #expect(effects.extensionsChanged == CommitEffects.ExtensionsChange(before: [], after: new))
    #expect(members[2].group.extensions == new)
    try members.expectAgreement()
    let invitee = try Invitee("late")
    try members.commit(by: 2, joining: [invitee])
    #expect(members[3].group.extensions == new)
    try members.expectAgreement()
  }

  @Test func preSharedKeysMustBeKnownToAll() throws {
    var members = try Members(2)
    let psk = ExternalPSK(id: [9], secret: .random(count: 32))
    members[0].group.setPreSharedKey(psk)
    let proposal = members[0].group.preSharedKeyProposal(externalID: psk.id)
    let pending = try members[0].commit([proposal])
    #expect(throws: MLSError(.unknownPSK)) { try members[1].follow(pending.message) }
    members[1].group.setPreSharedKey(ExternalPSK(id: [9], secret: .random(count: 32)))
    #expect(throws: MLSError.rejected(.confirmationTag)) { try members[1].follow(pending.message) }
    members[1].group.setPreSharedKey(psk)
    #expect(try members[1].follow(pending.message).preSharedKeys.count == 1)
    try members[0].group.merge(pending)
    try members.expectAgreement()

    // With a newcomer, who needs the key too; and a resumption key, which needs no provision.
    let carol = try Invitee("carol")
    let second = try members[0].commit([
      .add(carol.keyPackage), members[0].group.preSharedKeyProposal(externalID: psk.id),
    ])
    let welcome = try second.requireWelcome()
    try members[1].follow(second.message)
    try members[0].group.merge(second)
    #expect(throws: MLSError(.unknownPSK)) { try carol.join(welcome) }
    members.all.append(try carol.join(welcome, psks: [psk]))
    try members.expectAgreement()
    try members.commit(by: 2, [members[2].group.resumptionProposal(epoch: members[2].group.epoch)])
    try members.expectAgreement()
  }

  @Test func externalCommitJoinsAndReturns() throws {
    var members = try Members(2)
    let info = try members[0].group.groupInfo()
    let carol = Client.identity("carol")
    let join = try Group.joinExternally(
      groupInfo: info, identity: carol, capabilities: Capabilities(extensions: [0xff01]))
    let message = join.message
    let joined = Client("carol", suite: members[0].suite, identity: carol, group: join.adopt())
    for member in members.all {
      let effects = try member.follow(message)
      #expect(effects.sender.credential == carol.credential)
      #expect(effects.added.map(\.credential) == [carol.credential])
    }
    members.all.append(joined)
    try members.expectAgreement()

    // Carol lost her state and comes back in the place of her old self.
    let old = members.all.removeLast().group.ownLeafIndex
    let back = try Group.joinExternally(
      groupInfo: try members[1].group.groupInfo(), identity: carol,
      capabilities: Capabilities(extensions: [0xff01]), removing: old)
    let returning = back.message
    let returned = Client("carol", suite: members[0].suite, identity: carol, group: back.adopt())
    for member in members.all {
      let effects = try member.follow(returning)
      #expect(effects.removed.map(\.leafIndex) == [old] && effects.added.count == 1)
    }
    members.all.append(returned)
    try members.expectAgreement()

    // A group info is good for one join: the epoch has moved since.
    let stale = try Group.joinExternally(
      groupInfo: info, identity: Client.identity("dave"), capabilities: Capabilities(extensions: [0xff01]))
    #expect(throws: MLSError(.staleHandshake)) { try members[0].follow(stale.message) }
  }

  @Test func lastResortIsMarked() throws {
    let bob = try Invitee("bob", lastResort: true)
    #expect(bob.keyPackage.isLastResort)
    try bob.keyPackage.validate(now: someday)
    let restored = try KeyPackageBundle(restoring: bob.bundle.encodeState())
    #expect(restored.keyPackage == bob.keyPackage)
    #expect(throws: MLSError(.malformed)) {
      try KeyPackageBundle(restoring: Secret(copying: [0, 2] + Random.bytes(40)))
    }
    var members = try Members(1)
    try members.commit(by: 0, joining: [bob])
    try members.expectAgreement()
  }

  @Test func droppedCommitSpendsItsKeyAndNothingElse() throws {
    var members = try Members(3)
    // Two members commit in the same epoch; the first one's is accepted.
    let winning = try members[0].commit()
    let losing = try members[1].commit([.groupContextExtensions([Extension(type: 0xff01, data: [7])])])
    let lost = losing.message
    let ratchet = try members[1].restored()
    try members[1].follow(winning.message)
    try members[2].follow(winning.message)
    #expect(throws: MLSError(.staleHandshake)) { try members[2].follow(lost) }
    try members[0].group.merge(winning)
    do {
      try members[1].group.merge(losing)
      Issue.record("a commit of an epoch that is over was merged")
    } catch { #expect(error == MLSError(.epochMoved)) }
    try members.expectAgreement()
    try members.commit(by: 1, [.groupContextExtensions([Extension(type: 0xff01, data: [7])])])
    try members.expectAgreement()

    // Had nobody won, the next commit of the same epoch would be sealed with another key.
    let again = try ratchet.commit()
    let (first, second) = (try generation(of: lost, at: ratchet), try generation(of: again.message, at: ratchet))
    #expect(second == first + 1)
  }

  private func generation(of message: [UInt8], at client: Client) throws -> UInt32 {
    guard case .privateMessage(let message) = try MLSMessage(decoding: message) else { throw MLSError(.unsupported) }
    return try message.openSenderData(client.group.state.suite, secret: client.group.state.secrets.senderData)
      .generation
  }

  @Test func reInitEndsTheGroup() throws {
    let members = try Members(2)
    let next = ReInit(groupID: GroupID(Random.bytes(16)), cipherSuite: 3, extensions: [])
    let pending = try members[0].commit([.reInit(next)])
    #expect(pending.effects.reInit == next)
    #expect(try members[1].follow(pending.message).reInit == next)
    try members[0].group.merge(pending)
    #expect(throws: MLSError(.inactive)) { try members[0].say("over") }
    #expect(throws: MLSError(.inactive)) { try members[1].say("over") }
  }

  @Test func manyAreAddedAtOnce() throws {
    var members = try Members(1)
    try members.commit(by: 0, joining: try (0..<40).map { try Invitee("guest \($0)") })
    #expect(members.all.count == 41)
    try members.commit(by: 17, (1...8).map { .remove(LeafIndex(UInt32($0))) })
    try members.commit(by: 3, joining: try (0..<3).map { try Invitee("later \($0)") })
    let first = members[0].group.epochAuthenticator
    #expect(members.all.allSatisfy { $0.group.epochAuthenticator == first })
    #expect(members.all.allSatisfy { $0.group.state.privateKeys.isConsistent(with: $0.group.state.tree) })
    var tree = members[0].group.state.tree
    try tree.validate(members[0].group.state.context, maxLifetime: .max)
  }

  @Test func unmergedLeavesAreLeftOutOfSiblingHashes() throws {
    var members = try Members(8)
    for place in 0..<8 { try members.commit(by: place) }
    let leaver = members[5].group.ownLeafIndex
    try members.commit(by: 4, [.remove(leaver)])
    // The root is set from the left; then a leaf comes in on the right, below inner nodes that it does not know.
    try members.commit(by: 0)
    try members.commit(by: 0, joining: [try Invitee("unmerged")])
    let noting = members[0].group.state.tree.parents.compactMap { $0 }.filter { !$0.unmergedLeaves.isEmpty }
    #expect(noting.count == 2)
    // Whoever joins checks all parent hashes: against the tree as it was when each was made.
    try members.commit(by: 3, joining: [try Invitee("checks")])
    try members.expectAgreement()
  }
}
