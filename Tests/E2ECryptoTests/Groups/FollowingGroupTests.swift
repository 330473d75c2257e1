import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Groups that follow others: successors after a ReInit, and branches.
@Suite struct FollowingGroupTests {
  // MARK: ReInit

  @Test(arguments: [CipherSuite.x25519AES128GCM, .x25519ChaCha20Poly1305])
  func successorTakesTheGroupsPlace(_ suite: CipherSuite) throws {
    let members = try Members(3)
    let extensions = [Extension(type: 0xff01, data: [4, 2])]
    let parameters = try members.reInit(suite: suite, extensions: extensions)
    #expect(members.all.allSatisfy { $0.group.reInit == parameters && !$0.group.isActive })

    // Proposed and committed by others than the one who makes the successor.
    let invitees = try members.invitees([0, 1], suite: suite)
    let pending = try members[2].group.makeSuccessor(
      with: invitees.map(\.keyPackage), as: MemberOptions(lifetime: someYear), now: someday)
    #expect(pending.effects.added.count == 2)
    let (welcome, authenticator) = (try pending.requireWelcome(), pending.epochAuthenticator)
    let origin = try Group.origin(ofWelcome: welcome, keyPackage: invitees[0].bundle)
    #expect(origin == GroupOrigin(kind: .reInit, groupID: members[0].group.groupID, epoch: members[0].group.epoch))

    var successor = Members([Client("maker", suite: suite, identity: members[2].identity, group: pending.adopt())])
    for (place, invitee) in invitees.enumerated() {
      let join = try members[place].joinSuccessor(welcome, as: invitee)
      #expect(join.effects.members.count == 3 && join.effects.extensions == extensions)
      successor.all.append(Client(invitee.name, suite: suite, identity: invitee.identity, group: join.adopt()))
    }
    #expect(successor[0].group.epochAuthenticator == authenticator)
    for member in successor.all {
      #expect(member.group.groupID == parameters.groupID && member.group.suite == suite)
      #expect(member.group.epoch == Epoch(1))
    }
    try successor.expectAgreement()
    try successor.commit(by: 1, joining: [try Invitee("late", suite: suite)])
    try successor.expectAgreement()
    // What led here is forgotten: nobody is asked for it again, and the old group's names are free.
    #expect(successor.all.allSatisfy { $0.group.psks.origin == nil && $0.group.psks.resumption.count <= 1 })
  }

  @Test func successorOutlivesRestarts() throws {
    let members = try Members(2)
    let parameters = try members.reInit(keepingGroupID: true)
    let after = try members.restored()
    #expect(after.all.allSatisfy { $0.group.reInit == parameters && !$0.group.isActive })
    let invitee = try members.invitees([1])[0]
    let options = MemberOptions(lifetime: someYear)
    var apart = CommitOptions()
    apart.welcomeIncludesTree = false
    apart.forcesPath = true
    let pending = try after[0].group.makeSuccessor(
      with: [invitee.keyPackage], as: options, options: apart, now: someday)
    let (welcome, tree) = (try pending.requireWelcome(), pending.ratchetTree)
    let maker = try Client("0", suite: after[0].suite, identity: after[0].identity, group: pending.adopt()).restored()
    #expect(throws: MLSError(.missingTree)) { try discard(after[1].joinSuccessor(welcome, as: invitee)) }
    let join = try after[1].joinSuccessor(welcome, as: invitee, tree: tree)
    let joiner = try Client("1", suite: maker.suite, identity: invitee.identity, group: join.adopt()).restored()
    try Members([maker, joiner]).expectAgreement()
    // The successor has the old group's id here, and its own epochs of the same numbers.
    let both = Members([maker, joiner])
    for _ in 0..<3 {
      let commit = try both[0].commit([both[0].group.resumptionProposal(epoch: both[0].group.epoch)])
      try both[1].follow(commit.message)
      try both[0].group.merge(commit)
    }
    try both.expectAgreement()
  }

  @Test func oneAloneCanBeReinitialised() throws {
    let members = try Members(1)
    try members.reInit(suite: .x25519AES128GCM)
    let pending = try members[0].group.makeSuccessor(
      with: [], as: MemberOptions(lifetime: someYear), now: someday)
    #expect(pending.welcome == nil)
    let group = pending.adopt()
    #expect(group.isActive && group.memberCount == 1 && group.suite == .x25519AES128GCM)
  }

  @Test func membersMayComeWithNewCredentials() throws {
    let members = try Members(2)
    try members.reInit()
    let invitee = try Invitee("member 1 again")
    var options = MemberOptions(lifetime: someYear)
    options.identity = Client.identity("member 0 again")
    #expect(throws: MLSError.rejected(.reInitMembers)) {
      _ = try members[0].group.makeSuccessor(with: [invitee.keyPackage], as: options, now: someday)
    }
    let name: (Credential) -> [UInt8] = { Array(($0.identity ?? []).prefix(8)) }
    let pending = try members[0].group.makeSuccessor(
      with: [invitee.keyPackage], as: options, now: someday, identifiedBy: name)
    let welcome = try pending.requireWelcome()
    #expect(throws: MLSError.rejected(.reInitMembers)) {
      try discard(members[1].joinSuccessor(welcome, as: invitee))
    }
    let join = try members[1].group.joinSuccessor(
      welcome: welcome, keyPackage: invitee.bundle, identity: invitee.identity, identifiedBy: name)
    #expect(join.effects.members.count == 2)
  }

  // MARK: Branches

  @Test(arguments: [CipherSuite.x25519AES128GCM, .x25519ChaCha20Poly1305])
  func branchGoesOnBesideTheGroup(_ suite: CipherSuite) throws {
    let members = try Members(4, suite: suite)
    let invitees = try members.invitees([1, 3], suite: suite)
    let psk = ExternalPSK(id: [5], secret: .random(count: 32))
    var options = MemberOptions(lifetime: someYear)
    options.psks = [psk]
    let pending = try members[0].group.makeBranch(
      groupID: GroupID(Random.bytes(16)), extensions: [Extension(type: 0xff01, data: [])],
      with: invitees.map(\.keyPackage), as: options, now: someday)
    let welcome = try pending.requireWelcome()
    let origin = try Group.origin(ofWelcome: welcome, keyPackage: invitees[0].bundle)
    #expect(origin?.kind == .branch && origin?.groupID == members[0].group.groupID)
    var branch = Members([Client("0", suite: suite, identity: members[0].identity, group: pending.adopt())])
    for (place, invitee) in zip([1, 3], invitees) {
      #expect(throws: MLSError(.unknownPSK)) { try discard(members[place].joinBranch(welcome, as: invitee)) }
      let join = try members[place].restored().joinBranch(welcome, as: invitee, psks: [psk])
      branch.all.append(Client(invitee.name, suite: suite, identity: invitee.identity, group: join.adopt()))
    }
    try branch.expectAgreement()
    try members.expectAgreement()
    try branch.commit(by: 2, [.remove(LeafIndex(1))])
    try branch.expectAgreement()
    try members.expectAgreement()
  }

  @Test func branchOfAnEpochThatIsOver() throws {
    var members = try Members(4)
    let leaver = members[3]
    let invitees = try members.invitees([1, 3])
    let pending = try members[0].group.makeBranch(
      groupID: GroupID(Random.bytes(16)), with: invitees.map(\.keyPackage), as: MemberOptions(lifetime: someYear),
      now: someday)
    let welcome = try pending.requireWelcome()
    // One of the branch leaves the group, its place is taken by another, and then the welcome comes.
    try members.commit(by: 0, [.remove(leaver.group.ownLeafIndex)], joining: [try Invitee("another")])
    try members.commit(by: 1)
    let join = try members[1].restored().joinBranch(welcome, as: invitees[0])
    #expect(join.effects.members.count == 3)
    #expect(throws: MLSError(.inactive)) { try discard(leaver.joinBranch(welcome, as: invitees[1])) }
    // In the end the epoch is forgotten.
    for _ in 0..<4 { try members.commit(by: 0) }
    #expect(throws: MLSError(.unknownPSK)) { try discard(members[1].joinBranch(welcome, as: invitees[0])) }
    let short = try members[1].restored()
    short.group.policy.maxPastEpochs = 0
    let next = try members[0].group.makeBranch(
      groupID: GroupID(Random.bytes(16)), with: [invitees[0].keyPackage], as: MemberOptions(lifetime: someYear),
      now: someday
    ).requireWelcome()
    let commit = try members[0].commit()
    try short.follow(commit.message)
    #expect(throws: MLSError(.epochTooOld)) { try discard(short.joinBranch(next, as: invitees[0])) }
  }
}

// MARK: Steps

extension Members {
  /// Ends the group with a ReInit that the second proposes, if there is one, and the first commits.
  @discardableResult
  func reInit(
    suite: CipherSuite = .x25519ChaCha20Poly1305, extensions: [Extension] = [], keepingGroupID: Bool = false
  ) throws -> ReInit {
    let id = keepingGroupID ? all[0].group.groupID : GroupID(Random.bytes(16))
    let parameters = ReInit(groupID: id, cipherSuite: suite.rawValue, extensions: extensions)
    let proposer = all.count > 1 ? all[1] : all[0]
    let proposal = try proposer.group.propose(.reInit(parameters), now: someday)
    for member in all where member !== proposer { try member.note(proposal) }
    let pending = try all[0].commit()
    for member in all.dropFirst() { #expect(try member.follow(pending.message).reInit == parameters) }
    try all[0].group.merge(pending)
    return parameters
  }

  /// New key packages of some of the members.
  func invitees(_ places: [Int], suite: CipherSuite = .x25519ChaCha20Poly1305) throws -> [Invitee] {
    try places.map { try Invitee(all[$0].name, suite: suite, identity: all[$0].identity) }
  }
}

extension Client {
  func joinSuccessor(_ welcome: [UInt8], as invitee: Invitee, tree: [UInt8]? = nil) throws -> PendingJoin {
    try group.joinSuccessor(
      welcome: welcome, keyPackage: invitee.bundle, identity: invitee.identity, ratchetTree: tree)
  }

  func joinBranch(_ welcome: [UInt8], as invitee: Invitee, psks: [ExternalPSK] = []) throws -> PendingJoin {
    try group.joinBranch(welcome: welcome, keyPackage: invitee.bundle, identity: invitee.identity, psks: psks)
  }
}

extension PendingGroup {
  func requireWelcome() throws -> [UInt8] {
    let welcome = welcome
    return try #require(welcome)
  }
}

/// Lets go of a value that was not to be made.
func discard(_: consuming PendingJoin) {}
