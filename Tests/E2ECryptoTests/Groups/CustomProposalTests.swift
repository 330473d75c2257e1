import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 12.2, 13.1 and 13.5: proposals of the application's own, and types that nobody knows.
@Suite struct CustomProposalTests {
  /// Types that the members of these tests know: a light one, and one that renews its committer's keys.
  static let (light, heavy): (UInt16, UInt16) = (0xf001, 0xf002)
  static let capabilities = Capabilities(extensions: [0xff01], proposals: [light, heavy])

  static var policy: GroupPolicy {
    var policy = GroupPolicy()
    policy.customProposals = [
      CustomProposalType(type: light, requiresPath: false, allowsExternalSender: true, allowsExternalCommit: true),
      CustomProposalType(type: heavy),
    ]
    return policy
  }

  private func members(_ count: Int, extensions: [Extension] = []) throws -> Members {
    try Members(count, capabilities: Self.capabilities, extensions: extensions, policy: Self.policy)
  }

  private func light(_ bytes: UInt8...) -> Proposal { .custom(type: Self.light, data: bytes) }

  @Test func committedByValue() throws {
    var members = try members(3)
    let effects = try members.commit(by: 0, [light(1, 2, 3), light(4)])
    #expect(effects.proposals.map(\.proposal) == [light(1, 2, 3), light(4)])
    #expect(effects.proposals.allSatisfy { !$0.isByReference })
    #expect(effects.updated.isEmpty, "no path was asked for")
    try members.expectAgreement()

    let heavy = Proposal.custom(type: Self.heavy, data: [])
    let second = try members.commit(by: 1, [heavy], joining: [try Invitee("late", capabilities: Self.capabilities)])
    #expect(second.updated.map(\.after.leafIndex) == [LeafIndex(1)])
    #expect(second.proposals.first?.proposal == heavy)
    try members.expectAgreement()
    // A path is asked for by all, not by the committer's kindness.
    try expectRefusal(.pathRequired, by: members[0], of: try members[1].forgeCommit([heavy]))
  }

  @Test func committedByReferenceAcrossARestart() throws {
    var members = try members(3)
    let message = try members[1].group.propose(light(7), authenticatedData: [9], now: someday)
    for place in [0, 2] {
      let noted = try members[place].note(message)
      #expect(noted.proposal == light(7) && noted.authenticatedData == [9])
    }
    members = try members.restored()
    for member in members.all { #expect(member.hasPendingProposals) }
    let pending = try members[2].commit()
    let restored = try PendingCommit(restoring: pending.encodeState())
    #expect(restored.effects == pending.effects)
    let (bytes, effects) = (restored.message, restored.effects)
    #expect(effects.proposals.count == 1 && effects.proposals[0].isByReference)
    #expect(effects.proposals[0].proposal == light(7))
    guard case .member(let proposer) = effects.proposals[0].sender else { throw MLSError(.fault) }
    #expect(proposer.leafIndex == LeafIndex(1))
    try members[2].group.merge(restored)
    for place in [0, 1] { #expect(try members[place].follow(bytes).proposals == effects.proposals) }
    try members.expectAgreement()
  }

  @Test func everyMemberMustSupportTheType() throws {
    var members = try members(2)
    try members.commit(by: 0, joining: [try Invitee("simple")])
    try expectRefusal(.proposalSupported, by: members[1], of: try members[0].forgeCommit([light(1)]))
    try expectRefusal(.proposalSupported, by: members[2], of: try members[0].forgeCommit([light(1)]))
    #expect(throws: MLSError.rejected(.proposalSupported)) { try members[0].attempt([light(1)]) }
    // Alone it is kept, but no commit of ours carries it; a member who does not know it does not keep it.
    let alone = try members[1].group.propose(light(2), now: someday)
    try members[0].note(alone)
    #expect(throws: MLSError(.unsupported)) { try members[2].note(alone) }
    #expect(try members[0].commit().effects.proposals.isEmpty)
    // Who goes with the commit need not know it, nor who comes.
    let effects = try members.commit(
      by: 0, [.remove(LeafIndex(2)), light(3)], joining: [try Invitee("as simple")])
    #expect(effects.proposals.contains { $0.proposal == light(3) } && effects.removed.count == 1)
    try members.expectAgreement()
  }

  @Test func undeclaredTypesAreRefusedWithoutHarm() throws {
    // The leaves list a type that one client's policy does not declare: its own mistake, and nobody else's trouble.
    let members = try members(3)
    members[1].group.policy.customProposals = []
    #expect(throws: MLSError(.unsupported)) { try members[1].note(try members[0].forge(.proposal(light(1)))) }
    let commit = try members[0].forgeCommit([light(1)])
    #expect(throws: MLSError(.unsupported)) { _ = try members[1].group.receive(commit) }
    #expect(throws: MLSError(.invalidProposal)) { try members[1].attempt([light(1)]) }
    #expect(throws: MLSError(.invalidProposal)) { _ = try members[1].group.propose(light(1), now: someday) }
    try members.expectAgreement()

    for type in GREASE.values + [11, 0x0abc, 0xf003, 0xffff] {
      let unknown = Proposal.custom(type: type, data: [1])
      #expect(throws: MLSError(.unsupported)) { try members[2].note(try members[0].forge(.proposal(unknown))) }
      try expectRefusal(.proposalSupported, by: members[2], of: try members[0].forgeCommit([unknown]))
      #expect(throws: MLSError(.invalidProposal)) { try members[0].attempt([unknown]) }
    }
    try members.expectAgreement()
  }

  @Test func aFormThatIsNotOursIsUnsupported() throws {
    // Nothing that could be a vector follows the type, or less than it promises.
    for body: [UInt8] in [[], [0xff], [5, 1, 2], [0x40, 0x01, 7], [0x80, 0xff, 0xff, 0xff]] {
      let bytes = [0xf0, 0x01] + body
      #expect(throws: WireError(.unknownType)) { try Proposal(decoding: bytes) }
    }
    #expect(try Proposal(decoding: [0xf0, 0x01, 2, 8, 9]) == light(8, 9))
    // Over the bound, although all of it is there.
    var long = Writer()
    long.write(Self.light)
    long.writeVector([UInt8](repeating: 0, count: Bounds.customProposal + 1))
    let tooLong = long.bytes
    #expect(throws: WireError(.unknownType)) { try Proposal(decoding: tooLong) }

    let members = try members(2)
    let huge = Proposal.custom(type: Self.light, data: [UInt8](repeating: 0, count: Bounds.customProposal + 1))
    #expect(throws: MLSError(.outOfBounds)) { try members[0].attempt([huge]) }
    #expect(throws: MLSError(.unsupported)) { try members[1].note(try members[0].forge(.proposal(huge))) }
    try members.expectAgreement()
  }

  @Test func builtInTypesCannotBeDeclared() throws {
    let members = try members(2)
    for type in UInt16(0)...10 {
      members[0].group.policy.customProposals.append(CustomProposalType(type: type))
      // As bytes this is, say, a Remove: it must not get past the checks for one.
      #expect(throws: MLSError(.invalidProposal)) { try members[0].attempt([.custom(type: type, data: [])]) }
    }
  }

  @Test func externalSenders() throws {
    let (bot, stranger) = (SigningKey.generate(), SigningKey.generate())
    let sender = ExternalSender(signatureKey: bot.publicKey, credential: .basic(identity: [1]))
    var members = try members(2, extensions: [.externalSenders([sender])])
    func send(_ proposal: Proposal, key: SigningKey) throws -> [UInt8] {
      try members[0].forgePublic(.proposal(proposal), as: .external(0), key: key)
    }
    let heavy = Proposal.custom(type: Self.heavy, data: [1])
    try expectRefusal(.externalSenderProposal, by: members[1], of: try send(heavy, key: bot))
    #expect(throws: MLSError(.badSignature)) { try members[1].note(try send(light(1), key: stranger)) }
    let message = try send(light(2), key: bot)
    for member in members.all { #expect(try member.note(message).sender == .external(index: 0, sender)) }
    let effects = try members.commit(by: 1)
    #expect(effects.proposals.map(\.proposal) == [light(2)])
    try members.expectAgreement()
  }

  @Test func externalCommits() throws {
    let members = try members(2)
    let info = try members[0].group.groupInfo()
    let identity = Client.identity("joiner")
    #expect(throws: MLSError.rejected(.externalOnlyAllowed)) {
      _ = try Group.joinExternally(
        groupInfo: info, identity: identity, capabilities: Self.capabilities,
        proposals: [.custom(type: Self.heavy, data: [])], policy: Self.policy)
    }
    let joining = try Group.joinExternally(
      groupInfo: info, identity: identity, proposals: [light(6)], policy: Self.policy)
    let message = joining.message
    for member in members.all {
      #expect(try member.follow(message).proposals.map(\.proposal).contains(light(6)))
    }
    let suite = members[0].suite
    let joiner = Client("joiner", suite: suite, identity: identity, group: joining.adopt())
    // The policy's types went into the capabilities of its own accord.
    #expect(joiner.group.member(at: joiner.group.ownLeafIndex)?.capabilities.proposals == [Self.light, Self.heavy])
    try Members(members.all + [joiner]).expectAgreement()
  }

  @Test func requiredByTheGroup() throws {
    let required = RequiredCapabilities(extensions: [0xff01], proposals: [Self.light], credentials: [1])
    var members = try members(2)
    try members.commit(by: 0, [.groupContextExtensions([.requiredCapabilities(required)])])
    // Whoever lacks the type stays outside, however it comes.
    let simple = try Invitee("simple")
    let refused = MLSError.rejected(.leafRequiredCapabilities)
    #expect(throws: refused) { try members[0].attempt([.add(simple.keyPackage)]) }
    try expectRefusal(
      .leafRequiredCapabilities, by: members[1], of: try members[0].forgeCommit([.add(simple.keyPackage)]))
    #expect(throws: refused) {
      _ = try Group.joinExternally(
        groupInfo: try members[0].group.groupInfo(), identity: simple.identity,
        capabilities: Capabilities(extensions: [0xff01]))
    }
    // And nobody can drop it, nor demand what one lacks.
    var options = CommitOptions()
    options.capabilities = Capabilities(extensions: [0xff01])
    #expect(throws: refused) { _ = try members[0].commit(options: options) }
    #expect(throws: refused) {
      _ = try members[0].group.proposeUpdate(capabilities: Capabilities(extensions: [0xff01]))
    }
    for more in [
      RequiredCapabilities(proposals: [0xf0aa]), RequiredCapabilities(credentials: [2]),
      RequiredCapabilities(extensions: [0xff0a]),
    ] {
      #expect(throws: MLSError.rejected(.requiredCapabilitiesMet)) {
        try members[0].attempt([.groupContextExtensions([.requiredCapabilities(more)])])
      }
    }
    try members.commit(by: 1, joining: [try Invitee("able", capabilities: Self.capabilities)])
    try members.expectAgreement()
  }

  @Test func greaseIsCarriedAndIgnored() throws {
    let alice = try Client.create(
      "alice", capabilities: Self.capabilities.withGREASE(), leafExtensions: [.grease()], policy: Self.policy)
    var members = Members([alice])
    for number in 0..<6 {
      let identity = Client.identity("greasy \(number)")
      let bundle = try KeyPackageBundle.generate(
        suite: alice.suite, identity: identity, capabilities: Self.capabilities.withGREASE(), lifetime: someYear,
        extensions: [.grease()], leafExtensions: [.grease()])
      let keyPackage = try KeyPackage(message: bundle.message)
      #expect(GREASE.values.contains(keyPackage.extensions[0].type))
      #expect(GREASE.values.contains { keyPackage.leafNode.capabilities.credentials.contains($0) })
      let pending = try members[number].commit([.add(keyPackage), light(UInt8(number))])
      let (message, welcome) = (pending.message, try pending.requireWelcome())
      try members[number].group.merge(pending)
      for member in members.all where member !== members[number] { try member.follow(message) }
      let join = try Group.join(
        welcome: welcome, keyPackage: bundle, identity: identity, policy: Self.policy)
      members.all.append(Client("greasy", suite: alice.suite, identity: identity, group: join.adopt()))
    }
    try members.restored().expectAgreement()
  }
}
