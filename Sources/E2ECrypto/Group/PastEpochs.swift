import CryptoPrimitives
import WireCodec

/// What is kept of an epoch that is over, to read application messages that come late.
///
/// The tree is not among it: only those members are noted that the next commit changed or removed.
struct PastEpoch: Sendable {
  /// What a message's sender was then.
  struct Sender: Hashable, Sendable, WireCodable {
    let credential: Credential
    let signatureKey: [UInt8]

    init(_ leaf: LeafNode) {
      credential = leaf.credential
      signatureKey = leaf.signatureKey
    }

    init(from reader: inout Reader) throws(WireError) {
      credential = try Credential(from: &reader)
      signatureKey = try reader.readVector(max: Bounds.key)
    }

    func encode(into writer: inout Writer) {
      writer.write(credential)
      writer.writeVector(signatureKey)
    }
  }

  let epoch: Epoch
  let contextBytes: [UInt8]
  let ownLeaf: LeafIndex
  /// Leaves that were different in the epoch after, as they were in this one; none for a leaf that was blank.
  let differences: [LeafIndex: Sender?]
  let senderDataSecret: Secret
  var secretTree: SecretTree
}

/// The past epochs that are kept, oldest first.
struct PastEpochs: Sendable {
  private(set) var epochs: [PastEpoch] = []

  func position(of epoch: Epoch) -> Int? { epochs.firstIndex { $0.epoch == epoch } }

  /// Takes in the epoch that a merge ends; `changed` are the leaves that the commit adds, removes or replaces.
  mutating func append(_ old: EpochState, next: EpochState, changed: [LeafIndex], limit: Int) {
    guard limit > 0 else { return epochs.removeAll() }
    var secretTree = old.secretTree
    secretTree.retire(own: old.ownLeaf)
    var differences: [LeafIndex: PastEpoch.Sender?] = [:]
    for place in changed {
      let before = old.tree.leaf(place).map { PastEpoch.Sender($0) }
      let after = next.tree.leaf(place).map { PastEpoch.Sender($0) }
      if before != after { differences[place] = .some(before) }
    }
    epochs.append(
      PastEpoch(
        epoch: old.epoch, contextBytes: old.contextBytes, ownLeaf: old.ownLeaf, differences: differences,
        senderDataSecret: old.secrets.senderData, secretTree: secretTree))
    if epochs.count > limit { epochs.removeFirst(epochs.count - limit) }
  }

  /// Who stood at a leaf in a past epoch: the first difference from there on tells, or else the current tree.
  func sender(_ leaf: LeafIndex, in position: Int, current: RatchetTree) -> PastEpoch.Sender? {
    for epoch in epochs[position...] {
      if let difference = epoch.differences[leaf] { return difference }
    }
    return current.leaf(leaf).map { PastEpoch.Sender($0) }
  }

  /// Lends a key of a past epoch to `body`, which spends it by returning.
  mutating func withKey<Value>(
    _ suite: Suite, position: Int, sender: SenderData, limits: RatchetLimits,
    _ body: (consuming MessageKey) throws(MLSError) -> Value
  ) throws(MLSError) -> Value {
    try epochs[position].secretTree.withKey(
      suite, leaf: sender.leaf, handshake: false, generation: sender.generation, limits: limits, body)
  }
}

extension PastEpochs {
  /// The public half, which changes with the epoch only.
  func encodePublic(into writer: inout SecretWriter) {
    writer.writeCount(epochs.count)
    for epoch in epochs {
      writer.write(epoch.epoch)
      writer.writeVector(epoch.contextBytes)
      writer.write(epoch.ownLeaf)
      writer.writeCount(epoch.differences.count)
      for leaf in epoch.differences.keys.sorted() {
        writer.write(leaf)
        writer.writePublic { writer in writer.writeOptional(epoch.differences[leaf].flatMap { $0 }) }
      }
    }
  }

  /// The secret half, which changes with each message.
  func encodeSecret(into writer: inout SecretWriter) {
    writer.writeCount(epochs.count)
    for epoch in epochs {
      writer.write(epoch.epoch)
      writer.write(epoch.senderDataSecret)
      epoch.secretTree.encode(into: &writer)
    }
  }

  struct Public: Sendable {
    var epochs: [(epoch: Epoch, context: [UInt8], ownLeaf: LeafIndex, differences: [LeafIndex: PastEpoch.Sender?])] = []

    init(from reader: inout Reader) throws(WireError) {
      for _ in 0..<(try reader.readCount()) {
        let epoch = try Epoch(from: &reader)
        let context = try reader.readVector()
        let ownLeaf = try LeafIndex(from: &reader)
        var differences: [LeafIndex: PastEpoch.Sender?] = [:]
        for _ in 0..<(try reader.readCount()) {
          let leaf = try LeafIndex(from: &reader)
          let sender: PastEpoch.Sender? = try reader.readOptional()
          differences[leaf] = .some(sender)
        }
        epochs.append((epoch, context, ownLeaf, differences))
      }
    }
  }

  init(_ known: Public, from reader: inout Reader) throws(WireError) {
    guard try reader.readCount() == known.epochs.count else { throw WireError(.invalidValue) }
    for entry in known.epochs {
      guard try Epoch(from: &reader) == entry.epoch else { throw WireError(.invalidValue) }
      epochs.append(
        PastEpoch(
          epoch: entry.epoch, contextBytes: entry.context, ownLeaf: entry.ownLeaf, differences: entry.differences,
          senderDataSecret: try reader.readSecret(max: Bounds.hash), secretTree: try SecretTree(from: &reader)))
    }
  }
}
