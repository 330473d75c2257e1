public import WireCodec

/// A change to the group (RFC 9420 section 12.1).
public enum Proposal: Hashable, Sendable, WireCodable {
  case add(KeyPackage)
  /// Made by ``Group/proposeUpdate(authenticatedData:)``, never by the application.
  case update(LeafNode)
  case remove(LeafIndex)
  case preSharedKey(PreSharedKeyID)
  case reInit(ReInit)
  /// Made for an external commit, never by the application.
  case externalInit(kemOutput: [UInt8])
  case groupContextExtensions([Extension])
  /// A change to one component's data in the group context.
  case appDataUpdate(AppDataUpdate)
  /// Data that a component attaches to the commit.
  case appEphemeral(AppEphemeral)
  /// The sender leaves. Made by ``Group/proposeSelfRemove(authenticatedData:)``.
  case selfRemove
  /// A proposal of a type that the application has declared in its ``GroupPolicy/customProposals``. One of a type that
  /// it has not declared is read too, and then refused.
  case custom(type: UInt16, data: [UInt8])

  /// The number of the proposal's type in the IANA registry.
  public var type: UInt16 {
    switch self {
    case .add: 1
    case .update: 2
    case .remove: 3
    case .preSharedKey: 4
    case .reInit: 5
    case .externalInit: 6
    case .groupContextExtensions: 7
    case .appDataUpdate: Self.appDataUpdateType
    case .appEphemeral: Self.appEphemeralType
    case .selfRemove: Self.selfRemoveType
    case .custom(let type, _): type
    }
  }

  /// The types that every client knows, so that they are listed nowhere (RFC 9420 section 7.2).
  static func isDefault(_ type: UInt16) -> Bool { (1...7).contains(type) }

  /// The types beyond RFC 9420, to be listed in the capabilities of whoever supports them.
  public static let appDataUpdateType: UInt16 = 8
  public static let appEphemeralType: UInt16 = 9
  public static let selfRemoveType: UInt16 = 10

  /// The types that have a form of their own here, and zero, which is nobody's.
  static func isBuiltIn(_ type: UInt16) -> Bool { (0...10).contains(type) }

  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt16() {
    case 1: self = .add(try KeyPackage(from: &reader))
    case 2: self = .update(try LeafNode(from: &reader))
    case 3: self = .remove(try LeafIndex(from: &reader))
    case 4: self = .preSharedKey(try PreSharedKeyID(from: &reader))
    case 5: self = .reInit(try ReInit(from: &reader))
    case 6: self = .externalInit(kemOutput: try reader.readVector(max: Bounds.key))
    case 7: self = .groupContextExtensions(try reader.readList(max: Bounds.extensions))
    case 8: self = .appDataUpdate(try AppDataUpdate(from: &reader))
    case 9: self = .appEphemeral(try AppEphemeral(from: &reader))
    case 10: self = .selfRemove
    case let type: self = .custom(type: type, data: try reader.readUnknownBody(max: Bounds.customProposal))
    }
  }

  public func encode(into writer: inout Writer) {
    writer.write(type)
    switch self {
    case .add(let keyPackage): writer.write(keyPackage)
    case .update(let leafNode): writer.write(leafNode)
    case .remove(let leaf): writer.write(leaf)
    case .preSharedKey(let id): writer.write(id)
    case .reInit(let reInit): writer.write(reInit)
    case .externalInit(let kemOutput): writer.writeVector(kemOutput)
    case .groupContextExtensions(let extensions): writer.writeList(extensions)
    case .appDataUpdate(let update): writer.write(update)
    case .appEphemeral(let ephemeral): writer.write(ephemeral)
    case .selfRemove: break
    case .custom(_, let data): writer.writeVector(data)
    }
  }
}

/// The parameters of the group that is to follow this one (RFC 9420 section 12.1.5).
public struct ReInit: Hashable, Sendable, WireCodable {
  public let groupID: GroupID
  public let version: UInt16
  public let cipherSuite: UInt16
  public let extensions: [Extension]

  public init(groupID: GroupID, cipherSuite: UInt16, extensions: [Extension]) {
    self.groupID = groupID
    version = ProtocolVersion.mls10
    self.cipherSuite = cipherSuite
    self.extensions = extensions
  }

  public init(from reader: inout Reader) throws(WireError) {
    groupID = try GroupID(from: &reader)
    version = try reader.readUInt16()
    cipherSuite = try reader.readUInt16()
    extensions = try reader.readList(max: Bounds.extensions)
  }

  public func encode(into writer: inout Writer) {
    writer.write(groupID)
    writer.write(version)
    writer.write(cipherSuite)
    writer.writeList(extensions)
  }
}

/// The name of a key that is known from elsewhere (RFC 9420 section 8.4).
public struct PreSharedKeyID: Hashable, Sendable, WireCodable {
  /// Why a resumption key is brought in.
  public enum Usage: UInt8, Hashable, Sendable {
    case application = 1
    case reInit = 2
    case branch = 3
  }

  /// Where the key comes from.
  public enum Source: Hashable, Sendable {
    /// The application gave it.
    case external(id: [UInt8])
    /// It is an earlier epoch's resumption secret.
    case resumption(usage: Usage, groupID: GroupID, epoch: Epoch)
  }

  public let source: Source
  let nonce: [UInt8]

  init(source: Source, nonce: [UInt8]) {
    self.source = source
    self.nonce = nonce
  }

  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1: source = .external(id: try reader.readVector(max: Bounds.identity))
    case 2:
      guard let usage = Usage(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
      source = .resumption(
        usage: usage, groupID: try GroupID(from: &reader), epoch: try Epoch(from: &reader))
    default: throw WireError(.invalidValue)
    }
    nonce = try reader.readVector(max: Bounds.hash)
  }

  public func encode(into writer: inout Writer) {
    switch source {
    case .external(let id):
      writer.write(UInt8(1))
      writer.writeVector(id)
    case .resumption(let usage, let groupID, let epoch):
      writer.write(UInt8(2))
      writer.write(usage.rawValue)
      writer.write(groupID)
      writer.write(epoch)
    }
    writer.writeVector(nonce)
  }
}
