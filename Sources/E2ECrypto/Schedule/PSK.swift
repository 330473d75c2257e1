public import CryptoPrimitives
import WireCodec

/// A key that the application brings into a group, under a name that all members know it by (RFC 9420 section 8.4).
public struct ExternalPSK: Sendable {
  public let id: [UInt8]
  public let secret: Secret

  public init(id: [UInt8], secret: Secret) {
    self.id = id
    self.secret = secret
  }
}

/// The secret of one epoch of one group, by which members prove in another that they were there (RFC 9420 section 8.6).
public struct ResumptionPSK: Sendable {
  public let groupID: GroupID
  public let epoch: Epoch
  public let secret: Secret

  public init(groupID: GroupID, epoch: Epoch, secret: Secret) {
    self.groupID = groupID
    self.epoch = epoch
    self.secret = secret
  }
}

enum PSKSecret {
  /// The one secret that a list of pre-shared keys makes, zero for none (RFC 9420 section 8.4).
  static func combine(_ suite: Suite, _ psks: [(id: PreSharedKeyID, secret: Secret)]) throws(MLSError) -> Secret {
    guard let count = UInt16(exactly: psks.count) else { throw MLSError(.outOfBounds) }
    var combined = suite.zeroSecret
    for (position, psk) in psks.enumerated() {
      var label = Writer()
      label.write(psk.id)
      label.write(UInt16(truncatingIfNeeded: position))
      label.write(count)
      let extracted = suite.extract(salt: suite.zeroSecret, psk.secret)
      let input = try suite.expandWithLabel(
        extracted, "derived psk", context: label.bytes, length: suite.hashSize)
      combined = suite.extract(salt: input, combined)
    }
    return combined
  }
}

/// The pre-shared keys that a group knows: the application's, and the resumption secrets of recent epochs.
struct PSKStore: Sendable {
  var external: [[UInt8]: Secret] = [:]
  /// Oldest first.
  private(set) var resumption: [(groupID: GroupID, epoch: Epoch, secret: Secret)] = []
  /// The secret of the group that this one follows. It is there while the group begins, and is never saved.
  var origin: ResumptionPSK?

  init() {}

  /// What a client has that joins a group.
  init(external: [ExternalPSK], resumption: [ResumptionPSK]) {
    for psk in external { self.external[psk.id] = psk.secret }
    self.resumption = resumption.map { ($0.groupID, $0.epoch, $0.secret) }
  }

  mutating func remember(_ groupID: GroupID, _ epoch: Epoch, _ secret: Secret, limit: Int) {
    resumption.append((groupID, epoch, secret))
    if resumption.count > limit { resumption.removeFirst(resumption.count - limit) }
  }

  func secret(for id: PreSharedKeyID) throws(MLSError) -> Secret {
    switch id.source {
    case .external(let name):
      guard let secret = external[name] else { throw MLSError(.unknownPSK) }
      return secret
    case .resumption(.reInit, let groupID, let epoch), .resumption(.branch, let groupID, let epoch):
      guard let origin, origin.groupID == groupID, origin.epoch == epoch else { throw MLSError(.unknownPSK) }
      return origin.secret
    case .resumption(.application, let groupID, let epoch):
      guard let found = resumption.last(where: { $0.groupID == groupID && $0.epoch == epoch }) else {
        throw MLSError(.unknownPSK)
      }
      return found.secret
    }
  }

  func combine(_ suite: Suite, _ ids: [PreSharedKeyID]) throws(MLSError) -> Secret {
    var psks: [(id: PreSharedKeyID, secret: Secret)] = []
    for id in ids { psks.append((id, try secret(for: id))) }
    return try PSKSecret.combine(suite, psks)
  }
}

extension PSKStore {
  init(from reader: inout Reader) throws(WireError) {
    for _ in 0..<(try reader.readCount()) {
      external[try reader.readVector(max: Bounds.identity)] = try reader.readSecret(max: Bounds.key)
    }
    for _ in 0..<(try reader.readCount()) {
      let groupID = try GroupID(from: &reader)
      let epoch = try Epoch(from: &reader)
      resumption.append((groupID, epoch, try reader.readSecret(max: Bounds.hash)))
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.writeCount(external.count)
    for id in external.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      guard let secret = external[id] else { continue }
      writer.writeVector(id)
      writer.write(secret)
    }
    writer.writeCount(resumption.count)
    for entry in resumption {
      writer.write(entry.groupID)
      writer.write(entry.epoch)
      writer.write(entry.secret)
    }
  }
}
