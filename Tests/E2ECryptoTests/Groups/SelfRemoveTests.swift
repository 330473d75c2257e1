import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// draft-ietf-mls-extensions section 6.3: members who leave by their own word.
@Suite struct SelfRemoveTests {
  static let capabilities = Capabilities(extensions: [0xff01], proposals: [Proposal.selfRemoveType])

  private func members(_ count: Int) throws -> Members { try Members(count, capabilities: Self.capabilities) }

  private func invitee(_ name: String) throws -> Invitee { try Invitee(name, capabilities: Self.capabilities) }

  @Test func committedByAnother() throws {
    var members = try members(4)
    let leaver = members[2]
    let message = try leaver.group.proposeSelfRemove(authenticatedData: [7])
    #expect(try MessageHeader(of: message).format == .publicMessage)
    for place in [0, 1, 3] {
      let noted = try members[place].note(message)
      #expect(noted.proposal == .selfRemove && noted.authenticatedData == [7])
    }
    members = try members.restored()
    let effects = try members.commit(by: 3, joining: [try invitee("new")])
    #expect(effects.removed.map(\.leafIndex) == [LeafIndex(2)] && effects.added.count == 1)
    #expect(effects.updated.map(\.after.leafIndex) == [LeafIndex(3)], "the commit has a path")
    #expect(effects.proposals.contains { $0.proposal == .selfRemove && $0.isByReference })
    #expect(members.all.count == 4)
    try members.expectAgreement()
  }

  @Test func theLeaverDoesNotCommitItsOwn() throws {
    var members = try members(3)
    let message = try members[1].group.proposeSelfRemove()
    for place in [0, 2] { try members[place].note(message) }
    #expect(throws: MLSError(.invalidProposal)) { _ = try members[1].group.proposeSelfRemove() }
    // Its own commit leaves the proposal out; forged into one, the others refuse it.
    let reference = try #require(members[0].group.proposals.entries.first?.reference)
    let forged = Commit(proposals: [.reference(reference)], path: try members[1].path().path)
    try expectRefusal(.noOwnRemove, by: members[0], of: try members[1].forge(.commit(forged)))
    #expect(try members.commit(by: 1).removed.isEmpty)
    try members.expectAgreement()
  }

  @Test func aSecondOneSplitsNobody() throws {
    // A client that ignores the draft sends two, and they come to the others in different orders.
    let members = try members(4)
    let twin = try members[1].restored()
    let first = try members[1].group.proposeSelfRemove()
    let second = try twin.group.proposeSelfRemove(authenticatedData: [1])
    for (place, messages) in [(0, [first, second]), (2, [second, first]), (3, [second, first])] {
      for message in messages { try members[place].note(message) }
      #expect(members[place].group.proposals.entries.count == 2)
    }
    #expect(throws: MLSError(.ownMessage)) { try members[1].note(second) }
    let references = members[0].group.proposals.entries.map { ProposalOrRef.reference($0.reference) }
    let both = Commit(proposals: references, path: try members[2].path().path)
    try expectRefusal(.oneChangePerLeaf, by: members[0], of: try members[2].forge(.commit(both)))
    let pending = try members[2].commit()
    #expect(pending.effects.removed.count == 1)
    let message = pending.message
    try members[2].group.merge(pending)
    for place in [0, 3] { try members[place].follow(message) }
    try Members([members[0], members[2], members[3]]).expectAgreement()
  }

  @Test func byReferenceOnly() throws {
    let members = try members(3)
    let commit = try members[0].forgeCommit([.selfRemove], path: try members[0].path().path)
    try expectRefusal(.selfRemoveByReference, by: members[1], of: commit)
    #expect(throws: MLSError(.invalidProposal)) { try members[0].attempt([.selfRemove]) }
    #expect(throws: MLSError(.invalidProposal)) { _ = try members[0].group.propose(.selfRemove, now: someday) }
  }

  @Test func publicOnly() throws {
    let members = try members(3)
    try expectRefusal(.selfRemoveIsPublic, by: members[1], of: try members[0].forge(.proposal(.selfRemove)))
    // And that is the only thing a member may say in public.
    #expect(throws: MLSError(.publicHandshake)) {
      try members[1].note(try members[0].forgePublic(.proposal(.remove(LeafIndex(2)))))
    }
    try members.expectAgreement()
  }

  @Test func pathRequired() throws {
    let members = try members(3)
    let message = try members[2].group.proposeSelfRemove()
    for place in [0, 1] { try members[place].note(message) }
    let reference = try #require(members[0].group.proposals.entries.first?.reference)
    try expectRefusal(
      .pathRequired, by: members[1],
      of: try members[0].forge(.commit(Commit(proposals: [.reference(reference)], path: nil))))
  }

  @Test func fromMembersOnly() throws {
    let bot = SigningKey.generate()
    let sender = ExternalSender(signatureKey: bot.publicKey, credential: .basic(identity: [1]))
    let members = try Members(
      2, capabilities: Self.capabilities, extensions: [.externalSenders([sender])])
    try expectRefusal(
      .externalSenderProposal, by: members[1],
      of: try members[0].forgePublic(.proposal(.selfRemove), as: .external(0), key: bot))
    try expectRefusal(
      .newMemberProposal, by: members[1],
      of: try members[0].forgePublic(.proposal(.selfRemove), as: .newMemberProposal, key: bot))
    #expect(throws: MLSError.rejected(.selfRemoveFromMember)) {
      try ProposalList.validateSelfRemove(from: .external(0), in: members[0].group.state.tree)
    }
    // One member cannot speak for another: the tag is right, the signature is not.
    #expect(throws: MLSError(.badSignature)) {
      try members[1].note(
        try members[0].forgePublic(.proposal(.selfRemove), as: .member(LeafIndex(0)), key: bot))
    }
    // Nor can one who lacks the membership key.
    let outsider = try members[0].group.proposeSelfRemove()
    var broken = outsider
    broken[broken.count - 1] ^= 1
    #expect(throws: MLSError(.badTag)) { try members[1].note(broken) }
  }

  @Test func everyMemberMustSupportIt() throws {
    var members = try members(2)
    try members.commit(by: 0, joining: [try Invitee("simple")])
    #expect(throws: MLSError(.unsupported)) { _ = try members[1].group.proposeSelfRemove() }
    let message = try members[1].forgePublic(.proposal(.selfRemove))
    #expect(throws: MLSError(.unsupported)) { try members[2].note(message) }
    try members[0].note(message)
    #expect(try members[0].commit().effects.removed.isEmpty)
    let reference = try #require(members[0].group.proposals.entries.first?.reference)
    try members[2].group.proposals.insert(
      ProposalCache.Entry(
        reference: reference, proposal: .selfRemove, sender: .member(LeafIndex(1)), ownLeafKey: nil), limit: 9)
    let forged = Commit(proposals: [.reference(reference)], path: try members[0].path().path)
    try expectRefusal(.proposalSupported, by: members[2], of: try members[0].forge(.commit(forged)))
  }

  @Test func winsOverOtherChangesOfTheLeaf() throws {
    var members = try members(4)
    let update = try members[2].group.proposeUpdate()
    let leave = try members[2].group.proposeSelfRemove()
    let remove = try members[1].group.propose(.remove(LeafIndex(2)), now: someday)
    for place in [0, 1, 3] { for message in [update, leave] { try members[place].note(message) } }
    for place in [0, 2, 3] { try members[place].note(remove) }
    let references = members[0].group.proposals.entries.map(\.reference)
    for others in [[0, 1], [1, 2]] {
      let commit = Commit(
        proposals: others.map { .reference(references[$0]) }, path: try members[3].path().path)
      try expectRefusal(.oneChangePerLeaf, by: members[0], of: try members[3].forge(.commit(commit)))
    }
    // Ours takes the leaver's own word, even over our own remove.
    let effects = try members.commit(by: 0, [.remove(LeafIndex(2))])
    #expect(effects.proposals.map(\.proposal) == [.selfRemove] && effects.removed.count == 1)
    try members.expectAgreement()
  }

  @Test func aBadProposalDoesNotHoldTheLeaver() throws {
    var members = try members(3)
    // It can be committed with nothing else: the add lacks what the new extensions ask of it.
    let stranger = try Invitee("stranger", capabilities: Capabilities())
    let extensions = Proposal.groupContextExtensions([Extension(type: 0xff01, data: [])])
    var messages = [try members[1].group.propose(.add(stranger.keyPackage), now: someday)]
    messages.append(try members[1].group.propose(extensions, now: someday))
    for message in messages { for place in [0, 2] { try members[place].note(message) } }
    let leave = try members[2].group.proposeSelfRemove()
    for place in [0, 1] { try members[place].note(leave) }
    #expect(try members.commit(by: 0).removed.map(\.leafIndex) == [LeafIndex(2)])
    try members.expectAgreement()
  }

  // MARK: External commits

  private func join(
    _ name: String, _ members: Members, selfRemoves: [[UInt8]], removing: LeafIndex? = nil,
    identity: ClientIdentity? = nil
  ) throws -> (client: Client, message: [UInt8]) {
    let identity = identity ?? Client.identity(name)
    let joining = try Group.joinExternally(
      groupInfo: try members[0].group.groupInfo(), identity: identity, capabilities: Self.capabilities,
      removing: removing, selfRemoves: selfRemoves)
    let message = joining.message
    let client = Client(name, suite: members[0].suite, identity: identity, group: joining.adopt())
    return (client, message)
  }

  @Test func carriedByAnExternalCommit() throws {
    let members = try members(5)
    let leavers = [members[1], members[4]]
    let messages = try leavers.map { try $0.group.proposeSelfRemove() }
    for member in members.all {
      for (leaver, message) in zip(leavers, messages) where leaver !== member { try member.note(message) }
    }
    // The relay may hand a message out twice.
    let (joiner, commit) = try join("joiner", members, selfRemoves: messages + [messages[0]])
    var staying: [Client] = [joiner]
    for member in members.all {
      let effects = try member.follow(commit)
      #expect(Set(effects.removed.map(\.leafIndex)) == [LeafIndex(1), LeafIndex(4)])
      #expect(effects.added.count == 1)
      #expect(effects.proposals.count { $0.proposal == .selfRemove } == 2)
      if leavers.contains(where: { $0 === member }) {
        #expect(effects.removesSelf && !member.isActive)
      } else {
        staying.append(member)
      }
    }
    #expect(joiner.group.ownLeafIndex == LeafIndex(1))
    try Members(staying).expectAgreement()
  }

  @Test func aReturningMemberReplacesItsLeavingSelf() throws {
    let members = try members(3)
    let leave = try members[2].group.proposeSelfRemove()
    for place in [0, 1] { try members[place].note(leave) }
    let (joiner, commit) = try join(
      "member 2", members, selfRemoves: [leave], removing: LeafIndex(2), identity: members[2].identity)
    let staying = Members([members[0], members[1], joiner])
    for place in [0, 1] { #expect(try members[place].follow(commit).removed.count == 1) }
    try staying.expectAgreement()
  }

  @Test func aMemberWhoMissedItFetchesIt() throws {
    let members = try members(3)
    let leave = try members[2].group.proposeSelfRemove()
    let (joiner, commit) = try join("joiner", members, selfRemoves: [leave])
    #expect(throws: MLSError(.unknownProposal)) { try members[0].follow(commit) }
    for place in [0, 1] {
      try members[place].note(leave)
      try members[place].follow(commit)
    }
    try Members([members[0], members[1], joiner]).expectAgreement()
  }

  @Test func aJoinerChecksWhatItIsGiven() throws {
    let members = try members(3)
    let old = try members[1].group.proposeSelfRemove()
    for place in [0, 2] { try members[place].note(old) }
    try members[0].group.merge(try members[0].commit())
    let leave = try members[0].forgePublic(.proposal(.selfRemove))
    let other = try Members(2, capabilities: Self.capabilities)
    var forged = leave
    forged[forged.count - 40] ^= 1
    let asAnother = try members[0].forgePublic(.proposal(.selfRemove), as: .member(LeafIndex(2)))
    let asNobody = try members[0].forgePublic(.proposal(.selfRemove), as: .member(LeafIndex(9)))
    let remove = try members[0].forgePublic(.proposal(.remove(LeafIndex(2))))
    for (message, error) in [
      (old, MLSError(.staleHandshake)), (forged, MLSError(.badSignature)), (asAnother, MLSError(.badSignature)),
      (asNobody, MLSError.rejected(.selfRemoveFromMember)), (remove, MLSError(.unsupported)),
      (try members[0].say("no handshake"), MLSError(.unsupported)), ([1, 2, 3], MLSError(.malformed)),
      (try other[1].group.proposeSelfRemove(), MLSError(.wrongGroup)),
    ] {
      #expect(throws: error) { _ = try join("joiner", members, selfRemoves: [message]) }
    }
    // The tag, which it cannot check, is for the members: they do not know the proposal then.
    var untagged = leave
    untagged[untagged.count - 1] ^= 1
    _ = try join("joiner", members, selfRemoves: [untagged])
  }

  @Test func nothingElseByReference() throws {
    let members = try members(3)
    let remove = try members[1].group.propose(.remove(LeafIndex(2)), now: someday)
    try members[0].note(remove)
    let reference = try #require(members[0].group.proposals.entries.first?.reference)
    let joiner = try join("joiner", members, selfRemoves: []).message
    guard case .publicMessage(let message) = try MLSMessage(strictly: joiner),
      case .commit(let commit) = message.content.content
    else { throw MLSError(.fault) }
    let key = SigningKey.generate()
    let path = try #require(commit.path)
    let forged = Commit(proposals: commit.proposals + [.reference(reference)], path: path)
    // Signed by another than the leaf's owner, it would fail for that; so the leaf's key goes along.
    var leaf = path.leafNode
    leaf.signatureKey = key.publicKey
    try leaf.sign(members[0].suiteOf, key: key, at: LeafPlace(groupID: members[0].group.groupID, index: LeafIndex(3)))
    let signed = Commit(proposals: forged.proposals, path: UpdatePath(leafNode: leaf, nodes: path.nodes))
    try expectRefusal(
      .externalByValue, by: members[0], of: try members[0].forgePublic(.commit(signed), as: .newMemberCommit, key: key))
  }
}
