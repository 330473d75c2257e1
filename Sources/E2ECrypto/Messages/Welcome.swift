import CryptoPrimitives
import WireCodec

/// What new members need to know to take part from the epoch on that their commit began (RFC 9420 section 12.4.3.1).
struct Welcome: Hashable, Sendable, WireCodable {
  /// The group's secrets, sealed to one key package.
  struct EncryptedGroupSecrets: Hashable, Sendable, WireCodable {
    let newMember: [UInt8]
    let encryptedGroupSecrets: HPKECiphertext

    init(newMember: [UInt8], encryptedGroupSecrets: HPKECiphertext) {
      self.newMember = newMember
      self.encryptedGroupSecrets = encryptedGroupSecrets
    }

    init(from reader: inout Reader) throws(WireError) {
      newMember = try reader.readVector(max: Bounds.hash)
      encryptedGroupSecrets = try HPKECiphertext(from: &reader)
    }

    func encode(into writer: inout Writer) {
      writer.writeVector(newMember)
      writer.write(encryptedGroupSecrets)
    }
  }

  let cipherSuite: UInt16
  let secrets: [EncryptedGroupSecrets]
  let encryptedGroupInfo: [UInt8]

  init(cipherSuite: UInt16, secrets: [EncryptedGroupSecrets], encryptedGroupInfo: [UInt8]) {
    self.cipherSuite = cipherSuite
    self.secrets = secrets
    self.encryptedGroupInfo = encryptedGroupInfo
  }

  init(from reader: inout Reader) throws(WireError) {
    cipherSuite = try reader.readUInt16()
    secrets = try reader.readList()
    encryptedGroupInfo = try reader.readVector(max: Bounds.tree)
  }

  func encode(into writer: inout Writer) {
    writer.write(cipherSuite)
    writer.writeList(secrets)
    writer.writeVector(encryptedGroupInfo)
  }
}

/// The part of a welcome that is sealed to each new member.
struct GroupSecrets: Sendable {
  let joinerSecret: Secret
  let pathSecret: Secret?
  let psks: [PreSharedKeyID]

  init(joinerSecret: Secret, pathSecret: Secret?, psks: [PreSharedKeyID]) {
    self.joinerSecret = joinerSecret
    self.pathSecret = pathSecret
    self.psks = psks
  }

  init(from reader: inout Reader) throws(WireError) {
    joinerSecret = try reader.readSecret(max: Bounds.hash)
    switch try reader.readUInt8() {
    case 0: pathSecret = nil
    case 1: pathSecret = try reader.readSecret(max: Bounds.hash)
    default: throw WireError(.invalidValue)
    }
    psks = try reader.readList()
  }

  func encode() -> Secret {
    var writer = SecretWriter()
    writer.write(joinerSecret)
    writer.write(pathSecret != nil)
    if let pathSecret { writer.write(pathSecret) }
    writer.writeList(psks)
    return writer.finish()
  }
}
