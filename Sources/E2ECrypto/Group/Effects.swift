public import WireCodec

/// A member as the tree has it.
public struct Member: Hashable, Sendable, WireCodable {
  public let leafIndex: LeafIndex
  /// All that the member has signed of itself.
  public let leafNode: LeafNode

  init(leafIndex: LeafIndex, leafNode: LeafNode) {
    self.leafIndex = leafIndex
    self.leafNode = leafNode
  }

  public var credential: Credential { leafNode.credential }
  public var signatureKey: [UInt8] { leafNode.signatureKey }
  public var capabilities: Capabilities { leafNode.capabilities }
  public var extensions: [Extension] { leafNode.extensions }

  public init(from reader: inout Reader) throws(WireError) {
    leafIndex = try LeafIndex(from: &reader)
    leafNode = try LeafNode(from: &reader)
  }

  public func encode(into writer: inout Writer) {
    writer.write(leafIndex)
    writer.write(leafNode)
  }
}

/// Who made a commit or proposal.
public enum HandshakeSender: Hashable, Sendable {
  /// A member, as it was before the commit.
  case member(Member)
  /// One who joins by an external commit, as it will be; or who proposes to be added.
  case newMember(LeafNode)
  /// An entry of the external_senders extension.
  case external(index: UInt32, ExternalSender)

  public var credential: Credential {
    switch self {
    case .member(let member): member.credential
    case .newMember(let leafNode): leafNode.credential
    case .external(_, let sender): sender.credential
    }
  }
}

/// What a commit changes. Nothing of it holds before the merge: the application looks at it first, and drops the commit
/// if its sender was not entitled to it.
public struct CommitEffects: Hashable, Sendable {
  /// A member whose leaf changes.
  public struct Update: Hashable, Sendable {
    public let before: Member
    public let after: Member
    public var changesCredential: Bool { before.credential != after.credential }
    public var changesSignatureKey: Bool { before.signatureKey != after.signatureKey }
  }

  /// The group's extensions before and after.
  public struct ExtensionsChange: Hashable, Sendable {
    public let before: [Extension]
    public let after: [Extension]
  }

  public internal(set) var sender: HandshakeSender
  /// The epoch that the commit begins.
  public internal(set) var epoch: Epoch
  /// Who enters, an external joiner included.
  public internal(set) var added: [Member] = []
  /// Who leaves. An external joiner may remove one leaf as its old self, and nothing but the application can tell whether
  /// it was: compare the credentials (RFC 9420 section 12.2).
  public internal(set) var removed: [Member] = []
  /// Whose leaf changes, the committer's own included if the commit has a path.
  public internal(set) var updated: [Update] = []
  public internal(set) var extensionsChanged: ExtensionsChange?
  public internal(set) var preSharedKeys: [PreSharedKeyID] = []
  /// The group ends with this commit, to be followed by another.
  public internal(set) var reInit: ReInit?
  /// This client is among the removed: after the merge the group is inactive.
  public internal(set) var removesSelf = false
  /// The proposals that the commit covers, each with who proposed it.
  public internal(set) var proposals: [Item] = []

  /// A proposal of the commit.
  public struct Item: Hashable, Sendable {
    public let proposal: Proposal
    public let sender: HandshakeSender
    /// Whether it was sent before the commit, perhaps by another than the committer.
    public let isByReference: Bool
  }

  init(sender: HandshakeSender, epoch: Epoch) {
    self.sender = sender
    self.epoch = epoch
  }

  /// The places where somebody else stands after the commit, or the same one with another leaf.
  var changedLeaves: [LeafIndex] {
    added.map(\.leafIndex) + removed.map(\.leafIndex) + updated.map(\.before.leafIndex)
  }
}

/// What joining a group means: the application looks at it before ``PendingJoin/adopt()``.
public struct JoinEffects: Hashable, Sendable {
  public let groupID: GroupID
  public let epoch: Epoch
  /// All members, this client included.
  public let members: [Member]
  public let ownLeafIndex: LeafIndex
  /// Who sent the welcome.
  public let sender: Member
  /// The group's extensions.
  public let extensions: [Extension]
  /// Extensions of the group info itself, the ratchet tree left out.
  public let groupInfoExtensions: [Extension]
}

extension HandshakeSender: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 0: self = .member(try Member(from: &reader))
    case 1: self = .newMember(try LeafNode(from: &reader))
    case 2: self = .external(index: try reader.readUInt32(), try ExternalSender(from: &reader))
    default: throw WireError(.invalidValue)
    }
  }

  public func encode(into writer: inout Writer) {
    switch self {
    case .member(let member):
      writer.write(UInt8(0))
      writer.write(member)
    case .newMember(let leafNode):
      writer.write(UInt8(1))
      writer.write(leafNode)
    case .external(let index, let sender):
      writer.write(UInt8(2))
      writer.write(index)
      writer.write(sender)
    }
  }
}

extension CommitEffects: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    sender = try HandshakeSender(from: &reader)
    epoch = try Epoch(from: &reader)
    added = try reader.readList()
    removed = try reader.readList()
    updated = try reader.readList()
    extensionsChanged = try reader.readOptional()
    preSharedKeys = try reader.readList()
    reInit = try reader.readOptional()
    removesSelf = try reader.readBool()
    proposals = try reader.readList()
  }

  public func encode(into writer: inout Writer) {
    writer.write(sender)
    writer.write(epoch)
    writer.writeList(added)
    writer.writeList(removed)
    writer.writeList(updated)
    writer.writeOptional(extensionsChanged)
    writer.writeList(preSharedKeys)
    writer.writeOptional(reInit)
    writer.write(UInt8(removesSelf ? 1 : 0))
    writer.writeList(proposals)
  }
}

extension CommitEffects.Update: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    before = try Member(from: &reader)
    after = try Member(from: &reader)
  }

  public func encode(into writer: inout Writer) {
    writer.write(before)
    writer.write(after)
  }
}

extension CommitEffects.ExtensionsChange: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    before = try reader.readList(max: Bounds.extensions)
    after = try reader.readList(max: Bounds.extensions)
  }

  public func encode(into writer: inout Writer) {
    writer.writeList(before)
    writer.writeList(after)
  }
}

extension CommitEffects.Item: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    proposal = try Proposal(from: &reader)
    sender = try HandshakeSender(from: &reader)
    isByReference = try reader.readBool()
  }

  public func encode(into writer: inout Writer) {
    writer.write(proposal)
    writer.write(sender)
    writer.write(UInt8(isByReference ? 1 : 0))
  }
}
