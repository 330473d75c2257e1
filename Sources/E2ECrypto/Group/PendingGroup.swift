public import CryptoPrimitives

/// A group that follows another, made with its members but not yet announced to them.
///
/// Send the welcome and ``adopt()``; save the new group's state before. If another member was faster, and the delivery
/// service took its group, let go of the value and join that one.
public struct PendingGroup: ~Copyable, Sendable {
  /// The welcome for all others, an MLSMessage; none if there are no others.
  public let welcome: [UInt8]?
  /// The tree, for new members that do not get it in their welcome.
  public let ratchetTree: [UInt8]
  /// Who is added.
  public let effects: CommitEffects
  let group: Group

  public var groupID: GroupID { group.groupID }
  /// The new group's authenticator.
  public var epochAuthenticator: Secret { group.epochAuthenticator }

  /// Begins the group.
  public consuming func adopt() -> Group { group }
}

/// What is our own to choose about ourselves in a group that follows another.
public struct MemberOptions: Sendable {
  /// Who we are in the new group; none for the same as here, which takes a suite with the same signature scheme.
  public var identity: ClientIdentity?
  public var capabilities = Capabilities()
  public var leafExtensions: [Extension] = []
  public var lifetime: Lifetime
  /// None for the policy of the group here.
  public var policy: GroupPolicy?
  /// What else the new group's members must know.
  public var psks: [ExternalPSK] = []

  public init(lifetime: Lifetime) { self.lifetime = lifetime }
}

extension Group {
  /// This group as one that another follows.
  func ancestor(_ kind: GroupOrigin.Kind) -> Ancestor {
    Ancestor(
      kind: kind, groupID: groupID, suite: state.suite.number, epoch: epoch, tree: state.tree, past: past,
      psks: pskStore, reInit: reInit)
  }

  /// Makes a group of one that follows this one, and takes it to epoch 1 by a commit that adds the others.
  func makeGroup(
    _ kind: GroupOrigin.Kind, like parameters: ReInit, with keyPackages: [KeyPackage], as member: MemberOptions,
    options: CommitOptions, now: Timestamp
  ) throws(MLSError) -> PendingGroup {
    let ancestor = ancestor(kind)
    var new = try Group.create(
      groupID: parameters.groupID, suite: CipherSuite(rawValue: parameters.cipherSuite),
      identity: member.identity ?? identity, capabilities: member.capabilities, leafExtensions: member.leafExtensions,
      extensions: parameters.extensions, lifetime: member.lifetime, policy: member.policy ?? policy)
    new.psks = PSKStore(external: member.psks, resumption: [])
    new.psks.origin = try ancestor.resumptionPSK(at: epoch)
    let origin = GroupOrigin(kind: kind, groupID: groupID, epoch: epoch)
    let key = PreSharedKeyID(source: origin.source, nonce: Random.bytes(new.state.suite.hashSize))
    let others = keyPackages.map { Proposal.add($0) }
    let brought = member.psks.map { Proposal.externalPSK(id: $0.id, suite: new.suite) }
    let pending = try new.beginningCommit(others + brought, origin: key, options: options, now: now)
    let (welcome, tree, effects) = (pending.welcome, pending.ratchetTree, pending.effects)
    try new.merge(pending)
    // Nobody ever was in epoch 0 but us, and the key has done what it was for.
    (new.past, new.psks) = (PastEpochs(), PSKStore(external: member.psks, resumption: []))
    return PendingGroup(welcome: welcome, ratchetTree: tree, effects: effects, group: new)
  }
}
