import CryptoPrimitives
import WireCodec

/// The proposals received or sent in this epoch, for a commit to refer to.
struct ProposalCache: Sendable {
  struct Entry: Sendable {
    let reference: ProposalRef
    let proposal: Proposal
    let sender: Sender
    /// The key of an update that we sent ourselves.
    var ownLeafKey: HPKEPrivateKey?
    /// Who we become by it, if another than before.
    var ownIdentity: ClientIdentity?

    var sent: SentProposal { SentProposal(proposal: proposal, sender: sender, reference: reference) }
  }

  /// In the order of arrival.
  private(set) var entries: [Entry] = []

  var isEmpty: Bool { entries.isEmpty }

  func entry(_ reference: ProposalRef) -> Entry? { entries.first { $0.reference == reference } }

  mutating func insert(_ entry: Entry, limit: Int) throws(MLSError) {
    guard self.entry(entry.reference) == nil else { return }
    guard entries.count < limit else { throw MLSError(.tooManyProposals) }
    entries.append(entry)
  }

  mutating func clear() { entries.removeAll() }

}

extension ProposalCache {
  init(from reader: inout Reader, _ suite: Suite) throws(WireError) {
    for _ in 0..<(try reader.readCount()) {
      entries.append(
        Entry(
          reference: try ProposalRef(from: &reader), proposal: try Proposal(from: &reader),
          sender: try Sender(from: &reader),
          ownLeafKey: try reader.readBool() ? try reader.readPrivateKey(suite) : nil,
          ownIdentity: try reader.readIdentity()))
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
      writer.write(entry.ownIdentity)
    }
  }
}
