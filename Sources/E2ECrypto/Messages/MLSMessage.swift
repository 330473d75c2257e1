public import WireCodec

/// How a message travels (RFC 9420 section 6).
public enum WireFormat: UInt16, Sendable, WireCodable {
  case publicMessage = 1
  case privateMessage = 2
  case welcome = 3
  case groupInfo = 4
  case keyPackage = 5

  public init(from reader: inout Reader) throws(WireError) {
    guard let format = WireFormat(rawValue: try reader.readUInt16()) else { throw WireError(.invalidValue) }
    self = format
  }

  public func encode(into writer: inout Writer) { writer.write(rawValue) }
}

/// The outermost form of everything that MLS sends (RFC 9420 section 6).
enum MLSMessage: Hashable, Sendable, WireCodable {
  case publicMessage(PublicMessage)
  case privateMessage(PrivateMessage)
  case welcome(Welcome)
  case groupInfo(GroupInfo)
  case keyPackage(KeyPackage)

  var format: WireFormat {
    switch self {
    case .publicMessage: .publicMessage
    case .privateMessage: .privateMessage
    case .welcome: .welcome
    case .groupInfo: .groupInfo
    case .keyPackage: .keyPackage
    }
  }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == ProtocolVersion.mls10 else { throw WireError(.invalidValue) }
    switch try WireFormat(from: &reader) {
    case .publicMessage: self = .publicMessage(try PublicMessage(from: &reader))
    case .privateMessage: self = .privateMessage(try PrivateMessage(from: &reader))
    case .welcome: self = .welcome(try Welcome(from: &reader))
    case .groupInfo: self = .groupInfo(try GroupInfo(from: &reader))
    case .keyPackage:
      let keyPackage = try KeyPackage(from: &reader)
      guard keyPackage.version == ProtocolVersion.mls10 else { throw WireError(.invalidValue) }
      self = .keyPackage(keyPackage)
    }
  }

  func encode(into writer: inout Writer) {
    writer.write(ProtocolVersion.mls10)
    writer.write(format)
    switch self {
    case .publicMessage(let message): writer.write(message)
    case .privateMessage(let message): writer.write(message)
    case .welcome(let welcome): writer.write(welcome)
    case .groupInfo(let groupInfo): writer.write(groupInfo)
    case .keyPackage(let keyPackage): writer.write(keyPackage)
    }
  }
}

/// What can be read from the outside of a message, without any key.
public struct MessageHeader: Hashable, Sendable {
  public let format: WireFormat
  /// The group, for messages to a group.
  public let groupID: GroupID?
  /// The epoch in which the message was made, for messages to a group.
  public let epoch: Epoch?
  /// Whether it is application data rather than a proposal or commit.
  public let isApplication: Bool
  /// The key packages that a welcome is for, by reference.
  public let keyPackageReferences: [[UInt8]]

  /// Reads the header of an encoded MLSMessage. Nothing in it is authenticated.
  /// - Throws: ``MLSError/Code/malformed``.
  public init(of message: [UInt8]) throws(MLSError) {
    let decoded = try MLSMessage(strictly: message)
    format = decoded.format
    switch decoded {
    case .publicMessage(let message):
      (groupID, epoch, isApplication) = (message.content.groupID, message.content.epoch, false)
      keyPackageReferences = []
    case .privateMessage(let message):
      (groupID, epoch, isApplication) = (message.groupID, message.epoch, message.contentType == .application)
      keyPackageReferences = []
    case .welcome(let welcome):
      (groupID, epoch, isApplication) = (nil, nil, false)
      keyPackageReferences = welcome.secrets.map(\.newMember)
    case .groupInfo(let groupInfo):
      (groupID, epoch, isApplication) = (groupInfo.context.groupID, groupInfo.context.epoch, false)
      keyPackageReferences = []
    case .keyPackage:
      (groupID, epoch, isApplication) = (nil, nil, false)
      keyPackageReferences = []
    }
  }
}
