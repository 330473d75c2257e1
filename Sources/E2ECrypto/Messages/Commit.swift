import WireCodec

/// The proposals that lead to the next epoch, and the committer's new keys (RFC 9420 section 12.4).
struct Commit: Hashable, Sendable, WireCodable {
  let proposals: [ProposalOrRef]
  let path: UpdatePath?

  init(proposals: [ProposalOrRef], path: UpdatePath?) {
    self.proposals = proposals
    self.path = path
  }

  init(from reader: inout Reader) throws(WireError) {
    proposals = try reader.readList()
    path = try reader.readOptional()
  }

  func encode(into writer: inout Writer) {
    writer.writeList(proposals)
    writer.writeOptional(path)
  }
}

/// A proposal itself, or the hash of the message that brought it.
enum ProposalOrRef: Hashable, Sendable, WireCodable {
  case proposal(Proposal)
  case reference(ProposalRef)

  init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1: self = .proposal(try Proposal(from: &reader))
    case 2: self = .reference(try ProposalRef(from: &reader))
    default: throw WireError(.invalidValue)
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .proposal(let proposal):
      writer.write(UInt8(1))
      writer.write(proposal)
    case .reference(let reference):
      writer.write(UInt8(2))
      writer.write(reference)
    }
  }
}

/// A committer's new leaf, and the new keys above it for those who share them (RFC 9420 section 7.6).
struct UpdatePath: Hashable, Sendable, WireCodable {
  struct Node: Hashable, Sendable, WireCodable {
    let encryptionKey: [UInt8]
    let encryptedPathSecrets: [HPKECiphertext]

    init(encryptionKey: [UInt8], encryptedPathSecrets: [HPKECiphertext]) {
      self.encryptionKey = encryptionKey
      self.encryptedPathSecrets = encryptedPathSecrets
    }

    init(from reader: inout Reader) throws(WireError) {
      encryptionKey = try reader.readVector(max: Bounds.key)
      encryptedPathSecrets = try reader.readList()
    }

    func encode(into writer: inout Writer) {
      writer.writeVector(encryptionKey)
      writer.writeList(encryptedPathSecrets)
    }
  }

  let leafNode: LeafNode
  let nodes: [Node]

  init(leafNode: LeafNode, nodes: [Node]) {
    self.leafNode = leafNode
    self.nodes = nodes
  }

  init(from reader: inout Reader) throws(WireError) {
    leafNode = try LeafNode(from: &reader)
    nodes = try reader.readList()
  }

  func encode(into writer: inout Writer) {
    writer.write(leafNode)
    writer.writeList(nodes)
  }
}
