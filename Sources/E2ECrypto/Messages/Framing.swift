import WireCodec

/// What kind of thing a message carries (RFC 9420 section 6).
enum ContentType: UInt8, Sendable, WireCodable {
  case application = 1
  case proposal = 2
  case commit = 3

  init(from reader: inout Reader) throws(WireError) {
    guard let type = ContentType(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
    self = type
  }

  func encode(into writer: inout Writer) { writer.write(rawValue) }
}

/// Who sends a message (RFC 9420 section 6).
enum Sender: Hashable, Sendable, WireCodable {
  case member(LeafIndex)
  case external(UInt32)
  case newMemberProposal
  case newMemberCommit

  init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1: self = .member(try LeafIndex(from: &reader))
    case 2: self = .external(try reader.readUInt32())
    case 3: self = .newMemberProposal
    case 4: self = .newMemberCommit
    default: throw WireError(.invalidValue)
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .member(let leaf):
      writer.write(UInt8(1))
      writer.write(leaf)
    case .external(let index):
      writer.write(UInt8(2))
      writer.write(index)
    case .newMemberProposal: writer.write(UInt8(3))
    case .newMemberCommit: writer.write(UInt8(4))
    }
  }

  /// Whether signatures of this sender cover the group's context.
  var signsContext: Bool {
    switch self {
    case .member, .newMemberCommit: true
    case .external, .newMemberProposal: false
    }
  }
}

/// The message itself.
enum Content: Hashable, Sendable {
  case application([UInt8])
  case proposal(Proposal)
  case commit(Commit)

  var type: ContentType {
    switch self {
    case .application: .application
    case .proposal: .proposal
    case .commit: .commit
    }
  }

  /// About how many bytes this takes: exact where much can depend on it.
  var roughSize: Int {
    if case .application(let data) = self { data.count + 4 } else { 512 }
  }

  init(_ type: ContentType, from reader: inout Reader) throws(WireError) {
    switch type {
    case .application: self = .application(try reader.readVector(max: Bounds.message))
    case .proposal: self = .proposal(try Proposal(from: &reader))
    case .commit: self = .commit(try Commit(from: &reader))
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .application(let data): writer.writeVector(data)
    case .proposal(let proposal): writer.write(proposal)
    case .commit(let commit): writer.write(commit)
    }
  }
}

/// A message with its place and sender (RFC 9420 section 6).
struct FramedContent: Hashable, Sendable, WireCodable {
  let groupID: GroupID
  let epoch: Epoch
  let sender: Sender
  let authenticatedData: [UInt8]
  let content: Content

  init(groupID: GroupID, epoch: Epoch, sender: Sender, authenticatedData: [UInt8], content: Content) {
    self.groupID = groupID
    self.epoch = epoch
    self.sender = sender
    self.authenticatedData = authenticatedData
    self.content = content
  }

  init(from reader: inout Reader) throws(WireError) {
    groupID = try GroupID(from: &reader)
    epoch = try Epoch(from: &reader)
    sender = try Sender(from: &reader)
    authenticatedData = try reader.readVector(max: Bounds.authenticatedData)
    content = try Content(try ContentType(from: &reader), from: &reader)
  }

  func encode(into writer: inout Writer) {
    writer.write(groupID)
    writer.write(epoch)
    writer.write(sender)
    writer.writeVector(authenticatedData)
    writer.write(content.type)
    content.encode(into: &writer)
  }

  /// About how many bytes this takes, so that a buffer for it need not grow.
  var roughSize: Int { authenticatedData.count + content.roughSize + 64 }

  /// What the signature covers: FramedContentTBS. `context` is the encoded group context of the message's epoch.
  func encodeSigned(as format: WireFormat, context: [UInt8], into writer: inout Writer) {
    writer.write(ProtocolVersion.mls10)
    writer.write(format)
    encode(into: &writer)
    if sender.signsContext { writer.writeBytes(context) }
  }
}

/// The signature, and of a commit the confirmation tag (RFC 9420 section 6.1).
struct FramedContentAuthData: Hashable, Sendable {
  var signature: [UInt8]
  var confirmationTag: [UInt8]?

  init(signature: [UInt8], confirmationTag: [UInt8]?) {
    self.signature = signature
    self.confirmationTag = confirmationTag
  }

  init(_ type: ContentType, from reader: inout Reader) throws(WireError) {
    signature = try reader.readVector(max: Bounds.key)
    confirmationTag = type == .commit ? try reader.readVector(max: Bounds.hash) : nil
  }

  func encode(into writer: inout Writer) {
    writer.writeVector(signature)
    if let confirmationTag { writer.writeVector(confirmationTag) }
  }
}

/// A message with all that makes it believable (RFC 9420 section 6).
struct AuthenticatedContent: Hashable, Sendable, WireCodable {
  let format: WireFormat
  let content: FramedContent
  var auth: FramedContentAuthData

  init(format: WireFormat, content: FramedContent, auth: FramedContentAuthData) {
    self.format = format
    self.content = content
    self.auth = auth
  }

  init(from reader: inout Reader) throws(WireError) {
    format = try WireFormat(from: &reader)
    content = try FramedContent(from: &reader)
    auth = try FramedContentAuthData(content.content.type, from: &reader)
  }

  func encode(into writer: inout Writer) {
    writer.write(format)
    writer.write(content)
    auth.encode(into: &writer)
  }
}
