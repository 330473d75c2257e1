import CryptoPrimitives
import WireCodec

/// The public state that all members agree on (RFC 9420 section 8.1).
struct GroupContext: Hashable, Sendable, WireCodable {
  var cipherSuite: UInt16
  var groupID: GroupID
  var epoch: Epoch
  var treeHash: [UInt8]
  var confirmedTranscriptHash: [UInt8]
  var extensions: [Extension]

  init(
    cipherSuite: UInt16, groupID: GroupID, epoch: Epoch, treeHash: [UInt8], confirmedTranscriptHash: [UInt8],
    extensions: [Extension]
  ) {
    self.cipherSuite = cipherSuite
    self.groupID = groupID
    self.epoch = epoch
    self.treeHash = treeHash
    self.confirmedTranscriptHash = confirmedTranscriptHash
    self.extensions = extensions
  }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == ProtocolVersion.mls10 else { throw WireError(.invalidValue) }
    cipherSuite = try reader.readUInt16()
    groupID = try GroupID(from: &reader)
    epoch = try Epoch(from: &reader)
    treeHash = try reader.readVector(max: Bounds.hash)
    confirmedTranscriptHash = try reader.readVector(max: Bounds.hash)
    extensions = try reader.readList(max: Bounds.extensions)
  }

  func encode(into writer: inout Writer) {
    writer.write(ProtocolVersion.mls10)
    writer.write(cipherSuite)
    writer.write(groupID)
    writer.write(epoch)
    writer.writeVector(treeHash)
    writer.writeVector(confirmedTranscriptHash)
    writer.writeList(extensions)
  }
}

/// A member's signed statement of the group's state, for those who join (RFC 9420 section 12.4.3).
struct GroupInfo: Hashable, Sendable, WireCodable {
  let context: GroupContext
  let extensions: [Extension]
  let confirmationTag: [UInt8]
  let signer: LeafIndex
  var signature: [UInt8]

  init(context: GroupContext, extensions: [Extension], confirmationTag: [UInt8], signer: LeafIndex) {
    self.context = context
    self.extensions = extensions
    self.confirmationTag = confirmationTag
    self.signer = signer
    signature = []
  }

  init(from reader: inout Reader) throws(WireError) {
    context = try GroupContext(from: &reader)
    // The ratchet tree is among them.
    extensions = try reader.readList(max: Bounds.tree)
    confirmationTag = try reader.readVector(max: Bounds.hash)
    signer = try LeafIndex(from: &reader)
    signature = try reader.readVector(max: Bounds.key)
  }

  func encode(into writer: inout Writer) {
    encodeSigned(into: &writer)
    writer.writeVector(signature)
  }

  /// What the signature covers: GroupInfoTBS.
  func encodeSigned(into writer: inout Writer) {
    writer.write(context)
    writer.writeList(extensions)
    writer.writeVector(confirmationTag)
    writer.write(signer)
  }
}

/// The key to which an external joiner seals its init secret (RFC 9420 section 12.4.3.2).
struct ExternalPub: Sendable, WireCodable {
  let key: [UInt8]

  init(key: [UInt8]) { self.key = key }
  init(from reader: inout Reader) throws(WireError) { key = try reader.readVector(max: Bounds.key) }
  func encode(into writer: inout Writer) { writer.writeVector(key) }
}
