import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// What RFC 9420 demands of a sender, and what it demands to be taken as it comes.
@Suite struct DutyTests {
  private func senderData(_ message: [UInt8], _ client: Client) throws -> SenderData {
    guard case .privateMessage(let message) = try MLSMessage(decoding: message) else { throw MLSError(.unsupported) }
    return try message.openSenderData(client.suiteOf, secret: client.group.state.secrets.senderData)
  }

  /// A device whose disk was put back uses a generation again, but not the nonce (section 6.3.1).
  @Test func reuseGuardIsFresh() throws {
    let members = try Members(2)
    var seen: Set<[UInt8]> = []
    for _ in 0..<32 {
      let twin = try members[0].restored()
      let sender = try senderData(try twin.say("again"), members[1])
      #expect(sender.generation == 0 && sender.leaf == LeafIndex(0))
      seen.insert(sender.reuseGuard)
    }
    #expect(seen.count == 32)
  }

  /// Section 8.4.
  @Test func nonceOfAPreSharedKeyIsFresh() throws {
    for suite in CipherSuite.supported {
      let algorithms = try suite.algorithms()
      let group = try Group.create(
        groupID: GroupID([1]), suite: suite,
        identity: ClientIdentity(
          credential: .basic(identity: [1]), signingKey: .generate(algorithms.signature)), lifetime: someYear)
      var nonces: Set<[UInt8]> = []
      for _ in 0..<8 {
        for proposal in [group.preSharedKeyProposal(externalID: [1]), group.resumptionProposal(epoch: Epoch(0))] {
          guard case .preSharedKey(let id) = proposal else { continue }
          #expect(id.nonce.count == algorithms.hashSize)
          nonces.insert(id.nonce)
        }
      }
      #expect(nonces.count == 16)
    }
  }

  /// Sections 7.4 and 10: neither key packages nor paths ever share a key.
  @Test func keysAreFresh() throws {
    let identity = Client.identity("one")
    let packages = try (0..<8).map { _ in try Invitee("one", identity: identity).keyPackage }
    #expect(Set(packages.flatMap { [$0.initKey, $0.leafNode.encryptionKey] }).count == 16)
    let members = try Members(4)
    var keys: Set<[UInt8]> = []
    for _ in 0..<4 {
      let path = try members[0].path().path
      keys.formUnion([path.leafNode.encryptionKey] + path.nodes.map(\.encryptionKey))
      #expect(path.nodes.count == 2)
    }
    #expect(keys.count == 12)
  }

  /// Section 7.2: what every client knows is not listed.
  @Test func defaultTypesAreNotListed() throws {
    let extensions = [Extension(type: Extension.applicationIDType, data: [1]), Extension(type: 0xff02, data: [])]
    let identity = Client.identity("one")
    let bundle = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305, identity: identity, lifetime: someYear, extensions: extensions,
      leafExtensions: extensions)
    let group = try Group.create(
      groupID: GroupID([1]), suite: .x25519ChaCha20Poly1305, identity: identity, leafExtensions: extensions,
      extensions: [.requiredCapabilities(RequiredCapabilities())], lifetime: someYear)
    let member = group.members[0]
    for capabilities in [bundle.keyPackage.leafNode.capabilities, member.capabilities] {
      #expect(capabilities.extensions.filter(Extension.isDefault).isEmpty && capabilities.extensions.contains(0xff02))
      #expect(capabilities.proposals.filter(Proposal.isDefault).isEmpty)
      #expect(capabilities.credentials.contains(1) && capabilities.cipherSuites.contains(3))
    }
  }

  /// Section 13.5: numbers that nobody knows are ignored in each of the fields in which they may stand.
  @Test func unknownNumbersAreIgnored() throws {
    let grease: [UInt16] = (0..<15).map { 0x0a0a + 0x1010 * $0 }
    var members = try Members(2)
    let invitee = try Invitee("greased")
    let strange = grease.map { Extension(type: $0, data: [1, 2, 3]) }
    let keyPackage = try invitee.forged(extensions: strange) {
      $0.capabilities.cipherSuites += grease
      $0.capabilities.extensions += grease
      $0.capabilities.proposals += grease
      $0.capabilities.credentials += grease
      $0.extensions = strange
    }
    try keyPackage.validate(now: someday)
    let bundle = KeyPackageBundle(
      keyPackage: keyPackage, initKey: invitee.bundle.initKey, leafKey: invitee.bundle.leafKey)
    let pending = try members[0].commit([.add(keyPackage)])
    let (message, welcome) = (pending.message, try pending.requireWelcome())
    try members[0].group.merge(pending)
    try members[1].follow(message)
    let join = try Group.join(welcome: welcome, keyPackage: bundle, identity: invitee.identity)
    members.all.append(
      Client("greased", suite: members[0].suite, identity: invitee.identity, group: join.adopt()))
    for place in 0..<3 { try members.commit(by: place) }
    try members.expectAgreement()

    // In a group info: it fails by nothing but the secret that the forger makes up.
    let guest = try Invitee("guest")
    let (context, nodes) = try members[0].withMember(guest)
    let forged = try members[0].forgeWelcome(
      to: guest, context: context, tree: nodes.encoded, nodesBesides: strange)
    #expect(throws: MLSError.rejected(.welcomeConfirmation)) { _ = try guest.join(forged) }
  }

  /// Section 10: the version is that of the message around it.
  @Test func versionOfAKeyPackageIsItsMessages() throws {
    let message = try Invitee("one").keyPackage.message
    #expect(try KeyPackage(message: message).message == message)
    for place in [1, 5] {
      var changed = message
      changed[place] = 2
      #expect(throws: MLSError(.malformed)) { try KeyPackage(message: changed) }
    }
  }

  /// Section 8.1: the number of an epoch has an end, which is no beginning.
  @Test func epochsEnd() throws {
    #expect(Epoch(.max).next == nil && Epoch(.max - 1).next == Epoch(.max))
    let members = try Members(2)
    let client = members[0]
    let state = client.group.state
    var context = state.context
    for (epoch, isLast) in [(UInt64.max - 1, false), (.max, true)] {
      context.epoch = Epoch(epoch)
      client.group.state = EpochState(
        state.suite, context: context, tree: state.tree, privateKeys: state.privateKeys, keys: state.secrets,
        secretTree: state.secretTree, exporterTree: state.exporterTree,
        interimTranscriptHash: state.interimTranscriptHash,
        confirmationTag: state.confirmationTag)
      if isLast {
        #expect(throws: MLSError(.outOfBounds)) { try client.attempt([]) }
        #expect(throws: MLSError(.outOfBounds)) { try client.attempt([.remove(LeafIndex(1))]) }
      } else {
        #expect(try client.commit().epoch == Epoch(.max))
      }
    }
  }
}

/// The control for the tests that break rules: made by the same hands but for the break, everything is accepted; what only
/// a member's tag could complete fails by that tag and by nothing else.
@Suite struct ControlTests {
  let members: Members
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  var carol: Client { members[2] }

  init() throws {
    members = try Members(3)
    var all = members
    for place in 0..<3 { try all.commit(by: place) }
  }

  @Test func forgedProposalsPassWithoutABreak() throws {
    for proposal in [
      Proposal.add(try Invitee("dave").forged()), .remove(LeafIndex(2)),
      alice.group.resumptionProposal(epoch: Epoch(1)),
      .reInit(ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: [])),
      .groupContextExtensions([.requiredCapabilities(RequiredCapabilities(extensions: [0xff01]))]),
    ] {
      #expect(try bob.restored().note(try alice.forge(.proposal(proposal))).proposal == proposal)
    }
    let update = Proposal.update(try alice.updateLeaf())
    #expect(try bob.restored().note(try alice.forge(.proposal(update))).proposal == update)
    bob.group.policy.acceptsPublicHandshakes = true
    #expect(try bob.note(try alice.forgePublic(.proposal(.remove(LeafIndex(2))))).proposal == .remove(LeafIndex(2)))
  }

  @Test func forgedCommitsFailByTheirTagAlone() throws {
    let path = try alice.path().path
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([], path: path))
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([.add(try Invitee("dave").forged())]))
    let pskProposal = alice.group.resumptionProposal(epoch: alice.group.epoch)
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([pskProposal]))
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([pskProposal], path: path))
    let next = Proposal.reInit(ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: []))
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([next]))
  }

  /// Lists that come as near to each rule of section 12.2 as is allowed.
  @Test func honestListsPass() throws {
    let identity = Client.identity("dave")
    let (dave, erin) = (try Invitee("dave", identity: identity), try Invitee("erin"))
    let again = try Invitee("carol again", identity: carol.identity)
    let psks = (0..<2).map { _ in alice.group.resumptionProposal(epoch: alice.group.epoch) }
    for list in [
      [], [.remove(LeafIndex(1))], [.remove(LeafIndex(1)), .remove(LeafIndex(2))],
      [.add(dave.keyPackage), .add(erin.keyPackage)], [.add(dave.keyPackage), .remove(LeafIndex(1))],
      // A client may come again if its old self goes, and a key under two nonces is two keys.
      [.remove(LeafIndex(2)), .add(again.keyPackage)], psks,
      [.groupContextExtensions([])], [.groupContextExtensions([Extension(type: 0xff01, data: [1])])] + psks,
      [.reInit(ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: []))],
    ] as [[Proposal]] {
      let all = try members.restored()
      let pending = try all[0].commit(list)
      let message = pending.message
      try all[0].group.merge(pending)
      for member in all.all.dropFirst() {
        try member.follow(message)
        #expect(!member.isActive || member.group.epochAuthenticator == all[0].group.epochAuthenticator)
      }
    }
  }
}
