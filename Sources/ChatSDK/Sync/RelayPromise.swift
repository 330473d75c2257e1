import RelayProtocol
import WireCodec

/// The relay's word that a message of this device stands at a place of the log.
struct RelayPromise: Hashable, WireCodable {
  /// Of those that the log has not shown yet, in one room.
  static let kept = 64

  var sequence: UInt64
  /// SHA-256 of the ciphertext.
  var hash: [UInt8]
  var message: [UInt8]

  init(sequence: UInt64, hash: [UInt8], message: Message.ID) {
    (self.sequence, self.hash, self.message) = (sequence, hash, message.bytes)
  }

  init(from reader: inout Reader) throws(WireError) {
    sequence = try reader.readUInt64()
    hash = try reader.readVector(max: 64)
    message = try reader.readVector(max: 64)
  }

  func encode(into writer: inout Writer) {
    writer.write(sequence)
    writer.writeVector(hash)
    writer.writeVector(message)
  }
}

/// A commit that this device has followed: another one for the same epoch leads elsewhere.
struct FollowedCommit: Hashable, WireCodable {
  static let kept = 16

  var epoch: UInt64
  var hash: [UInt8]

  init(epoch: UInt64, hash: [UInt8]) { (self.epoch, self.hash) = (epoch, hash) }

  init(from reader: inout Reader) throws(WireError) {
    epoch = try reader.readUInt64()
    hash = try reader.readVector(max: 64)
  }

  func encode(into writer: inout Writer) {
    writer.write(epoch)
    writer.writeVector(hash)
  }
}
