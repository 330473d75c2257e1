import CryptoPrimitives
import WireCodec

extension Group {
  /// Checks a signed commit and works out the epoch that it begins (RFC 9420 section 12.4.2).
  func process(_ commit: Commit, in message: AuthenticatedContent) throws(MLSError) -> ReceivedCommit {
    let suite = state.suite
    let committer: Committer =
      if case .member(let leaf) = message.content.sender { .member(leaf) } else { .joiner }
    let resolved = try resolve(commit, sender: message.content.sender)
    let list = try ProposalList(resolved.sent, committer: committer, tree: state.tree, policy: policy)
    try Rule.pathRequired.require(commit.path != nil || (!list.requiresPath && committer != .joiner))
    var applied = try list.apply(
      to: state.tree, context: state.context, now: nil)
    let place = try senderLeaf(committer, in: &applied)

    var step = EpochStep(
      suite: suite, old: state.context, interimTranscriptHash: state.interimTranscriptHash, tree: applied.tree,
      extensions: applied.extensions)
    let replacing = committer == .joiner ? list.removes.first : nil
    let filtered = try commit.path.map { (path) throws(MLSError) in
      try apply(path, of: committer, at: place, replacing: replacing, to: &step)
    }
    if list.leaving.contains(ownLeafIndex) {
      // What can be seen without the secrets has been checked; the confirmation tag is beyond us now.
      var effects = try effects(of: list, applied, tree: step.tree, from: committer, hasPath: commit.path != nil)
      effects.removesSelf = true
      return ReceivedCommit(
        effects: effects, authenticatedData: message.content.authenticatedData, base: EpochBase(state),
        identity: nil, next: nil)
    }
    let pskSecret = try pskStore.combine(suite, list.psks)
    var privateKeys = state.privateKeys
    if let leafKey = resolved.own?.ownLeafKey { privateKeys.leafKey = leafKey }
    var commitSecret = suite.zeroSecret
    if let path = commit.path, let filtered {
      let context = try step.provisionalContext().encoded
      commitSecret = try step.tree.open(
        path, path: filtered, private: &privateKeys, context: context, added: applied.addedNodes)
    }
    privateKeys.prune(to: step.tree)
    let initSecret =
      if let kemOutput = list.externalInit {
        try ExternalInitSecret.open(suite, kemOutput: kemOutput, with: state.secrets.externalKeyPair(suite))
      } else { state.secrets.initSecret }
    let (next, _) = try step.finish(
      message, privateKeys: privateKeys, initSecret: initSecret, commitSecret: commitSecret, pskSecret: pskSecret)
    try Rule.confirmationTag.require(
      ConstantTime.equal(next.confirmationTag, message.auth.confirmationTag ?? []))
    let effects = try effects(of: list, applied, tree: next.tree, from: committer, hasPath: commit.path != nil)
    return ReceivedCommit(
      effects: effects, authenticatedData: message.content.authenticatedData, base: EpochBase(state),
      identity: resolved.own?.ownIdentity, next: next)
  }

  /// The proposals of a commit, with those that it only names looked up.
  private func resolve(
    _ commit: Commit, sender: Sender
  ) throws(MLSError) -> (sent: [SentProposal], own: ProposalCache.Entry?) {
    var sent: [SentProposal] = []
    var own: ProposalCache.Entry?
    for item in commit.proposals {
      switch item {
      case .proposal(let proposal):
        sent.append(SentProposal(proposal: proposal, sender: sender, reference: nil))
      case .reference(let reference):
        guard let entry = proposals.entry(reference) else { throw MLSError(.unknownProposal) }
        sent.append(entry.sent)
        if entry.ownLeafKey != nil { own = entry }
      }
    }
    return (sent, own)
  }

  /// Where the committer stands in the new tree: a joiner at the first blank leaf.
  private func senderLeaf(_ committer: Committer, in applied: inout AppliedProposals) throws(MLSError) -> LeafIndex {
    switch committer {
    case .member(let leaf): return leaf
    case .joiner: return try applied.tree.makeRoom()
    }
  }

  /// Checks a path and takes it into the tree of `step`. Returns the nodes that it renews.
  ///
  /// `replacing` is the leaf that an external joiner removes as its old self.
  private func apply(
    _ path: UpdatePath, of committer: Committer, at sender: LeafIndex, replacing: LeafIndex?,
    to step: inout EpochStep
  ) throws(MLSError) -> [(node: NodeIndex, sibling: NodeIndex)] {
    let validation = LeafValidation(
      suite: state.suite, groupExtensions: step.extensions, maxLifetime: policy.maxLifetime)
    try validation.validate(path.leafNode, as: .commit(at: LeafPlace(groupID: groupID, index: sender)))
    let credentials = policy.credentials(in: groupID)
    switch committer {
    case .member(let leaf):
      try credentials.require(path.leafNode, .commit, replacing: state.tree.leaf(leaf))
    case .joiner:
      let old = replacing.flatMap { state.tree.leaf($0) }
      try Rule.leafUpdateKeyIsNew.require(old?.encryptionKey != path.leafNode.encryptionKey)
      try credentials.require(path.leafNode, .externalCommit, replacing: old)
    }
    let filtered = try step.tree.apply(path, from: sender)
    try Rule.leafCredentialSupport.require(step.tree.index.credentialsAreSupported)
    return filtered
  }

  /// What a commit changes, for the application to judge.
  func effects(
    of list: ProposalList, _ applied: AppliedProposals, tree: RatchetTree, from committer: Committer, hasPath: Bool
  ) throws(MLSError) -> CommitEffects {
    guard let epoch = epoch.next else { throw MLSError(.outOfBounds) }
    func after(_ index: LeafIndex) -> Member? { tree.leaf(index).map { Member(leafIndex: index, leafNode: $0) } }
    var effects: CommitEffects
    var places = list.updates.map(\.leaf)
    var entering = applied.added
    switch committer {
    case .member(let leaf):
      guard let member = state.member(leaf) else { throw MLSError(.unknownSender) }
      effects = CommitEffects(sender: .member(member), epoch: epoch)
      if hasPath { places.append(leaf) }
    case .joiner:
      var room = applied.tree
      let leaf = try room.makeRoom()
      entering.append(leaf)
      guard let joiner = after(leaf) else { throw MLSError(.fault) }
      effects = CommitEffects(sender: .newMember(joiner.leafNode), epoch: epoch)
    }
    effects.added = entering.compactMap(after)
    effects.removed = list.leaving.compactMap { state.member($0) }
    effects.updated = places.compactMap { place in
      guard let before = state.member(place), let after = after(place) else { return nil }
      return CommitEffects.Update(before: before, after: after)
    }
    if applied.extensions != extensions {
      effects.extensionsChanged = CommitEffects.ExtensionsChange(before: extensions, after: applied.extensions)
    }
    effects.preSharedKeys = list.psks
    effects.reInit = list.reInit
    let sender = effects.sender
    for sent in list.all {
      let proposer =
        sent.reference == nil ? sender : try describe(sent.sender, proposal: sent.proposal)
      effects.proposals.append(
        CommitEffects.Item(proposal: sent.proposal, sender: proposer, isByReference: sent.reference != nil))
    }
    return effects
  }
}

extension EpochState {
  /// Once removed, nothing of the group's secrets is of use (RFC 9420 section 12.4.2).
  mutating func forgetForRemoval() {
    let blank = Secret.empty
    self = EpochState(
      suite, context: context, tree: tree,
      privateKeys: TreePrivate(leaf: ownLeaf, leafKey: HPKEPrivateKey.generate(suite.kem)),
      keys: EpochKeys(
        senderData: blank, exporter: blank, external: blank, membership: blank, resumption: blank,
        authenticator: blank, initSecret: blank),
      secretTree: SecretTree(leafCount: tree.shape.leafCount, encryptionSecret: blank),
      exporterTree: ExporterTree(blank),
      interimTranscriptHash: interimTranscriptHash, confirmationTag: confirmationTag)
  }
}
