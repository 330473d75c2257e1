public import CryptoPrimitives
public import WireCodec

/// What a client can do (RFC 9420 section 7.2). Types that every client knows are not listed.
public struct Capabilities: Hashable, Sendable, WireCodable {
  public var versions: [UInt16]
  public var cipherSuites: [UInt16]
  public var extensions: [UInt16]
  public var proposals: [UInt16]
  public var credentials: [UInt16]

  public init(
    cipherSuites: [UInt16] = CipherSuite.supported.map(\.rawValue), extensions: [UInt16] = [], proposals: [UInt16] = [],
    credentials: [UInt16] = [1]
  ) {
    versions = [ProtocolVersion.mls10]
    self.cipherSuites = cipherSuites
    self.extensions = extensions
    self.proposals = proposals
    self.credentials = credentials
  }

  public init(from reader: inout Reader) throws(WireError) {
    versions = try reader.readList(max: Bounds.capabilities)
    cipherSuites = try reader.readList(max: Bounds.capabilities)
    extensions = try reader.readList(max: Bounds.capabilities)
    proposals = try reader.readList(max: Bounds.capabilities)
    credentials = try reader.readList(max: Bounds.capabilities)
  }

  public func encode(into writer: inout Writer) {
    writer.writeList(versions)
    writer.writeList(cipherSuites)
    writer.writeList(extensions)
    writer.writeList(proposals)
    writer.writeList(credentials)
  }

  func supports(_ required: RequiredCapabilities) -> Bool {
    required.extensions.allSatisfy(supportsExtension) && required.proposals.allSatisfy(supportsProposal)
      && required.credentials.allSatisfy(credentials.contains)
  }

  func supportsExtension(_ type: UInt16) -> Bool { Extension.isDefault(type) || extensions.contains(type) }
  func supportsProposal(_ type: UInt16) -> Bool { Proposal.isDefault(type) || proposals.contains(type) }
}

/// The number of the protocol's version on the wire.
enum ProtocolVersion {
  static let mls10: UInt16 = 1
}

/// The times between which a key package may be used (RFC 9420 section 7.2).
public struct Lifetime: Hashable, Sendable, WireCodable {
  public let notBefore: Timestamp
  public let notAfter: Timestamp

  public init(notBefore: Timestamp, notAfter: Timestamp) {
    self.notBefore = notBefore
    self.notAfter = notAfter
  }

  public init(from reader: inout Reader) throws(WireError) {
    notBefore = try Timestamp(from: &reader)
    notAfter = try Timestamp(from: &reader)
  }

  public func encode(into writer: inout Writer) {
    writer.write(notBefore)
    writer.write(notAfter)
  }

  func contains(_ now: Timestamp) -> Bool { notBefore <= now && now <= notAfter }
}

/// All that the group knows of one member, signed by it (RFC 9420 section 7.2).
public struct LeafNode: Hashable, Sendable, WireCodable {
  /// How the leaf came to be.
  public enum Source: Hashable, Sendable {
    case keyPackage(Lifetime)
    case update
    case commit(parentHash: [UInt8])
  }

  public internal(set) var encryptionKey: [UInt8]
  public internal(set) var signatureKey: [UInt8]
  public internal(set) var credential: Credential
  public internal(set) var capabilities: Capabilities
  public internal(set) var source: Source
  public internal(set) var extensions: [Extension]
  var signature: [UInt8]

  init(
    encryptionKey: [UInt8], signatureKey: [UInt8], credential: Credential, capabilities: Capabilities,
    source: Source, extensions: [Extension]
  ) {
    self.encryptionKey = encryptionKey
    self.signatureKey = signatureKey
    self.credential = credential
    self.capabilities = capabilities
    self.source = source
    self.extensions = extensions
    signature = []
  }

  public init(from reader: inout Reader) throws(WireError) {
    encryptionKey = try reader.readVector(max: Bounds.key)
    signatureKey = try reader.readVector(max: Bounds.key)
    credential = try Credential(from: &reader)
    capabilities = try Capabilities(from: &reader)
    switch try reader.readUInt8() {
    case 1: source = .keyPackage(try Lifetime(from: &reader))
    case 2: source = .update
    case 3: source = .commit(parentHash: try reader.readVector(max: Bounds.hash))
    default: throw WireError(.invalidValue)
    }
    extensions = try reader.readList(max: Bounds.extensions)
    signature = try reader.readVector(max: Bounds.key)
  }

  public func encode(into writer: inout Writer) {
    encodeUnsigned(into: &writer)
    writer.writeVector(signature)
  }

  private func encodeUnsigned(into writer: inout Writer) {
    writer.writeVector(encryptionKey)
    writer.writeVector(signatureKey)
    writer.write(credential)
    writer.write(capabilities)
    switch source {
    case .keyPackage(let lifetime):
      writer.write(UInt8(1))
      writer.write(lifetime)
    case .update:
      writer.write(UInt8(2))
    case .commit(let parentHash):
      writer.write(UInt8(3))
      writer.writeVector(parentHash)
    }
    writer.writeList(extensions)
  }

  /// What the signature covers: LeafNodeTBS. The place is of use only to leaves made within a group.
  func encodeSigned(at place: LeafPlace?, into writer: inout Writer) {
    encodeUnsigned(into: &writer)
    if case .keyPackage = source { return }
    if let place {
      writer.write(place.groupID)
      writer.write(place.index)
    }
  }

  var parentHash: [UInt8]? {
    if case .commit(let parentHash) = source { parentHash } else { nil }
  }
}

/// Where a leaf stands: what its signature is bound to.
struct LeafPlace: Sendable {
  let groupID: GroupID
  let index: LeafIndex
}

/// An inner node of the tree: a key that all the members below it know, but for the unmerged ones (RFC 9420 section 7.1).
struct ParentNode: Hashable, Sendable, WireCodable {
  var encryptionKey: [UInt8]
  var parentHash: [UInt8]
  var unmergedLeaves: [LeafIndex]

  init(encryptionKey: [UInt8], parentHash: [UInt8], unmergedLeaves: [LeafIndex] = []) {
    self.encryptionKey = encryptionKey
    self.parentHash = parentHash
    self.unmergedLeaves = unmergedLeaves
  }

  init(from reader: inout Reader) throws(WireError) {
    encryptionKey = try reader.readVector(max: Bounds.key)
    parentHash = try reader.readVector(max: Bounds.hash)
    unmergedLeaves = try reader.readList(max: 4 * Bounds.leaves)
  }

  func encode(into writer: inout Writer) {
    writer.writeVector(encryptionKey)
    writer.writeVector(parentHash)
    writer.writeList(unmergedLeaves)
  }
}
