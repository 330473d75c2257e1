public import CryptoPrimitives
import WireCodec

/// One client's membership of one group (RFC 9420).
///
/// Not copyable: two copies would seal different messages with the same keys. It does no I/O and has no clock; save
/// ``encodeState()`` before anything that a call returned leaves this device.
///
/// Commits are made (``commit(_:includingReceived:options:now:)``) or received (``receive(_:)``) as pending values with
/// their effects. Only merging one changes the epoch.
public struct Group: ~Copyable, Sendable {
  /// Whether the group can still be used.
  enum Status: Hashable, Sendable {
    case active
    case removed
    /// Ended, to be followed by a group with these parameters.
    case reInitialised(ReInit)
  }

  /// Who this client is here: as given, until a commit of ours or one that covers an update of ours changes it.
  public internal(set) var identity: ClientIdentity
  public var policy: GroupPolicy
  var state: EpochState
  var past = PastEpochs()
  var proposals = ProposalCache()
  var psks = PSKStore()
  var status = Status.active

  init(identity: ClientIdentity, policy: GroupPolicy, state: EpochState) {
    self.identity = identity
    self.policy = policy
    self.state = state
  }

  /// Makes a group of one (RFC 9420 section 11).
  ///
  /// - Parameter groupID: must not have been used before; 16 random bytes are good.
  /// - Parameter extensions: those of the group; types that are not default are entered into the own capabilities.
  /// - Throws: ``MLSError/Code/unsupportedSuite``; a rule if the extensions contradict each other.
  public static func create(
    groupID: GroupID, suite: CipherSuite, identity: ClientIdentity, capabilities: Capabilities = Capabilities(),
    leafExtensions: [Extension] = [], extensions: [Extension] = [], lifetime: Lifetime,
    policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) -> Group {
    let suite = try CipherSuite.algorithms(of: suite.rawValue)
    guard groupID.bytes.count <= Bounds.groupID else { throw MLSError(.outOfBounds) }
    try identity.requireUsable()
    try extensions.validateForContext(replacing: [])
    var capabilities = capabilities
    capabilities.list(policy)
    capabilities.list(extensions + leafExtensions, suite: suite.number, credential: identity.credential.type)
    let leafKey = HPKEPrivateKey.generate(suite.kem)
    var leaf = LeafNode(
      encryptionKey: leafKey.publicKey, signatureKey: identity.signingKey.publicKey, credential: identity.credential,
      capabilities: capabilities, source: .keyPackage(lifetime), extensions: leafExtensions)
    try leaf.sign(suite, key: identity.signingKey, at: nil)
    try LeafValidation(suite: suite, groupExtensions: extensions, maxLifetime: policy.maxLifetime)
      .validate(leaf, as: .keyPackage(now: nil))
    let credentials = policy.credentials(in: groupID)
    try credentials.require(leaf, .create)
    try credentials.requireExternalSenders(in: extensions)
    var tree = try RatchetTree(suite: suite, creator: leaf)
    let context = GroupContext(
      cipherSuite: suite.number, groupID: groupID, epoch: Epoch(0), treeHash: try tree.rootHash(),
      confirmedTranscriptHash: [], extensions: extensions)
    let secrets = try EpochSecrets(suite, epochSecret: .random(count: suite.hashSize))
    let state = EpochState(
      suite, context: context, tree: tree, privateKeys: TreePrivate(leaf: LeafIndex(0), leafKey: leafKey),
      secrets: secrets)
    return Group(identity: identity, policy: policy, state: state)
  }

  // MARK: What the group is

  public var groupID: GroupID { state.groupID }
  public var epoch: Epoch { state.epoch }
  public var suite: CipherSuite { state.suite.suite }
  public var ownLeafIndex: LeafIndex { state.ownLeaf }
  /// The extensions that all members agree on.
  public var extensions: [Extension] { state.context.extensions }
  /// Who may send proposals from outside (RFC 9420 section 12.1.8.1).
  /// - Throws: ``MLSError/Code/malformed`` if the extension is not what it should be.
  public func externalSenders() throws(MLSError) -> [ExternalSender] { try extensions.externalSenders() }
  /// The encoded group context (RFC 9420 section 8.1).
  public var groupContext: [UInt8] { state.contextBytes }
  public var treeHash: [UInt8] { state.context.treeHash }
  /// Equal for all who are in the same state of the group (RFC 9420 section 8.7).
  public var epochAuthenticator: Secret { state.secrets.authenticator }
  /// False once this client has been removed, or the group has been ended by a ReInit.
  public var isActive: Bool { status == .active }
  /// What the group that follows must be like, once a ReInit has ended this one (RFC 9420 section 11.2).
  public var reInit: ReInit? {
    if case .reInitialised(let parameters) = status { parameters } else { nil }
  }
  /// Whether proposals were received or sent in this epoch that no commit has covered.
  public var hasPendingProposals: Bool { !proposals.isEmpty }
  /// The proposals received or sent in this epoch, in the order of arrival, for ``CommitOptions/covers`` to name.
  public var pendingProposals: [(reference: ProposalRef, proposal: Proposal)] {
    proposals.entries.map { ($0.reference, $0.proposal) }
  }

  /// All members, by place.
  public var members: [Member] { state.tree.memberIndices.compactMap { state.member($0) } }
  public var memberCount: Int { state.tree.index.memberCount }

  /// The member at a place, if there is one.
  public func member(at index: LeafIndex) -> Member? { state.member(index) }

  /// The ratchet tree, for new members that do not get it in their welcome (RFC 9420 section 12.4.3.3).
  public var ratchetTree: [UInt8] { state.tree.encoded }

  // MARK: Secrets from and for the group

  /// A secret that only the members of this epoch can derive (RFC 9420 section 8.5).
  /// - Throws: ``MLSError/Code/outOfBounds`` if `length` is over 255 hashes.
  public func export(label: String, context: [UInt8] = [], length: Int) throws(MLSError) -> Secret {
    guard isActive else { throw MLSError(.inactive) }
    return try state.secrets.export(state.suite, label: Array(label.utf8), context: context, length: length)
  }

  /// This epoch's secret for proving elsewhere that one was here (RFC 9420 section 8.6).
  public var resumptionPSK: ResumptionPSK {
    ResumptionPSK(groupID: groupID, epoch: epoch, secret: state.secrets.resumption)
  }

  /// Makes a key known that commits and welcomes may name (RFC 9420 section 8.4). It is part of the saved state.
  public mutating func setPreSharedKey(_ psk: ExternalPSK) { psks.external[psk.id] = psk.secret }

  public mutating func removePreSharedKey(id: [UInt8]) { psks.external[id] = nil }

  /// A proposal to bring in a key that all members know. The key must have been made known here.
  public func preSharedKeyProposal(externalID: [UInt8]) -> Proposal {
    .externalPSK(id: externalID, suite: suite)
  }

  /// A proposal to bring in the resumption secret of an earlier epoch of this group.
  public func resumptionProposal(epoch: Epoch) -> Proposal {
    .resumptionPSK(groupID: groupID, epoch: epoch, suite: suite)
  }

  /// A signed statement of the group's state with its external key: whoever has it can join by an external commit
  /// (RFC 9420 section 12.4.3.2). It names all members, so it leaves the client only encrypted.
  ///
  /// Without the tree, joiners need ``ratchetTree`` from elsewhere; without the external key nobody can join by it, and
  /// it only shows what the group is like. `extensions` tell joiners what else they have to know; those that they do
  /// not know they ignore.
  public func groupInfo(
    includesTree: Bool = true, allowsExternalCommit: Bool = true, extensions: [Extension] = []
  ) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    return MLSMessage.groupInfo(
      try state.groupInfo(
        identity: identity, includesTree: includesTree, allowsExternalCommit: allowsExternalCommit,
        besides: extensions)
    ).encoded
  }

  // MARK: Epochs

  /// Ends the current epoch. Its keys go, but for what reads late messages (RFC 9420 section 9.2).
  mutating func enter(_ next: EpochState, with effects: CommitEffects) {
    psks.remember(state.groupID, state.epoch, state.secrets.resumption, limit: max(0, policy.maxResumptionEpochs - 1))
    past.append(state, next: next, changed: effects.changedLeaves, limit: policy.maxPastEpochs)
    proposals.clear()
    state = next
    if let successor = effects.reInit { status = .reInitialised(successor) }
  }

  /// Throws unless a pending value was made in the very state that the group is in.
  func requireCurrent(_ base: EpochBase) throws(MLSError) {
    guard isActive else { throw MLSError(.inactive) }
    guard base == EpochBase(state) else { throw MLSError(.epochMoved) }
  }
}

/// Names one state of one group: two branches of the same epoch have different tags.
struct EpochBase: Hashable, Sendable {
  let groupID: GroupID
  let epoch: Epoch
  let confirmationTag: [UInt8]

  init(_ state: borrowing EpochState) {
    groupID = state.groupID
    epoch = state.epoch
    confirmationTag = state.confirmationTag
  }

  init(groupID: GroupID, epoch: Epoch, confirmationTag: [UInt8]) {
    self.groupID = groupID
    self.epoch = epoch
    self.confirmationTag = confirmationTag
  }
}

extension EpochState {
  /// A signed group info of this state.
  func groupInfo(
    identity: ClientIdentity, includesTree: Bool, allowsExternalCommit: Bool, besides given: [Extension]
  ) throws(MLSError) -> GroupInfo {
    // Those that are made here must not be given as well.
    let made = [Extension.ratchetTreeType, Extension.externalPubType]
    guard !given.hasRepeatedTypes, !given.contains(where: { made.contains($0.type) }) else {
      throw MLSError(.outOfBounds)
    }
    var extensions: [Extension] = []
    if includesTree { extensions.append(Extension(type: Extension.ratchetTreeType, data: tree.encoded)) }
    if allowsExternalCommit {
      let key = try secrets.externalKeyPair(suite)
      extensions.append(Extension(type: Extension.externalPubType, data: ExternalPub(key: key.publicKey).encoded))
    }
    extensions += given
    var info = GroupInfo(
      context: context, extensions: extensions, confirmationTag: confirmationTag, signer: ownLeaf)
    try info.sign(suite, key: identity.signingKey)
    return info
  }
}
