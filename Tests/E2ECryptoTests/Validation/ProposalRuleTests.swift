import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 12.1 and 12.2: each rule for proposals and lists of them, broken by a member.
@Suite struct ProposalRuleTests {
  let members: Members
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  var carol: Client { members[2] }

  init() throws { members = try Members(3) }

  /// Has alice commit a list with a plain path, and expects bob to refuse it.
  private func expectListRefused(
    _ rule: Rule, _ proposals: [Proposal], _ place: SourceLocation = #_sourceLocation
  ) throws {
    try expectRefusal(rule, by: bob, of: try alice.forgeCommit(proposals, path: try alice.path().path), place)
  }

  @Test func removeNamesAMember() throws {
    for leaf in [3, 4, 1000, UInt32.max] {
      try expectListRefused(.removeNamesMember, [.remove(LeafIndex(leaf))])
      try expectRefusal(.removeNamesMember, by: bob, of: try alice.forge(.proposal(.remove(LeafIndex(leaf)))))
      #expect(throws: MLSError.rejected(.removeNamesMember)) { try alice.attempt([.remove(LeafIndex(leaf))]) }
    }
  }

  @Test func psks() throws {
    func psk(_ usage: PreSharedKeyID.Usage, nonce: Int = 32) -> Proposal {
      .preSharedKey(
        PreSharedKeyID(
          source: .resumption(usage: usage, groupID: alice.group.groupID, epoch: alice.group.epoch),
          nonce: [UInt8](repeating: 1, count: nonce)))
    }
    try expectListRefused(.pskUsage, [psk(.reInit)])
    try expectListRefused(.pskUsage, [psk(.branch)])
    for length in [0, 31, 33] { try expectListRefused(.pskNonceLength, [psk(.application, nonce: length)]) }
    try expectListRefused(.psksDiffer, [psk(.application), psk(.application)])
  }

  @Test func reInit() throws {
    let next = ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: [])
    var writer = Writer()
    next.encode(into: &writer)
    // Version 0, which the type itself does not make.
    let old = try ReInit(decoding: [1, 1, 0, 0] + writer.bytes.dropFirst(4))
    try expectListRefused(.reInitVersion, [.reInit(old)])
    try expectListRefused(.reInitAlone, [.reInit(next), .remove(LeafIndex(2))])
    try expectListRefused(.reInitAlone, [.reInit(next), .reInit(next)])
    let twice = [Extension(type: 0xff01, data: [1]), Extension(type: 0xff01, data: [2])]
    let repeated = Proposal.reInit(ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: twice))
    try expectListRefused(.extensionsUnique, [repeated])
    try expectRefusal(.extensionsUnique, by: bob, of: try alice.forge(.proposal(repeated)))
  }

  @Test func requiredCapabilitiesAreMet() throws {
    let demanding = Proposal.groupContextExtensions([
      .requiredCapabilities(RequiredCapabilities(extensions: [0xff55]))
    ])
    // The committer's own path leaf would break its own rule first; so it lists what it demands.
    let path = try alice.path { $0.capabilities.extensions.append(0xff55) }.path
    try expectRefusal(.requiredCapabilitiesMet, by: bob, of: try alice.forgeCommit([demanding], path: path))
    #expect(throws: MLSError.rejected(.requiredCapabilitiesMet)) { try alice.attempt([demanding]) }
    #expect(throws: MLSError.rejected(.requiredCapabilitiesMet)) {
      _ = try alice.group.propose(demanding, now: someday)
    }
  }

  /// Whether a proposal goes with the group's extensions depends on what else is in the list: a receiver who refused it by
  /// itself could not follow the commit (section 12.3).
  @Test func proposalsAreJudgedInTheirList() throws {
    let invitee = try Invitee("dave", capabilities: Capabilities())
    var extended = try Members(3, extensions: [Extension(type: 0xff01, data: [1])])
    func send(_ proposal: Proposal, _ members: Members) throws {
      let message = try members[1].forge(.proposal(proposal))
      for place in [0, 2] { try members[place].note(message) }
      // The forger has not noted its own.
      try members[1].group.proposals.insert(
        try #require(members[0].group.proposals.entries.last), limit: 10)
    }
    try send(.add(invitee.keyPackage), extended)
    #expect(try extended[0].commit().effects.proposals.isEmpty, "the newcomer lacks the group's extension")
    try send(.groupContextExtensions([]), extended)
    let pending = try extended[0].commit()
    #expect(pending.effects.added.count == 1 && pending.effects.extensionsChanged != nil)
    let (message, welcome) = (pending.message, try pending.requireWelcome())
    try extended[0].group.merge(pending)
    for place in 1...2 { try extended[place].follow(message) }
    extended.all.append(try invitee.join(welcome))
    try extended.expectAgreement()

    // Demands that one member cannot meet are met once that one goes.
    var mixed = try Members(2, capabilities: Capabilities(extensions: [0xff55]))
    try mixed.commit(by: 0, joining: [try Invitee("poor")])
    let demanding = Proposal.groupContextExtensions([
      .requiredCapabilities(RequiredCapabilities(extensions: [0xff55]))
    ])
    try send(demanding, mixed)
    #expect(try mixed[0].commit().effects.proposals.isEmpty)
    try send(.remove(LeafIndex(2)), mixed)
    let effects = try mixed.commit(by: 0)
    #expect(effects.extensionsChanged != nil && effects.removed.count == 1)
    try mixed.expectAgreement()
  }

  /// One proposal that cannot be committed does not hold up the others.
  @Test func oneBadProposalDoesNotSpoilTheRest() throws {
    var strict = try Members(
      3, extensions: [.requiredCapabilities(RequiredCapabilities(extensions: [0xff01], credentials: [1]))])
    let poor = try Invitee("poor", capabilities: Capabilities())
    let message = try strict[1].forge(.proposal(.add(poor.keyPackage)))
    for place in [0, 2] { try strict[place].note(message) }
    let remove = try strict[1].group.propose(.remove(LeafIndex(2)), now: someday)
    for place in [0, 2] { try strict[place].note(remove) }
    let effects = try strict.commit(by: 0)
    #expect(effects.added.isEmpty && effects.removed.map(\.leafIndex) == [LeafIndex(2)])
    try strict.expectAgreement()
  }

  @Test func committerDoesNotUpdateOrRemoveItself() throws {
    try expectListRefused(.noOwnUpdate, [.update(try alice.updateLeaf())])
    try expectListRefused(.noOwnRemove, [.remove(LeafIndex(0))])
    #expect(throws: MLSError.rejected(.noOwnRemove)) { try alice.attempt([.remove(LeafIndex(0))]) }
  }

  @Test func oneChangePerLeaf() throws {
    try expectListRefused(.oneChangePerLeaf, [.remove(LeafIndex(2)), .remove(LeafIndex(2))])
    let message = try carol.group.proposeUpdate()
    try alice.note(message)
    try bob.note(message)
    let reference = try #require(alice.group.proposals.entries.first?.reference)
    let commit = Commit(
      proposals: [.reference(reference), .proposal(.remove(LeafIndex(2)))], path: try alice.path().path)
    try expectRefusal(.oneChangePerLeaf, by: bob, of: try alice.forge(.commit(commit)))
    // Our own commit prefers the remove.
    let ours = try alice.commit([.remove(LeafIndex(2))])
    #expect(ours.effects.proposals.count == 1 && ours.effects.removed.count == 1)
  }

  @Test func addsAreOfDifferentClients() throws {
    let identity = Client.identity("dave")
    let (first, second) = (try Invitee("one", identity: identity), try Invitee("two", identity: identity))
    try expectListRefused(.addsDiffer, [.add(first.keyPackage), .add(second.keyPackage)])
    let again = try Invitee("again", identity: carol.identity)
    try expectListRefused(.addIsNew, [.add(again.keyPackage)])
    // Together with the remove of its old self it is welcome.
    var all = members
    try all.commit(by: 0, [.remove(LeafIndex(2))], joining: [again])
    try all.expectAgreement()
  }

  @Test func oneSetOfExtensions() throws {
    try expectListRefused(.oneGroupContextExtensions, [.groupContextExtensions([]), .groupContextExtensions([])])
  }

  @Test func noExternalInitByMembers() throws {
    try expectListRefused(.noExternalInit, [.externalInit(kemOutput: Random.bytes(32))])
    try expectRefusal(.noExternalInit, by: bob, of: try alice.forge(.proposal(.externalInit(kemOutput: [1]))))
  }

  @Test func updateComesFromItsMember() throws {
    // An update by value has the committer as its sender, and so fails as the committer's own.
    try expectListRefused(.noOwnUpdate, [.update(try bob.updateLeaf())])
    let list = SentProposal(
      proposal: .update(try bob.updateLeaf()), sender: .external(0), reference: ProposalRef(bytes: [1]))
    #expect(throws: MLSError.rejected(.updateFromMember)) {
      try ProposalList([list], committer: .member(LeafIndex(0)), tree: bob.group.state.tree, policy: GroupPolicy())
    }
  }

  @Test func applicationCannotProposeUpdatesOrExternalInits() throws {
    let leaf = try alice.updateLeaf()
    for proposal in [Proposal.update(leaf), .externalInit(kemOutput: [])] {
      #expect(throws: MLSError(.invalidProposal)) { try alice.attempt([proposal]) }
      #expect(throws: MLSError(.invalidProposal)) { _ = try alice.group.propose(proposal, now: someday) }
    }
  }

  @Test func badProposalsDoNotKeepUsFromCommitting() throws {
    // Each is fine by itself; together, or with ours, they are not.
    let identity = Client.identity("dave")
    for name in ["one", "two"] {
      let invitee = try Invitee(name, identity: identity)
      try alice.note(try bob.group.propose(.add(invitee.keyPackage), now: someday))
    }
    try alice.note(try carol.group.propose(.remove(LeafIndex(0)), now: someday))
    try alice.note(
      try carol.forge(
        .proposal(
          .preSharedKey(
            PreSharedKeyID(source: .external(id: [1]), nonce: Random.bytes(32))))))
    try alice.note(
      try carol.forge(.proposal(.groupContextExtensions([Extension(type: 0xff98, data: [])]))))
    let effects = try alice.commit().effects
    #expect(effects.added.count == 1 && effects.removed.isEmpty && effects.preSharedKeys.isEmpty)
    #expect(effects.extensionsChanged == nil)
  }

  @Test func proposalsDoNotPileUp() throws {
    bob.group.policy.maxProposals = 3
    for number in 0..<5 {
      let message = try alice.group.propose(.remove(LeafIndex(2)), authenticatedData: [UInt8(number)], now: someday)
      if number < 3 {
        try bob.note(message)
      } else {
        #expect(throws: MLSError(.tooManyProposals)) { try bob.note(message) }
      }
    }
    #expect(try bob.commit().effects.removed.count == 1)
  }

  // MARK: External commits

  private func external(
    _ proposals: [ProposalOrRef], path: Bool = true
  ) throws -> [UInt8] {
    let joiner = Client.identity("joiner")
    var tree = alice.group.state.tree
    let place = LeafPlace(groupID: alice.group.groupID, index: try tree.makeRoom())
    var step = EpochStep(
      suite: alice.suiteOf, old: alice.group.state.context, interimTranscriptHash: [], tree: tree, extensions: [])
    let leaf = LeafNode(
      encryptionKey: [], signatureKey: joiner.signingKey.publicKey, credential: joiner.credential,
      capabilities: Capabilities(), source: .update, extensions: [])
    let made = try step.makePath(
      leaf: leaf, place: place, signingKey: joiner.signingKey, added: [],
      validation: LeafValidation(suite: alice.suiteOf, groupExtensions: [], maxLifetime: .max))
    return try alice.forgePublic(
      .commit(Commit(proposals: proposals, path: path ? made.update : nil)), as: .newMemberCommit,
      key: joiner.signingKey)
  }

  @Test func externalCommits() throws {
    let initial = ProposalOrRef.proposal(.externalInit(kemOutput: Random.bytes(32)))
    try expectRefusal(.externalOneInit, by: bob, of: try external([]))
    try expectRefusal(.externalOneInit, by: bob, of: try external([initial, initial]))
    try expectRefusal(
      .externalOneRemove, by: bob,
      of: try external([initial, .proposal(.remove(LeafIndex(1))), .proposal(.remove(LeafIndex(2)))]))
    try expectRefusal(
      .externalOnlyAllowed, by: bob,
      of: try external([initial, .proposal(.add(try Invitee("friend").keyPackage))]))
    try expectRefusal(
      .externalOnlyAllowed, by: bob, of: try external([initial, .proposal(.groupContextExtensions([]))]))
    let message = try carol.group.proposeUpdate()
    try bob.note(message)
    let reference = try #require(bob.group.proposals.entries.first?.reference)
    try expectRefusal(.externalByValue, by: bob, of: try external([initial, .reference(reference)]))
    try expectRefusal(.newMemberCommit, by: bob, of: try external([initial], path: false))
    // All is right but for the tag, which the forger cannot know.
    try expectRefusal(.confirmationTag, by: bob, of: try external([initial]))
  }
}
