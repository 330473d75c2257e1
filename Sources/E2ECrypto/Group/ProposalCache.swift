import CryptoPrimitives
import WireCodec

/// The proposals received or sent in this epoch, for a commit to refer to.
struct ProposalCache: Sendable {
  struct Entry: Sendable {
    let reference: ProposalRef
    let proposal: Proposal
    let sender: Sender
    /// The key of an update that we sent ourselves.
    let ownLeafKey: HPKEPrivateKey?

    var sent: SentProposal { SentProposal(proposal: proposal, sender: sender, reference: reference) }
  }

  /// In the order of arrival.
  private(set) var entries: [Entry] = []

  var isEmpty: Bool { entries.isEmpty }

  func entry(_ reference: ProposalRef) -> Entry? { entries.first { $0.reference == reference } }

  mutating func insert(_ entry: Entry, limit: Int) throws(MLSError) {
    guard self.entry(entry.reference) == nil else { return }
    guard entries.count < limit else { throw MLSError(.outOfBounds) }
    entries.append(entry)
  }

  mutating func clear() { entries.removeAll() }

  /// The received proposals that can stand together in one commit of ours, later and stronger ones preferred
  /// (RFC 9420 section 12.2): removes before updates, the last update of a member, the last set of extensions, and a
  /// reinitialisation only alone.
  func selection(committer: LeafIndex, with own: [Proposal]) -> [Entry] {
    var taken: [Entry] = []
    var leaves: Set<LeafIndex> = []
    for case .remove(let leaf) in own { leaves.insert(leaf) }
    var addedKeys: Set<[UInt8]> = []
    for case .add(let keyPackage) in own { addedKeys.insert(keyPackage.leafNode.signatureKey) }
    var hasExtensions = own.contains { if case .groupContextExtensions = $0 { true } else { false } }
    var psks: Set<PreSharedKeyID> = []
    for entry in entries.reversed() {
      if case .remove(let leaf) = entry.proposal, leaf != committer, leaves.insert(leaf).inserted {
        taken.append(entry)
      }
    }
    for entry in entries.reversed() {
      switch entry.proposal {
      case .update:
        guard case .member(let leaf) = entry.sender, leaf != committer, leaves.insert(leaf).inserted else { continue }
      case .add(let keyPackage):
        guard addedKeys.insert(keyPackage.leafNode.signatureKey).inserted else { continue }
      case .preSharedKey(let id):
        guard psks.insert(id).inserted else { continue }
      case .groupContextExtensions:
        guard !hasExtensions else { continue }
        hasExtensions = true
      case .reInit, .remove, .externalInit: continue
      }
      taken.append(entry)
    }
    if taken.isEmpty, own.isEmpty {
      for entry in entries { if case .reInit = entry.proposal { return [entry] } }
    }
    return taken.reversed()
  }
}

extension ProposalCache {
  init(from reader: inout Reader, _ suite: Suite) throws(WireError) {
    for _ in 0..<(try reader.readCount()) {
      entries.append(
        Entry(
          reference: try ProposalRef(from: &reader), proposal: try Proposal(from: &reader),
          sender: try Sender(from: &reader),
          ownLeafKey: try reader.readBool() ? try reader.readPrivateKey(suite) : nil))
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.writeCount(entries.count)
    for entry in entries {
      writer.write(entry.reference)
      writer.write(entry.proposal)
      writer.write(entry.sender)
      writer.write(entry.ownLeafKey != nil)
      if let key = entry.ownLeafKey { writer.write(key) }
    }
  }
}
