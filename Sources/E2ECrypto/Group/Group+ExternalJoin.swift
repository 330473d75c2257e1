import CryptoPrimitives
import WireCodec

/// Our own external commit, which the delivery service has not yet accepted.
public struct PendingExternalJoin: ~Copyable, Sendable {
  /// The commit, an MLSMessage. It is a PublicMessage, since we have none of the group's keys: it names us and carries our
  /// leaf in the clear, so the application should seal it once more.
  public let message: [UInt8]
  /// The group as it will be once the commit is accepted; its sender is who made the group info.
  public let effects: JoinEffects
  let identity: ClientIdentity
  let policy: GroupPolicy
  let state: EpochState
  let psks: PSKStore

  /// Joins. Call it when the delivery service has accepted the commit.
  public consuming func adopt() -> Group {
    var group = Group(identity: identity, policy: policy, state: state)
    group.psks = psks
    return group
  }
}

extension Group {
  /// Makes a commit by which we join a group without being added (RFC 9420 section 12.4.3.2).
  ///
  /// That the group info is recent and from somebody we trust is for the caller to check: it is signed by a member, but
  /// nothing in it tells that the group is not a fake one.
  /// - Parameter removing: our own old leaf, if this is a return.
  /// - Parameter psks: keys to bring in, all of which the members must know.
  /// - Parameter resumption: secrets of epochs of this group to bring in, by which members see that we were there.
  /// - Parameter proposals: further ones, of the types that an external commit may bring.
  /// - Parameter selfRemoves: the SelfRemove messages of the epoch, as they came: members who want to leave.
  /// - Throws: ``MLSError/Code/unsupported`` if the group info lacks the external key; otherwise as for
  ///   ``join(welcome:keyPackage:identity:ratchetTree:psks:resumption:policy:)``.
  public static func joinExternally(
    groupInfo: [UInt8], identity: ClientIdentity, capabilities: Capabilities = Capabilities(),
    leafExtensions: [Extension] = [], ratchetTree: [UInt8]? = nil, removing: LeafIndex? = nil,
    psks: [ExternalPSK] = [], resumption: [ResumptionPSK] = [], proposals: [Proposal] = [],
    selfRemoves: [[UInt8]] = [], authenticatedData: [UInt8] = [], policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) -> PendingExternalJoin {
    guard case .groupInfo(let unverified) = try MLSMessage(strictly: groupInfo) else { throw MLSError(.unsupported) }
    let suite = try CipherSuite.algorithms(of: unverified.context.cipherSuite)
    try identity.requireUsable()
    let (info, tree) = try Unverified(unverified).verifiedWithTree(
      suite, given: ratchetTree, maxLifetime: policy.maxLifetime, threads: policy.maxThreads)
    guard let data = info.extensions[type: Extension.externalPubType]?.data else { throw MLSError(.unsupported) }
    let externalKey = try ExternalPub(strictly: data).key
    let (kemOutput, initSecret) = try ExternalInitSecret.make(suite, externalKey: externalKey)

    let store = PSKStore(external: psks, resumption: resumption)
    var sent = try PublicMessage.selfRemoves(selfRemoves, suite, context: info.context, tree: tree)
    var byValue: [Proposal] = [.externalInit(kemOutput: kemOutput)]
    // Who goes by itself need not be removed.
    if let removing, !sent.contains(where: { $0.sender == .member(removing) }) { byValue.append(.remove(removing)) }
    for psk in psks { byValue.append(.externalPSK(id: psk.id, suite: suite.suite)) }
    for psk in resumption {
      byValue.append(.resumptionPSK(groupID: psk.groupID, epoch: psk.epoch, suite: suite.suite))
    }
    byValue += proposals
    sent += byValue.map { SentProposal(proposal: $0, sender: .newMemberCommit, reference: nil) }
    let list = try ProposalList(sent, committer: .joiner, tree: tree, policy: policy)
    var applied = try list.apply(to: tree, context: info.context, now: nil)
    let place = LeafPlace(groupID: info.context.groupID, index: try applied.tree.makeRoom())
    var step = EpochStep(
      suite: suite, old: info.context,
      interimTranscriptHash: TranscriptHash.interim(
        suite, confirmed: info.context.confirmedTranscriptHash, confirmationTag: info.confirmationTag),
      tree: applied.tree, extensions: applied.extensions)

    var capabilities = capabilities
    capabilities.list(policy)
    // The group's own extensions are not entered: who does not know them cannot join (RFC 9420 section 13.4).
    capabilities.list(leafExtensions, suite: suite.number, credential: identity.credential.type)
    let leaf = LeafNode(
      encryptionKey: [], signatureKey: identity.signingKey.publicKey, credential: identity.credential,
      capabilities: capabilities, source: .commit(parentHash: []), extensions: leafExtensions)
    let (secrets, path) = try step.makePath(
      leaf: leaf, place: place, signingKey: identity.signingKey, added: [],
      validation: LeafValidation(
        suite: suite, groupExtensions: applied.extensions, maxLifetime: policy.maxLifetime),
      threads: policy.maxThreads)
    var keys = TreePrivate(leaf: place.index, leafKey: secrets.leafKey)
    for (step, key) in zip(secrets.path, secrets.keys) { keys.set(key, for: step.node) }

    let framed = FramedContent(
      groupID: info.context.groupID, epoch: info.context.epoch, sender: .newMemberCommit,
      authenticatedData: authenticatedData,
      content: .commit(Commit(proposals: list.references, path: path)))
    var signed = try AuthenticatedContent(
      signing: framed, as: .publicMessage, suite, key: identity.signingKey, context: info.context.encoded)
    let (state, _) = try step.finish(
      signed, privateKeys: keys, initSecret: initSecret, commitSecret: secrets.commitSecret,
      pskSecret: try store.combine(suite, list.psks))
    try state.requireCredentials(policy)
    signed.auth.confirmationTag = state.confirmationTag
    let message = try PublicMessage(
      protecting: signed, suite, membershipKey: .empty, context: info.context.encoded)
    return PendingExternalJoin(
      message: MLSMessage.publicMessage(message).encoded, effects: try state.joinEffects(info, tree: tree),
      identity: identity,
      policy: policy, state: state, psks: store)
  }
}
