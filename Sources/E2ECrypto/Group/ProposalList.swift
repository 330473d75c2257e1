import CryptoPrimitives

/// A proposal on its way into a commit, with who proposed it.
struct SentProposal: Sendable {
  let proposal: Proposal
  let sender: Sender
  /// The name under which a commit can refer to it, if it was sent on its own.
  let reference: ProposalRef?
}

/// Who commits.
enum Committer: Hashable, Sendable {
  case member(LeafIndex)
  /// One who joins by the commit.
  case joiner
}

/// The proposals of a commit, sorted by kind and checked as a list (RFC 9420 section 12.2).
struct ProposalList: Sendable {
  private(set) var all: [SentProposal] = []
  private(set) var updates: [(leaf: LeafIndex, node: LeafNode)] = []
  private(set) var removes: [LeafIndex] = []
  private(set) var selfRemoves: [LeafIndex] = []
  private(set) var adds: [KeyPackage] = []
  private(set) var psks: [PreSharedKeyID] = []
  private(set) var groupContextExtensions: [Extension]?
  private(set) var reInit: ReInit?
  private(set) var externalInit: [UInt8]?
  private var appData = AppDataChanges()
  /// The key of the group that this one begins as the successor or a branch of, which no other list may name.
  private let origin: PreSharedKeyID?
  private var changedLeaves: Set<LeafIndex> = []
  private var pskNames: Set<PreSharedKeyID> = []
  private var addedKeys: Set<[UInt8]> = []

  private let policy: GroupPolicy

  /// Whether a commit of the list needs a path (RFC 9420 section 12.4).
  var requiresPath: Bool { all.isEmpty || all.contains { policy.requiresPath($0.proposal) } }

  /// The list as a commit carries it.
  var references: [ProposalOrRef] {
    all.map { $0.reference.map(ProposalOrRef.reference) ?? .proposal($0.proposal) }
  }

  /// All who go, whoever proposed it.
  var leaving: [LeafIndex] { selfRemoves.isEmpty ? removes : removes + selfRemoves }

  /// Sorts a list, checking all that needs no signature and no tree but for who is in it.
  init(
    _ proposals: [SentProposal], committer: Committer, tree: RatchetTree, policy: GroupPolicy,
    origin: PreSharedKeyID? = nil
  ) throws(MLSError) {
    self.policy = policy
    self.origin = origin
    for proposal in proposals { try append(proposal, committer: committer, tree: tree) }
    if reInit != nil { try Rule.reInitAlone.require(all.count == 1) }
    if committer == .joiner { try Rule.externalOneInit.require(externalInit != nil) }
    try requireSupport(in: tree)
    for sent in all {
      try policy.requireKnown(sent.proposal)
      try policy.validate(sent.proposal)
    }
  }

  private mutating func append(
    _ sent: SentProposal, committer: Committer, tree: RatchetTree
  ) throws(MLSError) {
    if committer == .joiner { try requireExternal(sent) }
    switch sent.proposal {
    case .add(let keyPackage):
      try Rule.addsDiffer.require(addedKeys.insert(keyPackage.leafNode.signatureKey).inserted)
      adds.append(keyPackage)
    case .update(let node):
      guard case .member(let leaf) = sent.sender, tree.leaf(leaf) != nil else {
        throw MLSError.rejected(.updateFromMember)
      }
      try Rule.noOwnUpdate.require(committer != .member(leaf))
      try Rule.oneChangePerLeaf.require(changedLeaves.insert(leaf).inserted)
      updates.append((leaf, node))
    case .remove(let leaf):
      try Rule.removeNamesMember.require(tree.leaf(leaf) != nil)
      try Rule.noOwnRemove.require(committer != .member(leaf))
      try Rule.oneChangePerLeaf.require(changedLeaves.insert(leaf).inserted)
      removes.append(leaf)
    case .preSharedKey(let id):
      try Self.validate(id, suite: tree.suite, origin: origin)
      try Rule.psksDiffer.require(pskNames.insert(id).inserted)
      psks.append(id)
    case .reInit(let parameters):
      try Self.validate(parameters)
      try Rule.reInitAlone.require(reInit == nil)
      reInit = parameters
    case .externalInit(let kemOutput):
      try Rule.noExternalInit.require(committer == .joiner)
      try Rule.externalOneInit.require(externalInit == nil)
      externalInit = kemOutput
    case .groupContextExtensions(let extensions):
      try Rule.oneGroupContextExtensions.require(groupContextExtensions == nil)
      try Rule.extensionsUnique.require(!extensions.hasRepeatedTypes)
      groupContextExtensions = extensions
    case .selfRemove:
      let leaf = try Self.validateSelfRemove(from: sent.sender, in: tree)
      try Rule.selfRemoveByReference.require(sent.reference != nil)
      try Rule.noOwnRemove.require(committer != .member(leaf))
      try Rule.oneChangePerLeaf.require(changedLeaves.insert(leaf).inserted)
      selfRemoves.append(leaf)
    case .appDataUpdate(let update): try appData.append(update)
    case .appEphemeral, .custom: break
    }
    all.append(sent)
  }

  private func requireExternal(_ sent: SentProposal) throws(MLSError) {
    if case .selfRemove = sent.proposal { return }
    try Rule.externalByValue.require(sent.reference == nil)
    switch sent.proposal {
    case .externalInit, .preSharedKey, .appDataUpdate, .appEphemeral: break
    case .remove: try Rule.externalOneRemove.require(removes.isEmpty)
    case .custom(let type, _):
      try Rule.externalOnlyAllowed.require(policy.customProposal(type)?.allowsExternalCommit ?? false)
    default: throw MLSError.rejected(.externalOnlyAllowed)
    }
  }

  static func validate(_ parameters: ReInit) throws(MLSError) {
    try Rule.reInitVersion.require(parameters.version >= ProtocolVersion.mls10)
    try Rule.extensionsUnique.require(!parameters.extensions.hasRepeatedTypes)
  }

  static func validate(_ id: PreSharedKeyID, suite: Suite, origin: PreSharedKeyID? = nil) throws(MLSError) {
    try Rule.pskUsage.require(!id.beginsGroup || id == origin)
    try Rule.pskNonceLength.require(id.nonce.count == suite.hashSize)
  }
}

/// What a list of proposals makes of tree and extensions.
struct AppliedProposals: Sendable {
  var tree: RatchetTree
  var extensions: [Extension]
  /// Where the added members stand, in the order of the adds.
  var added: [LeafIndex]

  /// The same places as nodes: those who get their secrets in the welcome.
  var addedNodes: Set<NodeIndex> { Set(added.map { NodeIndex($0) }) }
}

extension ProposalList {
  /// Applies the list in the order of RFC 9420 section 12.3, checking each leaf that comes in and the whole that results.
  ///
  /// `now` is given by the committer alone.
  func apply(
    to current: RatchetTree, context: GroupContext, now: Timestamp?
  ) throws(MLSError) -> AppliedProposals {
    let groupID = context.groupID
    var tree = current
    var extensions = groupContextExtensions ?? context.extensions
    let leaves = LeafValidation(suite: tree.suite, groupExtensions: extensions, maxLifetime: policy.maxLifetime)
    let credentials = policy.credentials(in: groupID)

    // All that goes is taken out before anything comes in: an added client may take over a removed one's key.
    let leaving = leaving
    tree.release(updates.map(\.leaf) + leaving)
    for (index, node) in updates {
      guard let old = tree.leaf(index) else { throw MLSError(.fault) }
      try leaves.validate(node, as: .update(of: old, at: LeafPlace(groupID: groupID, index: index)))
      try credentials.require(node, .update, replacing: old)
      try tree.update(index, to: node)
    }
    for index in leaving { tree.removeReleased(index) }
    if !leaving.isEmpty { tree.truncate() }
    var added: [LeafIndex] = []
    let adds = adds
    try Parallel.forEach(adds.count, workers: policy.maxThreads) { (place) throws(MLSError) in
      try leaves.validate(adds[place], now: now)
    }
    for keyPackage in adds {
      try credentials.require(keyPackage.leafNode, .add)
      // Told apart from the general rule, since it is the one that a double invitation meets.
      try Rule.addIsNew.require(!tree.index.containsSignatureKey(keyPackage.leafNode.signatureKey))
      added.append(try tree.add(keyPackage.leafNode))
    }
    if !updates.isEmpty || !adds.isEmpty {
      try Rule.leafCredentialSupport.require(tree.index.credentialsAreSupported)
    }
    if let groupContextExtensions {
      try groupContextExtensions.validateForContext(replacing: context.extensions)
      if let required = try groupContextExtensions.requiredCapabilities() {
        try Rule.requiredCapabilitiesMet.require(tree.index.allSupport(required))
      }
      try Rule.groupExtensionsSupported.require(
        groupContextExtensions.allSatisfy { tree.index.allSupportExtension($0.type) })
      try credentials.requireExternalSenders(in: groupContextExtensions, before: context.extensions)
    }
    if !appData.isEmpty {
      extensions = try appData.applied(to: extensions, policy: policy)
      try Rule.groupExtensionsSupported.require(
        tree.index.allSupportExtension(Extension.appDataDictionaryType))
    }
    return AppliedProposals(tree: tree, extensions: extensions, added: added)
  }
}
