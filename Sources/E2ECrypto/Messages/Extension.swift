public import WireCodec

/// An extension: a type and bytes that only those who know the type read (RFC 9420 section 13.4).
public struct Extension: Hashable, Sendable, WireCodable {
  public let type: UInt16
  public let data: [UInt8]

  public init(type: UInt16, data: [UInt8]) {
    self.type = type
    self.data = data
  }

  public init(from reader: inout Reader) throws(WireError) {
    type = try reader.readUInt16()
    data = try reader.readVector(max: Bounds.tree)
  }

  public func encode(into writer: inout Writer) {
    writer.write(type)
    writer.writeVector(data)
  }
}

extension Extension {
  public static let applicationIDType: UInt16 = 1
  public static let ratchetTreeType: UInt16 = 2
  public static let requiredCapabilitiesType: UInt16 = 3
  public static let externalPubType: UInt16 = 4
  public static let externalSendersType: UInt16 = 5
  /// By draft-ietf-mls-extensions, which suggests the number.
  public static let appDataDictionaryType: UInt16 = 6
  public static let lastResortType: UInt16 = 10

  /// The types that every client knows, so that they are listed nowhere (RFC 9420 section 7.2).
  static func isDefault(_ type: UInt16) -> Bool { (1...5).contains(type) }

  /// Marks a key package that may be used more than once (RFC 9420 section 16.8 as extended by the MLS extensions draft).
  public static let lastResort = Extension(type: lastResortType, data: [])

  /// What all members of a group must support.
  public static func requiredCapabilities(_ required: RequiredCapabilities) -> Extension {
    Extension(type: requiredCapabilitiesType, data: required.encoded)
  }

  /// Who may send proposals from outside the group.
  public static func externalSenders(_ senders: [ExternalSender]) -> Extension {
    var writer = Writer()
    writer.writeList(senders)
    return Extension(type: externalSendersType, data: writer.bytes)
  }
}

/// What all members of a group must support (RFC 9420 section 11.1).
public struct RequiredCapabilities: Hashable, Sendable, WireCodable {
  public var extensions: [UInt16]
  public var proposals: [UInt16]
  public var credentials: [UInt16]

  public init(extensions: [UInt16] = [], proposals: [UInt16] = [], credentials: [UInt16] = []) {
    self.extensions = extensions
    self.proposals = proposals
    self.credentials = credentials
  }

  public init(from reader: inout Reader) throws(WireError) {
    extensions = try reader.readList(max: Bounds.capabilities)
    proposals = try reader.readList(max: Bounds.capabilities)
    credentials = try reader.readList(max: Bounds.capabilities)
  }

  public func encode(into writer: inout Writer) {
    writer.writeList(extensions)
    writer.writeList(proposals)
    writer.writeList(credentials)
  }
}

/// One who may send proposals without being a member (RFC 9420 section 12.1.8.1).
public struct ExternalSender: Hashable, Sendable, WireCodable {
  public let signatureKey: [UInt8]
  public let credential: Credential

  public init(signatureKey: [UInt8], credential: Credential) {
    self.signatureKey = signatureKey
    self.credential = credential
  }

  public init(from reader: inout Reader) throws(WireError) {
    signatureKey = try reader.readVector(max: Bounds.key)
    credential = try Credential(from: &reader)
  }

  public func encode(into writer: inout Writer) {
    writer.writeVector(signatureKey)
    writer.write(credential)
  }
}

extension [Extension] {
  /// The extension of a type, if the list has it.
  public subscript(type type: UInt16) -> Extension? { first { $0.type == type } }

  var hasRepeatedTypes: Bool { Set(map(\.type)).count != count }

  /// The required capabilities in the list.
  func requiredCapabilities() throws(MLSError) -> RequiredCapabilities? {
    guard let found = self[type: Extension.requiredCapabilitiesType] else { return nil }
    return try RequiredCapabilities(strictly: found.data)
  }

  /// The external senders in the list.
  func externalSenders() throws(MLSError) -> [ExternalSender] {
    guard let found = self[type: Extension.externalSendersType] else { return [] }
    var reader = Reader(found.data)
    do {
      let senders: [ExternalSender] = try reader.readList()
      try reader.finish()
      return senders
    } catch { throw MLSError(.malformed) }
  }
}

extension WireCodable {
  /// Reads a value that fills `bytes` exactly, with this room's error.
  init(strictly bytes: [UInt8], file: StaticString = #fileID, line: UInt = #line) throws(MLSError) {
    do { try self.init(decoding: bytes) } catch { throw MLSError(reading: error, file: file, line: line) }
  }
}

extension MLSError {
  /// What a failed decoding means: a value of a type with another form than ours is not the sender's mistake.
  init(reading error: WireError, file: StaticString = #fileID, line: UInt = #line) {
    self.init(error.code == .unknownType ? .unsupported : .malformed, file: file, line: line)
  }
}
