import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

/// Why somebody may commit from outside: it stands, signed, beside the external commit.
enum JoinAuthority: Hashable, WireCodable {
  /// The holder of an invite link, by the link's own signature.
  case invite(InviteID, signature: [UInt8])
  /// A member's device that comes back, by a code under the room's re-entry secret.
  case reentry(code: [UInt8])

  init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1: self = .invite(try InviteID(from: &reader), signature: try reader.readVector(max: 64))
    case 2: self = .reentry(code: try reader.readVector(max: 32))
    default: throw WireError(.invalidValue)
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .invite(let id, let signature):
      writer.write(UInt8(1))
      writer.write(id)
      writer.writeVector(signature)
    case .reentry(let code):
      writer.write(UInt8(2))
      writer.writeVector(code)
    }
  }

  /// What is signed: that this device comes into this room at the end of this epoch. It is good for nothing else.
  private static func bytes(_ label: String, _ leaf: CommitClaim.Leaf, _ room: RoomID, _ epoch: UInt64) -> [UInt8] {
    var writer = Writer()
    writer.write("Kin 1.0 " + label)
    writer.write(room)
    writer.write(epoch)
    writer.write(leaf.user)
    writer.write(leaf.device)
    writer.writeVector(leaf.signatureKey)
    return writer.bytes
  }

  static func invite(
    _ secret: InviteSecret, _ leaf: CommitClaim.Leaf, room: RoomID, epoch: UInt64
  ) throws -> JoinAuthority {
    .invite(secret.id, signature: try secret.signingKey.sign(bytes("invite", leaf, room, epoch)))
  }

  static func isValid(
    _ signature: [UInt8], by keys: InviteKeys, _ leaf: CommitClaim.Leaf, room: RoomID, epoch: UInt64
  ) -> Bool {
    SignatureScheme.ed25519.verify(
      publicKey: keys.verifying, message: bytes("invite", leaf, room, epoch), signature: signature)
  }

  static func reentry(_ secret: [UInt8], _ leaf: CommitClaim.Leaf, room: RoomID, epoch: UInt64) -> JoinAuthority {
    .reentry(
      code: HMAC.code(.sha256, key: Secret(copying: secret), message: bytes("re-entry", leaf, room, epoch)))
  }

  static func isValid(
    _ code: [UInt8], under state: RoomState, _ leaf: CommitClaim.Leaf, room: RoomID, epoch: UInt64
  ) -> Bool {
    HMAC.verify(
      code, .sha256, key: Secret(copying: state.reentrySecret), message: bytes("re-entry", leaf, room, epoch))
  }
}

/// What an invite link holds: the name that the relay knows, and the secret that it never sees.
struct InviteSecret {
  static let size = 32

  let id: InviteID
  let secret: Secret
  let signingKey: SigningKey
  let sealingKey: HPKEPrivateKey

  init(id: InviteID, secret: Secret) throws {
    (self.id, self.secret) = (id, secret)
    func derive(_ label: String) throws -> Secret {
      try KDF.expand(.sha256, key: secret, info: Array("Kin 1.0 invite \(label)".utf8), length: 32)
    }
    signingKey = try SigningKey(seed: try derive("signing"))
    sealingKey = try HPKEPrivateKey.deriveKeyPair(inputKey: try derive("sealing"))
  }

  static func random() throws -> InviteSecret {
    try InviteSecret(
      id: InviteID(high: Random.uint64(), low: Random.uint64()), secret: .random(count: size))
  }

  func keys(madeBy user: UserID, expires: UInt64, uses: UInt32) -> InviteKeys {
    InviteKeys(
      verifying: signingKey.publicKey, sealing: sealingKey.publicKey, madeBy: user, expires: expires, uses: uses)
  }
}

/// What a room's members leave at the relay for those who come from outside: the group info of the present epoch and the
/// key under which the external commit is to be sealed, under a key of its own, which is sealed to each link and to the
/// re-entry secret.
struct Door: WireCodable {
  struct Lock: WireCodable {
    var invite: InviteID
    var kemOutput: [UInt8]
    var sealed: [UInt8]

    init(invite: InviteID, kemOutput: [UInt8], sealed: [UInt8]) {
      (self.invite, self.kemOutput, self.sealed) = (invite, kemOutput, sealed)
    }

    init(from reader: inout Reader) throws(WireError) {
      invite = try InviteID(from: &reader)
      kemOutput = try reader.readVector(max: 64)
      sealed = try reader.readVector(max: 128)
    }

    func encode(into writer: inout Writer) {
      writer.write(invite)
      writer.writeVector(kemOutput)
      writer.writeVector(sealed)
    }
  }

  /// What is inside.
  struct Inside {
    var groupInfo: [UInt8]
    var key: Secret
  }

  private static let format: UInt16 = 1
  private static let hpke = HPKE(hash: .sha256, aead: .chacha20Poly1305)
  static let keySize = 32

  private var locks: [Lock]
  private var reentry: [UInt8]
  private var body: [UInt8]

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    locks = try reader.readList(max: 256 * Limits.invitesPerRoom)
    reentry = try reader.readVector(max: 128)
    body = try reader.readVector(max: Limits.groupInfo)
  }

  func encode(into writer: inout Writer) {
    writer.write(Self.format)
    writer.writeList(locks)
    writer.writeVector(reentry)
    writer.writeVector(body)
  }

  init(_ inside: Inside, state: RoomState, room: RoomID, epoch: UInt64) throws {
    let place = Self.place(room, epoch)
    let key = Secret.random(count: Self.keySize)
    locks = try state.invites.sorted { $0.key.low < $1.key.low }.map { id, keys in
      let (kemOutput, sealed) = try Self.hpke.seal(
        to: keys.sealing, info: place, associatedData: id.bytes, plaintext: key)
      return Lock(invite: id, kemOutput: kemOutput, sealed: sealed)
    }
    reentry = try XChaCha20Poly1305.seal(
      key: try Self.reentryKey(state.reentrySecret), associatedData: place, plaintext: key)
    var writer = Writer()
    inside.key.withBytes { writer.writeBytes(Array($0)) }
    writer.writeBytes(inside.groupInfo)
    body = try XChaCha20Poly1305.seal(key: key, associatedData: place, plaintext: writer.bytes)
  }

  /// - Throws: `identityInvalid` if it is not this room's of this epoch, or not for this link.
  func open(_ invite: InviteSecret, room: RoomID, epoch: UInt64) throws -> Inside {
    guard let lock = locks.first(where: { $0.invite == invite.id }) else {
      throw ChatError(.inviteInvalid)
    }
    let key: Secret
    do {
      key = try Self.hpke.openSecret(
        lock.sealed, kemOutput: lock.kemOutput, with: invite.sealingKey, info: Self.place(room, epoch),
        associatedData: invite.id.bytes)
    } catch { throw ChatError(.inviteInvalid, underlying: error) }
    return try open(key, room, epoch)
  }

  /// The same by the re-entry secret.
  func open(reentry secret: [UInt8], room: RoomID, epoch: UInt64) throws -> Inside {
    let key: Secret
    do {
      key = try XChaCha20Poly1305.openSecret(
        key: try Self.reentryKey(secret), associatedData: Self.place(room, epoch), sealed: reentry)
    } catch { throw ChatError(.identityInvalid, detail: "the room's state is not under the secret of now") }
    return try open(key, room, epoch)
  }

  private func open(_ key: Secret, _ room: RoomID, _ epoch: UInt64) throws -> Inside {
    do {
      let bytes = try XChaCha20Poly1305.open(key: key, associatedData: Self.place(room, epoch), sealed: body)
      guard bytes.count > Self.keySize else { throw ChatError(.identityInvalid) }
      return Inside(
        groupInfo: Array(bytes[Self.keySize...]), key: Secret(copying: Array(bytes[..<Self.keySize])))
    } catch { throw ChatError(.identityInvalid, detail: "the room's state is damaged", underlying: error) }
  }

  private static func place(_ room: RoomID, _ epoch: UInt64) -> [UInt8] {
    var writer = Writer()
    writer.write("Kin 1.0 door")
    writer.write(room)
    writer.write(epoch)
    return writer.bytes
  }

  private static func reentryKey(_ secret: [UInt8]) throws -> Secret {
    try KDF.expand(.sha256, key: Secret(copying: secret), info: Array("Kin 1.0 re-entry door".utf8), length: 32)
  }
}

/// An external commit as it stands in the log: sealed, since RFC 9420 leaves it in the clear, under a key that the members
/// of the epoch derive and whoever may come in finds behind the ``Door``.
enum SealedJoin {
  /// In the place of a wire format of RFC 9420 section 6, in the range for private use.
  static let wireFormat: UInt16 = 0xF0A1
  static let label = "Kin 1.0 door"

  private static func header(_ room: RoomID, _ epoch: UInt64) -> [UInt8] {
    var writer = Writer()
    writer.write(UInt16(1))
    writer.write(wireFormat)
    writer.writeVector(room.bytes)
    writer.write(epoch)
    writer.write(UInt8(3))
    return writer.bytes
  }

  static func seal(_ commit: [UInt8], key: Secret, room: RoomID, epoch: UInt64) throws -> [UInt8] {
    let header = header(room, epoch)
    var writer = Writer()
    writer.writeVector(commit)
    let padded = writer.bytes + [UInt8](repeating: 0, count: max(0, 2048 - writer.bytes.count))
    return header + (try XChaCha20Poly1305.seal(key: key, associatedData: header, plaintext: padded))
  }

  /// The commit inside, or `nil` if these bytes are no sealed join of this room and epoch.
  static func open(_ bytes: [UInt8], key: () throws -> Secret, room: RoomID, epoch: UInt64) -> [UInt8]? {
    let header = header(room, epoch)
    guard bytes.count > header.count, Array(bytes.prefix(header.count)) == header, let key = try? key(),
      let padded = try? XChaCha20Poly1305.open(
        key: key, associatedData: header, sealed: Array(bytes[header.count...]))
    else { return nil }
    var reader = Reader(padded)
    guard let commit = try? reader.readVector(max: Limits.commitRequest),
      let rest = try? reader.readBytes(count: reader.remaining), rest.allSatisfy({ $0 == 0 })
    else { return nil }
    return commit
  }

  static func isSealedJoin(_ bytes: [UInt8]) -> Bool {
    bytes.count > 4 && bytes[0] == 0 && bytes[1] == 1 && bytes[2] == UInt8(wireFormat >> 8)
      && bytes[3] == UInt8(wireFormat & 0xff)
  }
}
