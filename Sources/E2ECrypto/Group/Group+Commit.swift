import CryptoPrimitives
import WireCodec

extension Group {
  /// Makes a commit of the given proposals and, if `includingReceived`, of those that came before (RFC 9420 section
  /// 12.4.1). The group itself stays in its epoch.
  ///
  /// Mutating although the result is a separate value: sealing the commit spends a key of the own handshake ratchet,
  /// which must never be used again even if the commit is dropped. Save the state before the message leaves.
  /// - Parameter now: the time, for the lifetimes of the key packages that are added.
  /// - Throws: ``MLSError/Code/invalidProposal`` for own updates; the rule that a given proposal breaks.
  public mutating func commit(
    _ own: [Proposal] = [], includingReceived: Bool = true, options: CommitOptions = CommitOptions(), now: Timestamp
  ) throws(MLSError) -> PendingCommit {
    guard isActive else { throw MLSError(.inactive) }
    let (list, applied) = try plan(own, includingReceived: includingReceived, covers: options.covers, now: now)
    return try commit(list, applied, options: options)
  }

  /// The first commit of a group that follows another: the adds, and the key that shows where it comes from.
  mutating func beginningCommit(
    _ own: [Proposal], origin: PreSharedKeyID, options: CommitOptions, now: Timestamp
  ) throws(MLSError) -> PendingCommit {
    let (list, applied) = try apply([], own + [.preSharedKey(origin)], origin: origin, now: now)
    return try commit(list, applied, options: options)
  }

  private mutating func commit(
    _ list: ProposalList, _ applied: AppliedProposals, options: CommitOptions
  ) throws(MLSError) -> PendingCommit {
    let pskSecret = try pskStore.combine(state.suite, list.psks)

    var step = EpochStep(
      suite: state.suite, old: state.context, interimTranscriptHash: state.interimTranscriptHash, tree: applied.tree,
      extensions: applied.extensions)
    var privateKeys = state.privateKeys
    var path: (secrets: PathSecrets, update: UpdatePath)?
    if list.requiresPath || options.forcesPath || !options.leafChanges.isEmpty {
      path = try makePath(&step, added: applied.addedNodes, changes: options.leafChanges)
      if let secrets = path?.secrets {
        privateKeys = TreePrivate(leaf: ownLeafIndex, leafKey: secrets.leafKey)
        for (place, key) in zip(secrets.path, secrets.keys) { privateKeys.set(key, for: place.node) }
      }
    }
    privateKeys.prune(to: step.tree)

    var signed = try sign(
      .commit(Commit(proposals: list.references, path: path?.update)), authenticatedData: options.authenticatedData)
    let (next, joiner) = try step.finish(
      signed, privateKeys: privateKeys, initSecret: state.secrets.initSecret,
      commitSecret: path?.secrets.commitSecret ?? state.suite.zeroSecret, pskSecret: pskSecret)
    signed.auth.confirmationTag = next.confirmationTag

    let effects = try effects(of: list, applied, tree: step.tree, from: .member(ownLeafIndex), hasPath: path != nil)
    let welcome = try makeWelcome(
      list, applied, next: next, joinerSecret: joiner, pskSecret: pskSecret, path: path?.secrets,
      options: options)
    let groupInfo =
      options.makesGroupInfo
      ? MLSMessage.groupInfo(
        try next.groupInfo(
          identity: options.identity ?? identity, includesTree: options.groupInfoIncludesTree,
          allowsExternalCommit: true, besides: options.groupInfoExtensions)
      ).encoded : nil
    let message = try seal(signed, paddedTo: options.paddedTo)
    return PendingCommit(
      message: message, welcome: welcome, groupInfo: groupInfo, effects: effects, base: EpochBase(state), next: next,
      identity: options.identity)
  }

  /// The keys that proposals may name: those in store and this epoch's own resumption key.
  var pskStore: PSKStore {
    var store = psks
    store.remember(groupID, epoch, state.secrets.resumption, limit: .max)
    return store
  }

  /// What to commit, and what it leads to. Received proposals that cannot go with ours are left out.
  private func plan(
    _ own: [Proposal], includingReceived: Bool, covers: [ProposalRef]?, now: Timestamp
  ) throws(MLSError) -> (list: ProposalList, applied: AppliedProposals) {
    for proposal in own { try requireOwn(proposal) }
    if let covers {
      let covered = try covers.map { (reference) throws(MLSError) in
        guard let entry = proposals.entry(reference) else { throw MLSError(.unknownProposal) }
        return entry.sent
      }
      return try apply(covered, own, now: now)
    }
    if includingReceived, !proposals.isEmpty {
      // Who goes by itself is not removed as well (draft-ietf-mls-extensions section 6.3).
      let kept = proposals.withoutLeavers(own)
      let received = ProposalSelection.choose(
        from: proposals.entries, with: kept, committer: ownLeafIndex, tree: state.tree,
        extensions: extensions, psks: pskStore, policy: policy)
      // What the selection does not see, such as what a component says to the data for it, shows here. Those who want to
      // leave are not held by what others propose.
      for strength in 0...2 {
        let chosen = received.filter { $0.proposal.robustness >= strength }.map(\.sent)
        if !chosen.isEmpty, let plan = try? apply(chosen, kept, now: now) { return plan }
      }
    }
    return try apply([], own, now: now)
  }

  private func apply(
    _ received: [SentProposal], _ own: [Proposal], origin: PreSharedKeyID? = nil, now: Timestamp
  ) throws(MLSError) -> (list: ProposalList, applied: AppliedProposals) {
    let own = own.map { SentProposal(proposal: $0, sender: .member(ownLeafIndex), reference: nil) }
    let list = try ProposalList(
      received + own, committer: .member(ownLeafIndex), tree: state.tree, policy: policy, origin: origin)
    let applied = try list.apply(
      to: state.tree, context: state.context, now: now)
    return (list, applied)
  }

  /// Renews our keys in the tree of `step`, and seals them to the others.
  private func makePath(
    _ step: inout EpochStep, added: Set<NodeIndex>, changes: LeafChanges
  ) throws(MLSError) -> (secrets: PathSecrets, update: UpdatePath) {
    guard let old = step.tree.leaf(ownLeafIndex) else { throw MLSError(.fault) }
    let leaf = try changes.applied(to: old, suite: state.suite)
    try policy.credentials(in: groupID).require(leaf, .commit, replacing: old)
    let validation = LeafValidation(
      suite: state.suite, groupExtensions: step.extensions, maxLifetime: policy.maxLifetime)
    return try step.makePath(
      leaf: leaf, place: ownPlace, signingKey: (changes.identity ?? identity).signingKey, added: added,
      validation: validation, threads: policy.maxThreads)
  }

  /// The welcome for all that a commit adds (RFC 9420 section 12.4.3.1): the group info sealed once, and its key to each.
  private func makeWelcome(
    _ list: ProposalList, _ applied: AppliedProposals, next: EpochState, joinerSecret: Secret, pskSecret: Secret,
    path: PathSecrets?, options: CommitOptions
  ) throws(MLSError) -> [UInt8]? {
    guard !list.adds.isEmpty else { return nil }
    let suite = state.suite
    let info = try next.groupInfo(
      identity: options.identity ?? identity, includesTree: options.welcomeIncludesTree, allowsExternalCommit: false,
      besides: options.groupInfoExtensions)
    let welcomeSecret = try KeySchedule.welcomeSecret(suite, joinerSecret: joinerSecret, pskSecret: pskSecret)
    let (key, nonce) = try KeySchedule.welcomeKey(suite, welcomeSecret: welcomeSecret)
    let sealedInfo: [UInt8]
    do {
      sealedInfo = try suite.aead.seal(key: key, nonce: nonce, plaintext: info.encoded)
    } catch { throw MLSError(.fault) }
    let sealer = suite.sealer("Welcome", context: sealedInfo)
    // Without a path, the secrets are the same for everybody.
    let common = GroupSecrets(joinerSecret: joinerSecret, pathSecret: nil, psks: list.psks).encode()
    let (adds, leaves, psks) = (list.adds, applied.added, list.psks)
    let secrets = try Parallel.map(adds.count, workers: policy.maxThreads) { (place) throws(MLSError) in
      let plaintext = path.map { path in
        GroupSecrets(joinerSecret: joinerSecret, pathSecret: path.secret(for: leaves[place]), psks: psks).encode()
      }
      return Welcome.EncryptedGroupSecrets(
        newMember: suite.keyPackageRef(adds[place]),
        encryptedGroupSecrets: try sealer.seal(plaintext ?? common, to: adds[place].initKey))
    }
    return MLSMessage.welcome(
      Welcome(cipherSuite: suite.number, secrets: secrets, encryptedGroupInfo: sealedInfo)
    ).encoded
  }
}

extension EpochStep {
  /// Renews a committer's keys in the tree, and seals them to the others under the provisional context.
  mutating func makePath(
    leaf: LeafNode, place: LeafPlace, signingKey: SigningKey, added: Set<NodeIndex>, validation: LeafValidation,
    threads: Int = 1
  ) throws(MLSError) -> (secrets: PathSecrets, update: UpdatePath) {
    let suite = suite
    let secrets = try PathSecrets.generate(suite, tree: tree, leaf: place.index)
    let node = try tree.apply(secrets, leaf: place.index) { (parentHash) throws(MLSError) in
      var leaf = leaf
      leaf.encryptionKey = secrets.leafKey.publicKey
      leaf.source = .commit(parentHash: parentHash)
      try leaf.sign(suite, key: signingKey, at: place)
      // The others will check this and the signature; better that it fails here.
      try validation.validateUnsigned(leaf, as: .commit(at: place))
      return leaf
    }
    try Rule.leafCredentialSupport.require(tree.index.credentialsAreSupported)
    let context = try provisionalContext()
    return (secrets, try tree.seal(secrets, leafNode: node, context: context.encoded, added: added, threads: threads))
  }
}
