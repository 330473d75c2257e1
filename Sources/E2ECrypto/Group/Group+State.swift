public import CryptoPrimitives
import WireCodec

/// A group's state, to be stored sealed. Both parts belong to one moment.
public struct GroupState: Sendable {
  /// The tree, the context and the path's private keys: changes with the epoch alone.
  public let epochPart: Secret
  /// The key schedule, the ratchets, past epochs' keys and received proposals: changes with each message, and is small.
  public let messagePart: Secret

  public init(epochPart: Secret, messagePart: Secret) {
    self.epochPart = epochPart
    self.messagePart = messagePart
  }
}

extension Group {
  /// The whole state. Save it when a group is made, joined, or has merged a commit.
  public func encodeState() -> GroupState {
    var writer = SecretWriter()
    writer.write(StateFormat.current)
    state.encodePublic(into: &writer)
    past.encodePublic(into: &writer)
    return GroupState(epochPart: writer.finish(), messagePart: encodeMessagePart())
  }

  /// The part of the state that sending, receiving and making a commit change. It fits to an epoch part of the same epoch.
  public func encodeMessagePart() -> Secret {
    var writer = SecretWriter()
    writer.write(StateFormat.current)
    writer.write(EpochBase(state))
    writer.write(status)
    state.encodeSecret(into: &writer)
    past.encodeSecret(into: &writer)
    psks.encode(into: &writer)
    proposals.encode(into: &writer)
    return writer.finish()
  }

  /// Restores a saved group.
  /// - Throws: ``MLSError/Code/malformed`` if a part is damaged; ``MLSError/Code/stateVersion`` if another version of this
  ///   library wrote it; ``MLSError/Code/stateMismatch`` if the parts are of
  ///   different epochs or keys do not fit the tree; ``MLSError/Code/identityMismatch`` if the key is not that of the own leaf.
  public init(
    restoring saved: GroupState, identity: ClientIdentity, policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) {
    try StateFormat.require(saved.epochPart)
    try StateFormat.require(saved.messagePart)
    let known = try saved.epochPart.decode { (reader) throws(WireError) in
      _ = try reader.readUInt16()
      return (try EpochState.Public(from: &reader), try PastEpochs.Public(from: &reader))
    }
    let base = known.0.base
    var mismatch = false
    let secret = try saved.messagePart.decode { (reader) throws(WireError) in
      _ = try reader.readUInt16()
      mismatch = try EpochBase(from: &reader) != base
      if mismatch { throw WireError(.invalidValue) }
      let status = try Status(from: &reader)
      let state = try EpochState(known.0, from: &reader)
      let past = try PastEpochs(known.1, from: &reader)
      let psks = try PSKStore(from: &reader)
      return (status, state, past, psks, try ProposalCache(from: &reader, known.0.suite))
    } onFailure: { () -> MLSError in
      MLSError(mismatch ? .stateMismatch : .malformed)
    }
    guard identity.signingKey.publicKey == secret.1.tree.leaf(secret.1.ownLeaf)?.signatureKey else {
      throw MLSError(.identityMismatch)
    }
    let fits = secret.1.privateKeys.isConsistent(with: secret.1.tree)
    guard fits || secret.0 == .removed else { throw MLSError(.stateMismatch) }
    self.init(identity: identity, policy: policy, state: secret.1)
    (status, past, psks, proposals) = (secret.0, secret.2, secret.3, secret.4)
  }
}

/// The version of the saved form, with which each saved value begins.
enum StateFormat {
  static let current: UInt16 = 2

  /// Throws unless this build can read a saved value. Older ones were never released.
  static func require(_ saved: Secret) throws(MLSError) {
    guard saved.count >= 2 else { throw MLSError(.malformed) }
    guard saved.withBytes({ UInt16($0[0]) << 8 | UInt16($0[1]) }) == current else { throw MLSError(.stateVersion) }
  }
}

extension Group.Status: WireCodable {
  init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 0: self = .active
    case 1: self = .removed
    case 2: self = .reInitialised(try ReInit(from: &reader))
    default: throw WireError(.invalidValue)
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .active: writer.write(UInt8(0))
    case .removed: writer.write(UInt8(1))
    case .reInitialised(let parameters):
      writer.write(UInt8(2))
      writer.write(parameters)
    }
  }
}

extension EpochBase: WireCodable {
  init(from reader: inout Reader) throws(WireError) {
    groupID = try GroupID(from: &reader)
    epoch = try Epoch(from: &reader)
    confirmationTag = try reader.readVector(max: Bounds.hash)
  }

  func encode(into writer: inout Writer) {
    writer.write(groupID)
    writer.write(epoch)
    writer.writeVector(confirmationTag)
  }
}

extension EpochState {
  /// What changes with the epoch alone. The private keys of the tree are among it.
  struct Public: Sendable {
    let suite: Suite
    let context: GroupContext
    let tree: RatchetTree
    let privateKeys: TreePrivate
    let interimTranscriptHash: [UInt8]
    let confirmationTag: [UInt8]

    var base: EpochBase {
      EpochBase(groupID: context.groupID, epoch: context.epoch, confirmationTag: confirmationTag)
    }

    init(from reader: inout Reader) throws(WireError) {
      context = try GroupContext(from: &reader)
      do {
        suite = try CipherSuite.algorithms(of: context.cipherSuite)
        tree = try RatchetTree(suite: suite, nodes: RatchetTree.Nodes(from: &reader))
      } catch { throw WireError(.invalidValue) }
      privateKeys = try TreePrivate(from: &reader, suite)
      interimTranscriptHash = try reader.readVector(max: Bounds.hash)
      confirmationTag = try reader.readVector(max: Bounds.hash)
    }
  }

  func encodePublic(into writer: inout SecretWriter) {
    writer.write(context)
    writer.writePublic { tree.encode(into: &$0) }
    privateKeys.encode(into: &writer)
    writer.writeVector(interimTranscriptHash)
    writer.writeVector(confirmationTag)
  }

  /// What changes with each message.
  func encodeSecret(into writer: inout SecretWriter) {
    secrets.encode(into: &writer)
    secretTree.encode(into: &writer)
    exporterTree.encode(into: &writer)
  }

  init(_ known: Public, from reader: inout Reader) throws(WireError) {
    let keys = try EpochKeys(from: &reader)
    let secretTree = try SecretTree(from: &reader)
    let exporterTree = try ExporterTree(from: &reader)
    self.init(
      known.suite, context: known.context, tree: known.tree, privateKeys: known.privateKeys, keys: keys,
      secretTree: secretTree, exporterTree: exporterTree, interimTranscriptHash: known.interimTranscriptHash,
      confirmationTag: known.confirmationTag)
  }
}

extension PendingCommit {
  /// The commit with the new epoch's keys, to be stored sealed until the delivery service has answered.
  public func encodeState() -> Secret {
    var writer = SecretWriter()
    writer.write(StateFormat.current)
    writer.write(base)
    writer.writeVector(message)
    for optional in [welcome, groupInfo] {
      writer.write(optional != nil)
      if let optional { writer.writeVector(optional) }
    }
    writer.write(effects)
    next.encodePublic(into: &writer)
    next.encodeSecret(into: &writer)
    writer.write(identity)
    return writer.finish()
  }

  /// Restores a stored commit.
  /// - Throws: ``MLSError/Code/malformed`` if it is damaged; ``MLSError/Code/stateVersion``.
  public init(restoring saved: Secret) throws(MLSError) {
    try StateFormat.require(saved)
    let parts = try saved.decode { (reader) throws(WireError) in
      _ = try reader.readUInt16()
      let base = try EpochBase(from: &reader)
      let message = try reader.readVector()
      let welcome = try reader.readBool() ? try reader.readVector() : nil
      let groupInfo = try reader.readBool() ? try reader.readVector() : nil
      let effects = try CommitEffects(from: &reader)
      let known = try EpochState.Public(from: &reader)
      let next = try EpochState(known, from: &reader)
      return (base, message, welcome, groupInfo, effects, next, try reader.readIdentity())
    }
    (base, message, welcome, groupInfo, effects, next, identity) = parts
  }
}
