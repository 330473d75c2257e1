import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 section 5.3.1: the application's word on each credential, before anything is adopted.
@Suite struct CredentialValidatorTests {
  /// Notes what it is asked, and refuses whom it is told to. The tests are of one thread.
  final class Judge: CredentialValidator, @unchecked Sendable {
    var claims: [CredentialClaim] = []
    var refused: Set<Credential> = []

    func accepts(_ claim: CredentialClaim) -> Bool {
      claims.append(claim)
      return !refused.contains(claim.credential)
    }

    /// The claims since the last time, by event.
    func taken() -> [CredentialClaim] {
      defer { claims = [] }
      return claims
    }

    var policy: GroupPolicy {
      var policy = GroupPolicy()
      policy.credentialValidator = self
      return policy
    }
  }

  static func credential(_ name: String) -> Credential { .basic(identity: Array(name.utf8)) }

  /// Three members, each with a judge of its own.
  private func members() throws -> (members: Members, judges: [Judge]) {
    let judges = (0..<3).map { _ in Judge() }
    let alice = try Client.create("alice", policy: judges[0].policy)
    let invitees = [try Invitee("bob"), try Invitee("carol")]
    let pending = try alice.commit(invitees.map { .add($0.keyPackage) })
    let welcome = try pending.requireWelcome()
    try alice.group.merge(pending)
    var all = [alice]
    for (invitee, judge) in zip(invitees, judges.dropFirst()) {
      all.append(try invitee.join(welcome, policy: judge.policy))
    }
    return (Members(all), judges)
  }

  @Test func eachWhoEntersIsShown() throws {
    let (members, judges) = try members()
    let groupID = members[0].group.groupID
    let made = judges[0].taken()
    #expect(made.map(\.event) == [.create, .add, .add] && made.allSatisfy { $0.groupID == groupID })
    #expect(made.map(\.credential) == ["alice", "bob", "carol"].map(Self.credential))
    #expect(made.map(\.signatureKey) == members.all.map(\.identity.signingKey.publicKey))
    for judge in judges.dropFirst() {
      let claims = judge.taken()
      #expect(claims.allSatisfy { $0.event == .join && $0.groupID == groupID && $0.replaced == nil })
      #expect(claims.map(\.credential) == ["alice", "bob", "carol"].map(Self.credential))
    }
    // Alone, and then in the commit that covers it.
    let dave = try Invitee("dave")
    let proposal = try members[0].group.propose(.add(dave.keyPackage), now: someday)
    for place in [1, 2] { try members[place].note(proposal) }
    for judge in judges { #expect(judge.taken().map(\.event) == [.add]) }
    let pending = try members[1].commit()
    let message = pending.message
    try members[1].group.merge(pending)
    for place in [0, 2] { try members[place].follow(message) }
    for judge in judges {
      let claims = judge.taken()
      #expect(!claims.isEmpty && claims.allSatisfy { $0.event == .add && $0.credential == Self.credential("dave") })
    }
  }

  @Test func eachChangeIsShownWithWhatWasBefore() throws {
    let (made, judges) = try members()
    var members = made
    for judge in judges { _ = judge.taken() }
    // A new key for the same name is a change, too; a path that changes neither is none.
    try members.commit(by: 0)
    for judge in judges { #expect(judge.taken().isEmpty) }
    let before = CredentialClaim.Holder(
      credential: Self.credential("alice"), signatureKey: members[0].identity.signingKey.publicKey)
    var options = CommitOptions()
    options.identity = ClientIdentity(credential: Self.credential("alice"), signingKey: .generate())
    try members.commit(by: 0, options: options)
    for judge in judges {
      let claims = judge.taken()
      #expect(claims.map(\.event) == [.commit] && claims[0].replaced == before)
      #expect(claims[0].signatureKey == options.identity?.signingKey.publicKey)
    }
    let update = try members[1].group.proposeUpdate(identity: Client.identity("robert"))
    for place in [0, 2] { try members[place].note(update) }
    for judge in judges {
      let claims = judge.taken()
      #expect(claims.map(\.event) == [.update] && claims[0].credential == Self.credential("robert"))
      #expect(claims[0].replaced?.credential == Self.credential("bob"))
    }
    try members.commit(by: 2)
    for judge in judges { #expect(judge.taken().contains { $0.event == .update }) }
    try members.expectAgreement()
  }

  /// Expects that a message is refused by the validator's word, and taken once it has learned better.
  private func expectRefused(
    _ name: String, by client: Client, _ judge: Judge, _ message: [UInt8],
    _ place: SourceLocation = #_sourceLocation
  ) throws {
    judge.refused = [Self.credential(name)]
    let before = (client.group.epoch, client.group.treeHash, client.hasPendingProposals)
    #expect(throws: MLSError(.credentialRefused), sourceLocation: place) { _ = try client.group.receive(message) }
    #expect(client.group.epoch == before.0 && client.group.treeHash == before.1, sourceLocation: place)
    #expect(client.hasPendingProposals == before.2, sourceLocation: place)
    judge.refused = []
    #expect(throws: Never.self, sourceLocation: place) { _ = try client.group.receive(message) }
  }

  @Test func aRefusalRefusesTheMessageWhole() throws {
    let (members, judges) = try members()
    let (alice, bob) = (members[0], members[1])
    let mallory = Proposal.add(try Invitee("mallory").keyPackage)
    try expectRefused("mallory", by: bob, judges[1], try alice.commit([mallory]).message)
    var options = CommitOptions()
    options.identity = Client.identity("mallory")
    try expectRefused("mallory", by: bob, judges[1], try alice.commit(options: options).message)
    try expectRefused("mallory", by: bob, judges[1], try alice.group.propose(mallory, now: someday))
    let carol = members[2]
    try expectRefused(
      "mallory", by: bob, judges[1], try carol.group.proposeUpdate(identity: Client.identity("mallory")))
    let sender = ExternalSender(signatureKey: [1], credential: Self.credential("mallory"))
    let senders = Proposal.groupContextExtensions([.externalSenders([sender])])
    try expectRefused("mallory", by: bob, judges[1], try alice.commit([senders]).message)
    try expectRefused("mallory", by: bob, judges[1], try alice.group.propose(senders, now: someday))
    let joining = try Group.joinExternally(
      groupInfo: try alice.group.groupInfo(), identity: Client.identity("mallory"), removing: LeafIndex(2))
    try expectRefused("mallory", by: bob, judges[1], joining.message)
    let claim = try #require(judges[1].taken().last)
    #expect(claim.event == .externalCommit && claim.replaced?.credential == Self.credential("carol"))
  }

  @Test func theSameHoldsForWhatWeCommitOurselves() throws {
    let (members, judges) = try members()
    let alice = members[0]
    judges[0].refused = [Self.credential("mallory")]
    let refused = MLSError(.credentialRefused)
    let mallory = Proposal.add(try Invitee("mallory").keyPackage)
    #expect(throws: refused) { try alice.attempt([mallory]) }
    #expect(throws: refused) { _ = try alice.group.propose(mallory, now: someday) }
    var options = CommitOptions()
    options.identity = Client.identity("mallory")
    #expect(throws: refused) { _ = try alice.commit(options: options) }
    #expect(throws: refused) { _ = try alice.group.proposeUpdate(identity: Client.identity("mallory")) }
    let sender = ExternalSender(signatureKey: [1], credential: Self.credential("mallory"))
    #expect(throws: refused) { try alice.attempt([.groupContextExtensions([.externalSenders([sender])])]) }
    #expect(throws: refused) { try Client.create("mallory", policy: judges[0].policy) }
    #expect(throws: refused) {
      try Client.create("alice", extensions: [.externalSenders([sender])], policy: judges[0].policy)
    }
    #expect(!alice.hasPendingProposals)
    // What others propose is refused when it comes, so that it does not hold up a commit of ours.
    #expect(throws: refused) { try alice.note(try members[1].group.propose(mallory, now: someday)) }
    try members.expectAgreement(talking: false)
  }

  @Test func groupsThatOneWouldJoin() throws {
    let (members, _) = try members()
    let invitee = try Invitee("newcomer")
    let pending = try members[0].commit([.add(invitee.keyPackage)])
    let (welcome, info) = (try pending.requireWelcome(), try members[0].group.groupInfo())
    let judge = Judge()
    for name in ["alice", "bob", "carol", "newcomer"] {
      judge.refused = [Self.credential(name)]
      #expect(throws: MLSError(.credentialRefused)) { try invitee.join(welcome, policy: judge.policy) }
      #expect(throws: MLSError(.credentialRefused)) {
        _ = try Group.joinExternally(groupInfo: info, identity: Client.identity("newcomer"), policy: judge.policy)
      }
    }
    judge.refused = []
    _ = try invitee.join(welcome, policy: judge.policy)
  }

  @Test func externalSendersAreShownOnce() throws {
    let sender = ExternalSender(signatureKey: [1], credential: Self.credential("bot"))
    let other = ExternalSender(signatureKey: [2], credential: Self.credential("bot"))
    let judge = Judge()
    let alice = try Client.create("alice", extensions: [.externalSenders([sender])], policy: judge.policy)
    #expect(judge.taken().map(\.event) == [.create, .externalSender])
    let change = Proposal.groupContextExtensions([.externalSenders([other, sender])])
    try alice.group.merge(try alice.commit([change]))
    let claims = judge.taken()
    #expect(claims.map(\.event) == [.externalSender] && claims[0].signatureKey == [2])
    // What cannot be read is not let in, whether or not anybody judges.
    let broken = Extension(type: Extension.externalSendersType, data: [9])
    #expect(throws: MLSError(.malformed)) { try Client.create("x", extensions: [broken]) }
    #expect(throws: MLSError(.malformed)) { try alice.attempt([.groupContextExtensions([broken])]) }
  }
}
