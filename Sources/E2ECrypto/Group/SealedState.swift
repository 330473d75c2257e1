public import CryptoPrimitives
import WireCodec

/// State in the form in which it may lie on a disk: unreadable without its key, and bound to what it is and to whose.
///
/// A version number in the clear, then XChaCha20-Poly1305 with a random nonce over the state. The version, the kind of the
/// state and the name that it is kept under are covered by the seal, so that one value cannot stand for another. Each seal is
/// one value, hence whole or refused; that an old one is not put back is for the store to see to.
enum SealedState {
  /// What is sealed.
  enum Kind: UInt8 {
    case group = 1
    case pendingCommit = 2
    case keyPackage = 3
  }

  private static let version: UInt16 = 1
  private static let label = StaticString("Kin sealed state")
  /// A group's tree of the greatest size, with room for the rest.
  private static let maxSize = 2 * Bounds.tree

  private static func associatedData(_ kind: Kind, _ name: [UInt8]) -> [UInt8] {
    var writer = Writer(reserving: name.count + 32)
    writer.writeVector(label.bytes)
    writer.write(version)
    writer.write(kind.rawValue)
    writer.writeVector(name)
    return writer.bytes
  }

  static func seal(_ state: Secret, as kind: Kind, named name: [UInt8], key: Secret) throws(MLSError) -> [UInt8] {
    guard key.count == XChaCha20Poly1305.keySize, state.count <= maxSize else { throw MLSError(.outOfBounds) }
    do {
      return version.encoded
        + (try XChaCha20Poly1305.seal(key: key, associatedData: associatedData(kind, name), plaintext: state))
    } catch { throw MLSError(.fault) }
  }

  static func open(_ sealed: [UInt8], as kind: Kind, named name: [UInt8], key: Secret) throws(MLSError) -> Secret {
    guard key.count == XChaCha20Poly1305.keySize else { throw MLSError(.outOfBounds) }
    let prefix = version.encoded
    guard sealed.count >= prefix.count, sealed.count <= 2 * maxSize else { throw MLSError(.malformed) }
    guard sealed.starts(with: prefix) else { throw MLSError(.stateVersion) }
    do {
      return try XChaCha20Poly1305.openSecret(
        key: key, associatedData: associatedData(kind, name), sealed: Array(sealed.dropFirst(prefix.count)))
    } catch { throw MLSError(.decryptionFailed) }
  }
}

extension Group {
  /// The whole state in one sealed value, to be kept under the group's id.
  /// - Parameter key: 32 random bytes, or the outcome of a key derivation.
  /// - Throws: ``MLSError/Code/outOfBounds`` if the key has another length.
  public func seal(with key: Secret) throws(MLSError) -> [UInt8] {
    let state = encodeState()
    var writer = SecretWriter()
    writer.write(state.epochPart)
    writer.write(state.messagePart)
    return try SealedState.seal(writer.finish(), as: .group, named: groupID.bytes, key: key)
  }

  /// Restores what ``seal(with:)`` made.
  /// - Parameter groupID: the group that is expected: the state of another is refused.
  /// - Throws: ``MLSError/Code/decryptionFailed`` if the key or the group is another, or a byte was changed;
  ///   ``MLSError/Code/stateVersion`` if a newer version of this library sealed it; otherwise as ``init(restoring:identity:policy:)``.
  public init(
    opening sealed: [UInt8], key: Secret, groupID: GroupID, identity: ClientIdentity,
    policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) {
    let state = try SealedState.open(sealed, as: .group, named: groupID.bytes, key: key)
    let parts = try state.decode { (reader) throws(WireError) in
      GroupState(epochPart: try reader.readSecret(max: VarInt.max), messagePart: try reader.readSecret(max: VarInt.max))
    }
    try self.init(restoring: parts, identity: identity, policy: policy)
  }
}

extension PendingCommit {
  /// The commit with the new epoch's keys in one sealed value, to be kept under the group's id until the delivery service
  /// has answered.
  /// - Throws: as ``Group/seal(with:)``.
  public func seal(with key: Secret) throws(MLSError) -> [UInt8] {
    try SealedState.seal(encodeState(), as: .pendingCommit, named: base.groupID.bytes, key: key)
  }

  /// Restores what ``seal(with:)`` made.
  /// - Throws: as ``Group/init(opening:key:groupID:identity:policy:)``.
  public init(opening sealed: [UInt8], key: Secret, groupID: GroupID) throws(MLSError) {
    try self.init(restoring: SealedState.open(sealed, as: .pendingCommit, named: groupID.bytes, key: key))
  }
}

extension KeyPackageBundle {
  /// The bundle with its private keys in one sealed value, to be kept under the package's ``KeyPackage/reference()``.
  /// - Throws: as ``Group/seal(with:)``.
  public func seal(with key: Secret) throws(MLSError) -> [UInt8] {
    try SealedState.seal(encodeState(), as: .keyPackage, named: keyPackage.reference(), key: key)
  }

  /// Restores what ``seal(with:)`` made.
  /// - Throws: as ``Group/init(opening:key:groupID:identity:policy:)``.
  public init(opening sealed: [UInt8], key: Secret, reference: [UInt8]) throws(MLSError) {
    try self.init(restoring: SealedState.open(sealed, as: .keyPackage, named: reference, key: key))
  }
}
