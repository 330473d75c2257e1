import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// What those outside of a group can do, and what a group shows to them.
@Suite struct OutsiderTests {
  private let service = Client.identity("service")
  private var sender: ExternalSender {
    ExternalSender(signatureKey: service.signingKey.publicKey, credential: service.credential)
  }

  private func proposer(_ members: Members) throws -> ExternalProposer {
    try ExternalProposer(try PublicGroup(groupInfo: members[0].group.groupInfo()), signingKey: service.signingKey)
  }

  private func deliver(_ message: [UInt8], to members: Members) throws {
    for member in members.all { try member.note(message) }
  }

  // MARK: External senders

  @Test func serviceProposesWhatItMay() throws {
    var members = try Members(3, extensions: [.externalSenders([sender])])
    let psk = ExternalPSK(id: [7], secret: .random(count: 32))
    for member in members.all { member.group.setPreSharedKey(psk) }
    let (group, suite) = (members[0].group.groupID, members[0].suite)
    let invitee = try Invitee("hired")
    let changed = [Extension.externalSenders([sender]), Extension(type: 0xff01, data: [1])]

    let first = try proposer(members)
    #expect(first.index == 0 && first.epoch == members[0].group.epoch && first.suite == suite)
    for proposal in [
      Proposal.add(invitee.keyPackage), .remove(LeafIndex(2)), .externalPSK(id: psk.id, suite: suite),
      .resumptionPSK(groupID: group, epoch: first.epoch, suite: suite), .groupContextExtensions(changed),
    ] {
      let message = try first.propose(proposal, authenticatedData: [1])
      for member in members.all {
        let noted = try member.note(message)
        #expect(noted.sender == .external(index: 0, sender) && noted.authenticatedData == [1])
        #expect(noted.proposal == proposal)
      }
    }
    let pending = try members[1].commit()
    let effects = pending.effects
    #expect(effects.added.map(\.credential) == [invitee.identity.credential])
    #expect(effects.removed.map(\.leafIndex) == [LeafIndex(2)] && effects.preSharedKeys.count == 2)
    #expect(effects.extensionsChanged?.after == changed)
    let (welcome, known) = (try pending.requireWelcome(), members[0].group.resumptionPSK)
    for place in [0, 2] { try members[place].follow(pending.message) }
    try members[1].group.merge(pending)
    #expect(throws: MLSError(.unknownPSK)) { try invitee.join(welcome, psks: [psk]) }
    let join = try Group.join(
      welcome: welcome, keyPackage: invitee.bundle, identity: invitee.identity, psks: [psk], resumption: [known])
    members.all[2] = Client("hired", suite: suite, identity: invitee.identity, group: join.adopt())
    try members.expectAgreement()

    // A service may also end a group.
    let parameters = ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: [])
    let last = try ExternalProposer(
      groupID: group, epoch: members[0].group.epoch, suite: suite, index: 0, signingKey: service.signingKey
    ).propose(.reInit(parameters))
    try members[0].note(last)
    #expect(try members[0].commit().effects.reInit == parameters)
  }

  @Test func onlyListedServicesPropose() throws {
    let other = Client.identity("other")
    let second = ExternalSender(signatureKey: other.signingKey.publicKey, credential: other.credential)
    let members = try Members(2, extensions: [.externalSenders([sender, second])])
    let info = try PublicGroup(groupInfo: members[0].group.groupInfo())
    #expect(try ExternalProposer(info, signingKey: other.signingKey).index == 1)
    #expect(throws: MLSError(.notExternalSender)) { _ = try ExternalProposer(info, signingKey: .generate()) }
    #expect(throws: MLSError(.notExternalSender)) {
      let unlisted = try PublicGroup(groupInfo: try Members(1)[0].group.groupInfo())
      _ = try ExternalProposer(unlisted, signingKey: service.signingKey)
    }
    func send(
      _ proposal: Proposal = .remove(LeafIndex(0)), index: UInt32 = 0, epoch: Epoch? = nil, group: GroupID? = nil,
      key: SigningKey? = nil
    ) throws -> [UInt8] {
      try ExternalProposer(
        groupID: group ?? info.groupID, epoch: epoch ?? info.epoch, suite: info.suite, index: index,
        signingKey: key ?? service.signingKey
      ).propose(proposal)
    }
    func expectRefused(_ error: MLSError, _ message: [UInt8], _ place: SourceLocation = #_sourceLocation) {
      #expect(throws: error, sourceLocation: place) { try members[1].note(message) }
    }
    expectRefused(MLSError(.badSignature), try send(index: 1))
    expectRefused(MLSError.rejected(.externalSenderKnown), try send(index: 2))
    expectRefused(MLSError(.badSignature), try send(key: .generate()))
    expectRefused(MLSError(.staleHandshake), try send(epoch: Epoch(0)))
    expectRefused(MLSError(.futureEpoch), try send(epoch: Epoch(2)))
    expectRefused(MLSError(.wrongGroup), try send(group: GroupID([1])))
    expectRefused(MLSError.rejected(.removeNamesMember), try send(.remove(LeafIndex(5))))
    // Signed for one epoch, and changed on the way to say another: the signature covers the epoch.
    let message = try send(epoch: Epoch(0))
    let group = members[1].group.groupID.bytes
    let place = try #require(message.firstRange(of: group)).upperBound
    var moved = message
    moved[place + 7] = 1
    expectRefused(MLSError(.badSignature), moved)
    // What it may not even make.
    for proposal in [Proposal.update(try members[0].updateLeaf()), .externalInit(kemOutput: [])] {
      #expect(throws: MLSError(.invalidProposal)) { _ = try send(proposal) }
    }
    // One that is no longer listed when the group has moved on.
    let gone = try members[0].commit([.groupContextExtensions([])])
    try members[1].follow(gone.message)
    expectRefused(MLSError.rejected(.externalSenderKnown), try send(epoch: members[1].group.epoch))
  }

  @Test func serviceProposalsOutliveRestarts() throws {
    let members = try Members(2, extensions: [.externalSenders([sender])])
    try deliver(try proposer(members).propose(.remove(LeafIndex(1))), to: members)
    let restored = try members[0].restored()
    #expect(restored.group.pendingProposals.map(\.proposal) == [.remove(LeafIndex(1))])
    let effects = try restored.commit().effects
    #expect(effects.proposals.map(\.sender) == [.external(index: 0, sender)])
  }

  // MARK: Those who want to join

  @Test func newMemberProposesItself() throws {
    var members = try Members(2)
    let (dave, eve) = (try Invitee("dave"), try Invitee("eve"))
    let (id, epoch) = (members[0].group.groupID, members[0].group.epoch)
    let message = try dave.bundle.proposeJoining(groupID: id, epoch: epoch, identity: dave.identity)
    #expect(throws: MLSError(.identityMismatch)) {
      _ = try dave.bundle.proposeJoining(groupID: id, epoch: epoch, identity: eve.identity)
    }
    for member in members.all { #expect(try member.note(message).sender == .newMember(dave.keyPackage.leafNode)) }
    #expect(throws: MLSError(.staleHandshake)) {
      try members[0].note(
        try eve.bundle.proposeJoining(groupID: id, epoch: Epoch(0), identity: eve.identity))
    }
    let pending = try members[1].commit()
    let welcome = try pending.requireWelcome()
    try members[0].follow(pending.message)
    try members[1].group.merge(pending)
    members.all.append(try dave.join(welcome))
    try members.expectAgreement()
  }

  @Test func externalJoinWithTreeApart() throws {
    var members = try Members(3)
    let group = members[0].group.groupID
    let psk = ExternalPSK(id: [7], secret: .random(count: 32))
    for member in members.all { member.group.setPreSharedKey(psk) }
    let proof = members[2].group.resumptionPSK
    try members.commit(by: 1)
    let old = members[0].group.ratchetTree
    var options = CommitOptions()
    options.makesGroupInfo = true
    options.groupInfoIncludesTree = false
    let pending = try members[0].commit(options: options)
    let published = pending.groupInfo
    let (info, tree) = (try #require(published), pending.ratchetTree)
    for place in [1, 2] { try members[place].follow(pending.message) }
    try members[0].group.merge(pending)

    let carol = members.all.removeLast()
    func join(_ info: [UInt8], tree: [UInt8]?) throws -> PendingExternalJoin {
      try Group.joinExternally(
        groupInfo: info, identity: carol.identity, capabilities: Capabilities(extensions: [0xff01]), ratchetTree: tree,
        removing: carol.group.ownLeafIndex, psks: [psk], resumption: [proof])
    }
    #expect(throws: MLSError(.missingTree)) { _ = try join(info, tree: nil) }
    #expect(throws: MLSError.rejected(.welcomeTreeHash)) { _ = try join(info, tree: old) }
    // Without the external key one sees the group and cannot join it.
    let closed = try members[0].group.groupInfo(includesTree: false, allowsExternalCommit: false)
    #expect(throws: MLSError(.unsupported)) { _ = try join(closed, tree: tree) }
    let seen = try PublicGroup(groupInfo: closed, ratchetTree: tree)
    #expect(seen.groupID == group && seen.members == members[0].group.members && seen.signer.leafIndex == LeafIndex(0))
    #expect(throws: MLSError(.missingTree)) { _ = try PublicGroup(groupInfo: closed) }
    let foreign = try Invitee("foreign").keyPackage.message
    #expect(throws: MLSError(.unsupported)) { _ = try PublicGroup(groupInfo: foreign) }

    let back = try join(info, tree: tree)
    for member in members.all {
      let effects = try member.follow(back.message)
      #expect(effects.preSharedKeys.count == 2 && effects.removed.map(\.leafIndex) == [carol.group.ownLeafIndex])
    }
    members.all.append(Client("carol", suite: carol.suite, identity: carol.identity, group: back.adopt()))
    try members.expectAgreement()
  }

  // MARK: Members in the open

  @Test func handshakesInTheOpen() throws {
    var members = try Members(3)
    for member in members.all {
      member.group.policy.sendsPublicHandshakes = true
      member.group.policy.acceptsPublicHandshakes = true
    }
    let proposal = try members[1].group.proposeUpdate()
    #expect(try MessageHeader(of: proposal).format == .publicMessage)
    for place in [0, 2] { try members[place].note(proposal) }
    let pending = try members[0].commit([.remove(LeafIndex(2))])
    #expect(try MessageHeader(of: pending.message).format == .publicMessage)
    for place in [1, 2] { try members[place].follow(pending.message) }
    try members[0].group.merge(pending)
    members.all.removeLast()
    // What is said is sealed all the same.
    let said = try members[0].say("sealed")
    #expect(try MessageHeader(of: said).format == .privateMessage)
    #expect(try members[1].hear(said) == "sealed")
    try members.expectAgreement()
    members[1].group.policy.acceptsPublicHandshakes = false
    let commit = try members[0].commit()
    #expect(throws: MLSError(.publicHandshake)) { try members[1].follow(commit.message) }
  }

  @Test func commitCoversWhatItNames() throws {
    let members = try Members(4)
    let proposals = try [LeafIndex(2), LeafIndex(3)].map { leaf in
      try members[1].group.propose(.remove(leaf), now: someday)
    }
    for message in proposals { try members[0].note(message) }
    let references = members[0].group.pendingProposals.map(\.reference)
    #expect(references == members[1].group.pendingProposals.map(\.reference))
    var options = CommitOptions()
    options.covers = [references[1]]
    #expect(try members[0].commit(options: options).effects.removed.map(\.leafIndex) == [LeafIndex(3)])
    options.covers = []
    #expect(try members[0].commit(options: options).effects.removed.isEmpty)
    options.covers = [references[1], references[1]]
    #expect(throws: MLSError.rejected(.oneChangePerLeaf)) { _ = try members[0].commit(options: options) }
    options.covers = [ProposalRef(bytes: [1])]
    #expect(throws: MLSError(.unknownProposal)) { _ = try members[0].commit(options: options) }
  }
}
