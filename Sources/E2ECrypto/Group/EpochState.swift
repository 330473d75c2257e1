import CryptoPrimitives
import WireCodec

/// All that a member knows of one epoch. A commit makes the next one; merging replaces the old.
struct EpochState: Sendable {
  let suite: Suite
  let context: GroupContext
  /// The context's encoding, which every signature covers.
  let contextBytes: [UInt8]
  var tree: RatchetTree
  let privateKeys: TreePrivate
  let secrets: EpochKeys
  var secretTree: SecretTree
  var exporterTree: ExporterTree
  let interimTranscriptHash: [UInt8]
  let confirmationTag: [UInt8]

  var ownLeaf: LeafIndex { privateKeys.leaf }
  var groupID: GroupID { context.groupID }
  var epoch: Epoch { context.epoch }

  /// An epoch from its secrets.
  init(
    _ suite: Suite, context: GroupContext, tree: RatchetTree, privateKeys: TreePrivate, secrets: EpochSecrets
  ) {
    let tag = suite.mac(secrets.confirmation, context.confirmedTranscriptHash)
    self.suite = suite
    self.context = context
    contextBytes = context.encoded
    self.tree = tree
    self.privateKeys = privateKeys
    self.secrets = secrets.kept
    secretTree = SecretTree(leafCount: tree.shape.leafCount, encryptionSecret: secrets.encryption)
    exporterTree = ExporterTree(secrets.applicationExport)
    confirmationTag = tag
    interimTranscriptHash = TranscriptHash.interim(
      suite, confirmed: context.confirmedTranscriptHash, confirmationTag: tag)
  }

  /// An epoch from all of its parts.
  init(
    _ suite: Suite, context: GroupContext, tree: RatchetTree, privateKeys: TreePrivate, keys: EpochKeys,
    secretTree: SecretTree, exporterTree: ExporterTree, interimTranscriptHash: [UInt8], confirmationTag: [UInt8]
  ) {
    self.suite = suite
    self.context = context
    contextBytes = context.encoded
    self.tree = tree
    self.privateKeys = privateKeys
    secrets = keys
    self.secretTree = secretTree
    self.exporterTree = exporterTree
    self.interimTranscriptHash = interimTranscriptHash
    self.confirmationTag = confirmationTag
  }

  func member(_ index: LeafIndex) -> Member? {
    tree.leaf(index).map { Member(leafIndex: index, leafNode: $0) }
  }
}

/// The step from one epoch to the next, the same for committer, members and joiner.
struct EpochStep {
  let suite: Suite
  let old: GroupContext
  let interimTranscriptHash: [UInt8]
  var tree: RatchetTree
  let extensions: [Extension]

  init(
    suite: Suite, old: GroupContext, interimTranscriptHash: [UInt8], tree: RatchetTree, extensions: [Extension]
  ) {
    self.suite = suite
    self.old = old
    self.interimTranscriptHash = interimTranscriptHash
    self.tree = tree
    self.extensions = extensions
  }

  /// The new context, still with the old transcript hash: what path secrets are sealed with (RFC 9420 section 12.4.1).
  mutating func provisionalContext() throws(MLSError) -> GroupContext {
    guard let epoch = old.epoch.next else { throw MLSError(.outOfBounds) }
    return GroupContext(
      cipherSuite: old.cipherSuite, groupID: old.groupID, epoch: epoch, treeHash: try tree.rootHash(),
      confirmedTranscriptHash: old.confirmedTranscriptHash, extensions: extensions)
  }

  /// The new epoch, once the commit is signed. `privateKeys` are those after the path.
  mutating func finish(
    _ commit: AuthenticatedContent, privateKeys: TreePrivate, initSecret: Secret, commitSecret: Secret,
    pskSecret: Secret
  ) throws(MLSError) -> (state: EpochState, joinerSecret: Secret) {
    var context = try provisionalContext()
    context.confirmedTranscriptHash = TranscriptHash.confirmed(
      suite, interim: interimTranscriptHash, format: commit.format, content: commit.content,
      signature: commit.auth.signature)
    let joiner = try KeySchedule.joinerSecret(
      suite, initSecret: initSecret, commitSecret: commitSecret, context: context.encoded)
    let secrets = try KeySchedule.epochSecrets(
      suite, joinerSecret: joiner, pskSecret: pskSecret, context: context.encoded)
    let state = EpochState(suite, context: context, tree: tree, privateKeys: privateKeys, secrets: secrets)
    return (state, joiner)
  }
}
