import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 11.2, 11.3 and 12.4.3.1: successors and branches that a dishonest member makes. It has all the secrets,
/// so its welcomes are in order but for what they lead to.
@Suite struct OriginRuleTests {
  let members: Members
  let invitees: [Invitee]
  let parameters: ReInit
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  private let options = MemberOptions(lifetime: someYear)

  /// A group of three that a ReInit has ended.
  init() throws {
    members = try Members(3)
    invitees = try members.invitees([1, 2])
    parameters = try members.reInit(extensions: [Extension(type: 0xff01, data: [1])])
  }

  /// Has alice make any group that follows, and expects bob to refuse it.
  private func expectRefused(
    _ rule: Rule, _ kind: GroupOrigin.Kind = .reInit, like parameters: ReInit, with invitees: [Invitee]? = nil,
    by members: Members? = nil, _ place: SourceLocation = #_sourceLocation
  ) throws {
    let members = members ?? self.members
    let invitees = invitees ?? self.invitees
    let welcome = try members[0].group.makeGroup(
      kind, like: parameters, with: invitees.map(\.keyPackage), as: options, options: CommitOptions(), now: someday
    ).requireWelcome()
    #expect(throws: MLSError.rejected(rule), sourceLocation: place) {
      if members[1].group.reInit != nil {
        try discard(members[1].joinSuccessor(welcome, as: invitees[0]))
      } else {
        try discard(members[1].joinBranch(welcome, as: invitees[0]))
      }
    }
  }

  @Test func successorIsAsTheReInitSays() throws {
    let (id, suite, extensions) = (parameters.groupID, parameters.cipherSuite, parameters.extensions)
    try expectRefused(
      .reInitParameters, like: ReInit(groupID: GroupID([1]), cipherSuite: suite, extensions: extensions))
    try expectRefused(.reInitParameters, like: ReInit(groupID: id, cipherSuite: suite, extensions: []))
    try expectRefused(
      .reInitParameters,
      like: ReInit(groupID: id, cipherSuite: suite, extensions: [Extension(type: 0xff01, data: [2])]))
    try expectRefused(
      .reInitParameters, like: ReInit(groupID: id, cipherSuite: 1, extensions: extensions),
      with: try members.invitees([1, 2], suite: .x25519AES128GCM))
    // As it should be, it is taken.
    let welcome = try alice.group.makeSuccessor(with: invitees.map(\.keyPackage), as: options, now: someday)
      .requireWelcome()
    #expect(try bob.joinSuccessor(welcome, as: invitees[0]).effects.members.count == 3)
  }

  @Test func successorHasAllMembers() throws {
    try expectRefused(.reInitMembers, like: parameters, with: [invitees[0]])
    try expectRefused(.reInitMembers, like: parameters, with: [invitees[0], try Invitee("somebody else")])
    for packages in [[invitees[0]], [], invitees + [try Invitee("somebody else")]] {
      #expect(throws: MLSError.rejected(.reInitMembers)) {
        _ = try alice.group.makeSuccessor(with: packages.map(\.keyPackage), as: options, now: someday)
      }
    }
    // Who is more than was there shows in the effects.
    let welcome = try alice.group.makeGroup(
      .reInit, like: parameters, with: (invitees + [try Invitee("somebody else")]).map(\.keyPackage), as: options,
      options: CommitOptions(), now: someday
    ).requireWelcome()
    #expect(try bob.joinSuccessor(welcome, as: invitees[0]).effects.members.count == 4)
  }

  @Test func successorNamesItsGroup() throws {
    // By the usage of a branch, and by none.
    try expectRefused(.welcomeOrigin, .branch, like: parameters)
    let plain = Client(
      "alice", suite: alice.suite, identity: alice.identity,
      group: try Group.create(
        groupID: parameters.groupID, suite: alice.suite, identity: alice.identity, extensions: parameters.extensions,
        lifetime: someYear))
    let welcome = try plain.commit(invitees.map { .add($0.keyPackage) }).requireWelcome()
    #expect(throws: MLSError.rejected(.welcomeOrigin)) { try discard(bob.joinSuccessor(welcome, as: invitees[0])) }
    // By the secret of another group, or of another epoch.
    let id = alice.group.groupID
    for (origin, epoch) in [(GroupID([9]), alice.group.epoch), (id, Epoch(1)), (id, Epoch(3))] {
      let welcome = try begin(.reInit, origin, epoch, secret: .random(count: 32))
      #expect(throws: MLSError.rejected(.welcomeOrigin)) { try discard(bob.joinSuccessor(welcome, as: invitees[0])) }
    }
    // One who was not there has the names but not the secret.
    let forged = try begin(.reInit, id, alice.group.epoch, secret: .random(count: 32))
    #expect(throws: MLSError(.decryptionFailed)) { try discard(bob.joinSuccessor(forged, as: invitees[0])) }
  }

  /// The welcome to a group that claims to follow another.
  private func begin(
    _ kind: GroupOrigin.Kind, _ groupID: GroupID, _ epoch: Epoch, secret: Secret
  ) throws -> [UInt8] {
    var group = try Group.create(
      groupID: parameters.groupID, suite: alice.suite, identity: alice.identity, extensions: parameters.extensions,
      lifetime: someYear)
    group.psks.origin = ResumptionPSK(groupID: groupID, epoch: epoch, secret: secret)
    let origin = GroupOrigin(kind: kind, groupID: groupID, epoch: epoch)
    return try group.beginningCommit(
      invitees.map { .add($0.keyPackage) }, origin: PreSharedKeyID(source: origin.source, nonce: Random.bytes(32)),
      options: CommitOptions(), now: someday
    ).requireWelcome()
  }

  @Test func followingGroupsAreJoinedByWayOfTheirs() throws {
    let welcome = try alice.group.makeSuccessor(with: invitees.map(\.keyPackage), as: options, now: someday)
      .requireWelcome()
    #expect(throws: MLSError.rejected(.welcomeOrigin)) {
      try discard(
        Group.join(
          welcome: welcome, keyPackage: invitees[0].bundle, identity: invitees[0].identity,
          resumption: [bob.group.resumptionPSK]))
    }
    #expect(throws: MLSError.rejected(.welcomeOrigin)) { try discard(bob.joinBranch(welcome, as: invitees[0])) }
    let other = try Members(2)
    #expect(throws: MLSError(.notReInitialised)) { try discard(other[1].joinSuccessor(welcome, as: invitees[0])) }
    #expect(throws: MLSError.rejected(.welcomeOrigin)) { try discard(other[1].joinBranch(welcome, as: invitees[0])) }
    try other.reInit()
    #expect(throws: MLSError.rejected(.welcomeOrigin)) { try discard(other[1].joinSuccessor(welcome, as: invitees[0])) }
  }

  @Test func onlyAnEndedGroupHasASuccessor() throws {
    let running = try Members(2)
    #expect(throws: MLSError(.notReInitialised)) {
      _ = try running[0].group.makeSuccessor(with: [], as: options, now: someday)
    }
    // And one that has ended has no branches, though those made before can still be joined.
    #expect(throws: MLSError(.inactive)) {
      _ = try alice.group.makeBranch(groupID: GroupID([1]), with: [], as: options, now: someday)
    }
  }

  @Test func successorBeginsAtEpochOne() throws {
    let group = try Members(2)
    let invitee = try group.invitees([1])[0]
    let (context, nodes) = try group[0].withMember(try Invitee("anybody"))
    for kind in [GroupOrigin.Kind.reInit, .branch] {
      if kind == .reInit { try group.reInit() }
      let source = group[0].group.resumptionPSK
      let origin = GroupOrigin(kind: kind, groupID: source.groupID, epoch: source.epoch)
      let key = PreSharedKeyID(source: origin.source, nonce: Random.bytes(32))
      let late = try group[0].forgeWelcome(
        to: invitee, context: context, tree: nodes.encoded, psks: [key],
        psk: try PSKSecret.combine(group[0].suiteOf, [(key, source.secret)]))
      #expect(throws: MLSError.rejected(.welcomeResumptionEpoch)) {
        if kind == .reInit {
          try discard(group[1].joinSuccessor(late, as: invitee))
        } else {
          try discard(group[1].joinBranch(late, as: invitee))
        }
      }
    }
  }

  /// A new group asks about everybody in it, though its members have been seen before.
  @Test func credentialsAreAskedAboutAnew() throws {
    struct Refusing: CredentialValidator {
      let event: CredentialClaim.Event
      func accepts(_ claim: CredentialClaim) -> Bool { claim.event != event }
    }
    let packages = invitees.map(\.keyPackage)
    for event in [CredentialClaim.Event.create, .add] {
      var refusing = options
      refusing.policy = alice.group.policy
      refusing.policy?.credentialValidator = Refusing(event: event)
      #expect(throws: MLSError(.credentialRefused)) {
        _ = try alice.group.makeSuccessor(with: packages, as: refusing, now: someday)
      }
    }
    let welcome = try alice.group.makeSuccessor(with: packages, as: options, now: someday).requireWelcome()
    bob.group.policy.credentialValidator = Refusing(event: .join)
    #expect(throws: MLSError(.credentialRefused)) { try discard(bob.joinSuccessor(welcome, as: invitees[0])) }
  }

  // MARK: Branches

  @Test func branchHasVersionAndSuiteOfItsGroup() throws {
    let running = try Members(3)
    try expectRefused(
      .branchParameters, .branch, like: ReInit(groupID: GroupID([1]), cipherSuite: 1, extensions: []),
      with: try running.invitees([1], suite: .x25519AES128GCM), by: running)
    try expectRefused(
      .branchGroupID, .branch, like: ReInit(groupID: running[0].group.groupID, cipherSuite: 3, extensions: []),
      with: try running.invitees([1]), by: running)
    #expect(throws: MLSError.rejected(.branchGroupID)) {
      _ = try running[0].group.makeBranch(groupID: running[0].group.groupID, with: [], as: options, now: someday)
    }
  }

  @Test func branchIsOfMembersAlone() throws {
    var running = try Members(3)
    let stranger = try Invitee("stranger")
    let like = ReInit(groupID: GroupID([1]), cipherSuite: 3, extensions: [])
    try expectRefused(
      .branchMembers, .branch, like: like, with: try running.invitees([1]) + [stranger], by: running)
    #expect(throws: MLSError.rejected(.branchMembers)) {
      _ = try running[0].group.makeBranch(
        groupID: GroupID([1]), with: [stranger.keyPackage], as: options, now: someday)
    }
    // One who was removed is no member any more, and one who has come since was none then.
    let removed = try running.invitees([2])
    try running.commit(by: 0, [.remove(LeafIndex(2))])
    try expectRefused(
      .branchMembers, .branch, like: like, with: try running.invitees([1]) + removed, by: running)
    let (later, bobs) = (try Invitee("later"), try running.invitees([1])[0])
    let early = try running[0].group.makeGroup(
      .branch, like: like, with: [bobs.keyPackage, later.keyPackage], as: options, options: CommitOptions(),
      now: someday)
    let welcome = try early.requireWelcome()
    try running.commit(by: 0, joining: [later])
    #expect(throws: MLSError.rejected(.branchMembers)) { try discard(running[1].joinBranch(welcome, as: bobs)) }
    #expect(throws: MLSError(.unknownPSK)) { try discard(running[2].joinBranch(welcome, as: later)) }
  }
}
