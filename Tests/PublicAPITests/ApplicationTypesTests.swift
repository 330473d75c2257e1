import CryptoPrimitives
import E2ECrypto
import Testing

/// What an application can bring into groups of its own, with plain imports: proposal types, a say about who is who,
/// components with data and keys, and members who leave by their own word.
@Suite struct ApplicationTypesTests {
  private static let suite = CipherSuite.x25519ChaCha20Poly1305
  private static let now = Timestamp(secondsSinceEpoch: 1_800_000_000)
  private static let lifetime = Lifetime(
    notBefore: now, notAfter: Timestamp(secondsSinceEpoch: now.secondsSinceEpoch + 86_400))
  private static let vote: UInt16 = 0xf123
  private static let counter = ComponentID(0x8000)

  /// Lets in whose name does not begin with a stranger's letter.
  private struct Names: CredentialValidator {
    func accepts(_ claim: CredentialClaim) -> Bool {
      claim.event == .join || claim.credential.identity?.first != UInt8(ascii: "x")
    }
  }

  /// Adds up what it is sent.
  private struct Counter: ApplicationComponent {
    func updated(_ current: [UInt8]?, by updates: [[UInt8]]) -> [UInt8]? {
      [updates.joined().reduce(current?.first ?? 0, &+)]
    }
  }

  private static var policy: GroupPolicy {
    var policy = GroupPolicy()
    policy.customProposals = [CustomProposalType(type: vote, requiresPath: false)]
    policy.credentialValidator = Names()
    policy.components[counter] = Counter()
    return policy
  }

  private static let capabilities = Capabilities(
    extensions: [Extension.appDataDictionaryType],
    proposals: [vote, Proposal.selfRemoveType, Proposal.appEphemeralType, Proposal.appDataUpdateType])

  private static func identity(_ name: String) -> ClientIdentity {
    ClientIdentity(credential: .basic(identity: Array(name.utf8)), signingKey: .generate())
  }

  private static func bundle(_ identity: ClientIdentity) throws -> KeyPackageBundle {
    try KeyPackageBundle.generate(
      suite: suite, identity: identity, capabilities: capabilities.withGREASE(), lifetime: lifetime)
  }

  private static func follow(_ message: [UInt8], in group: inout Group) throws -> CommitEffects? {
    switch try group.receive(message) {
    case .commit(let commit):
      let effects = commit.effects
      try group.merge(commit)
      return effects
    case .proposal: return nil
    case .application: return nil
    }
  }

  @Test func allTogether() throws {
    let (alice, bob, carol) = (Self.identity("alice"), Self.identity("bob"), Self.identity("carol"))
    var hers = try Group.create(
      groupID: GroupID(Random.bytes(16)), suite: Self.suite, identity: alice, capabilities: Self.capabilities,
      lifetime: Self.lifetime, policy: Self.policy)
    let bundles = [try Self.bundle(bob), try Self.bundle(carol)]
    let invitation = try hers.commit(bundles.map { .add($0.keyPackage) }, now: Self.now)
    let welcome = invitation.welcome ?? []
    try hers.merge(invitation)
    var his = try Group.join(welcome: welcome, keyPackage: bundles[0], identity: bob, policy: Self.policy).adopt()
    var theirs = try Group.join(welcome: welcome, keyPackage: bundles[1], identity: carol, policy: Self.policy).adopt()

    // A stranger is not let in, by whomever.
    let stranger = try Self.bundle(Self.identity("xavier"))
    do {
      _ = try hers.commit([.add(stranger.keyPackage)], now: Self.now)
      Issue.record("the stranger got in")
    } catch { #expect(error.code == .credentialRefused) }

    // A vote by reference, and a component's data by value, in one commit that also gives Alice another name.
    _ = try Self.follow(his.propose(.custom(type: Self.vote, data: [1]), now: Self.now), in: &hers)
    let again = try his.propose(.custom(type: Self.vote, data: [2]), now: Self.now)
    _ = try Self.follow(again, in: &hers)
    var options = CommitOptions()
    options.covers = hers.pendingProposals.map(\.reference)
    options.identity = Self.identity("alice, married")
    let update = AppDataUpdate(component: Self.counter, operation: .update([5]))
    let commit = try hers.commit([.appDataUpdate(update)], options: options, now: Self.now)
    let message = commit.message
    let effects = try Self.follow(message, in: &his)
    #expect(effects?.proposals.map(\.proposal).first == .custom(type: Self.vote, data: [1]))
    #expect(effects?.proposals.count == 3 && effects?.updated.first?.changesCredential == true)
    try hers.merge(commit)
    let credential = hers.identity.credential
    #expect(credential == options.identity?.credential)
    let data = try his.extensions.appData()
    #expect(data?[Self.counter] == [5])
    let (one, other) = (try his.safeExport(for: Self.counter), try hers.safeExport(for: Self.counter))
    #expect(one == other)

    // Carol has not heard of the votes, and so must fetch them before she can follow.
    do {
      _ = try Self.follow(message, in: &theirs)
      Issue.record("followed without the proposals")
    } catch { #expect(error as? MLSError == MLSError(.unknownProposal)) }

    // Bob leaves; one who joins from outside takes him along.
    let leave = try his.proposeSelfRemove()
    _ = try Self.follow(leave, in: &hers)
    let dave = Self.identity("dave")
    let joining = try Group.joinExternally(
      groupInfo: try hers.groupInfo(), identity: dave, capabilities: Self.capabilities, selfRemoves: [leave],
      policy: Self.policy)
    let entry = joining.message
    let (seen, own) = (try Self.follow(entry, in: &hers), try Self.follow(entry, in: &his))
    #expect(seen?.removed.map(\.credential) == [bob.credential] && own?.removesSelf == true)
    let news = joining.adopt()
    let (theirSecret, ourSecret, isIn) = (news.epochAuthenticator, hers.epochAuthenticator, his.isActive)
    #expect(theirSecret == ourSecret && !isIn)
  }
}
