import CryptoPrimitives
import WireCodec

/// From one epoch's init secret to the next epoch's keys (RFC 9420 section 8).
enum KeySchedule {
  /// What is sealed to new members: all that the epoch's secrets follow from, the pre-shared keys apart.
  static func joinerSecret(
    _ suite: Suite, initSecret: Secret, commitSecret: Secret, context: [UInt8]
  ) throws(MLSError) -> Secret {
    let extracted = suite.extract(salt: initSecret, commitSecret)
    return try suite.expandWithLabel(extracted, "joiner", context: context, length: suite.hashSize)
  }

  /// The secret from which welcome secret and epoch secret follow.
  private static func memberSecret(_ suite: Suite, joinerSecret: Secret, pskSecret: Secret) -> Secret {
    suite.extract(salt: joinerSecret, pskSecret)
  }

  static func welcomeSecret(_ suite: Suite, joinerSecret: Secret, pskSecret: Secret) throws(MLSError) -> Secret {
    try suite.deriveSecret(memberSecret(suite, joinerSecret: joinerSecret, pskSecret: pskSecret), "welcome")
  }

  static func epochSecrets(
    _ suite: Suite, joinerSecret: Secret, pskSecret: Secret, context: [UInt8]
  ) throws(MLSError) -> EpochSecrets {
    let member = memberSecret(suite, joinerSecret: joinerSecret, pskSecret: pskSecret)
    let epoch = try suite.expandWithLabel(member, "epoch", context: context, length: suite.hashSize)
    return try EpochSecrets(suite, epochSecret: epoch)
  }

  /// What opens the group info of a welcome (RFC 9420 section 12.4.3.1).
  static func welcomeKey(_ suite: Suite, welcomeSecret: Secret) throws(MLSError) -> (key: Secret, nonce: [UInt8]) {
    let welcome = suite.expander(welcomeSecret)
    let key = try welcome.expand("key", length: suite.keySize)
    let nonce = try welcome.expand("nonce", length: suite.nonceSize)
    return (key, nonce.withBytes { Array($0) })
  }
}

/// The secrets of one epoch (RFC 9420 section 8, table 4).
struct EpochSecrets: Sendable {
  let senderData: Secret
  /// Goes to the secret tree and is not kept.
  let encryption: Secret
  let exporter: Secret
  let external: Secret
  /// Makes the confirmation tag and is not kept.
  let confirmation: Secret
  let membership: Secret
  let resumption: Secret
  let authenticator: Secret
  let initSecret: Secret
  /// The root of the exporter tree, which holds it from then on (draft-ietf-mls-extensions section 4.4).
  let applicationExport: Secret

  init(_ suite: Suite, epochSecret: Secret) throws(MLSError) {
    let epoch = suite.expander(epochSecret)
    senderData = try epoch.derive("sender data")
    encryption = try epoch.derive("encryption")
    exporter = try epoch.derive("exporter")
    external = try epoch.derive("external")
    confirmation = try epoch.derive("confirm")
    membership = try epoch.derive("membership")
    resumption = try epoch.derive("resumption")
    authenticator = try epoch.derive("authentication")
    initSecret = try epoch.derive("init")
    applicationExport = try epoch.derive("application_export")
  }

  /// The secrets that an epoch needs as long as it lasts; the others have been consumed (RFC 9420 section 9.2).
  var kept: EpochKeys {
    EpochKeys(
      senderData: senderData, exporter: exporter, external: external, membership: membership,
      resumption: resumption, authenticator: authenticator, initSecret: initSecret)
  }
}

/// What is kept of an epoch's secrets while it lasts.
struct EpochKeys: Sendable {
  let senderData: Secret
  let exporter: Secret
  let external: Secret
  let membership: Secret
  let resumption: Secret
  let authenticator: Secret
  let initSecret: Secret

  /// MLS-Exporter (RFC 9420 section 8.5).
  func export(
    _ suite: Suite, label: [UInt8], context: [UInt8], length: Int
  ) throws(MLSError) -> Secret {
    let derived = try suite.expander(exporter).expand(label: label, context: [], length: suite.hashSize)
    return try suite.expandWithLabel(derived, "exported", context: suite.hash(context), length: length)
  }

  /// The key pair to which external joiners seal their init secret (RFC 9420 section 8.3).
  func externalKeyPair(_ suite: Suite) throws(MLSError) -> HPKEPrivateKey { try suite.deriveKeyPair(external) }
}

extension EpochKeys {
  init(from reader: inout Reader) throws(WireError) {
    senderData = try reader.readSecret(max: Bounds.hash)
    exporter = try reader.readSecret(max: Bounds.hash)
    external = try reader.readSecret(max: Bounds.hash)
    membership = try reader.readSecret(max: Bounds.hash)
    resumption = try reader.readSecret(max: Bounds.hash)
    authenticator = try reader.readSecret(max: Bounds.hash)
    initSecret = try reader.readSecret(max: Bounds.hash)
  }

  func encode(into writer: inout SecretWriter) {
    for secret in [senderData, exporter, external, membership, resumption, authenticator, initSecret] {
      writer.write(secret)
    }
  }
}

/// External initialisation (RFC 9420 section 8.3): an init secret from the group's external key.
enum ExternalInitSecret {
  private static let label = StaticString("MLS 1.0 external init secret")

  /// The joiner's side: what to send, and the secret.
  static func make(_ suite: Suite, externalKey: [UInt8]) throws(MLSError) -> (kemOutput: [UInt8], secret: Secret) {
    do {
      let sender = try suite.hpke.setupSender(to: externalKey)
      return (sender.kemOutput, try sender.export(context: label.bytes, length: suite.hashSize))
    } catch { throw MLSError(.malformed) }
  }

  /// The members' side.
  static func open(_ suite: Suite, kemOutput: [UInt8], with key: HPKEPrivateKey) throws(MLSError) -> Secret {
    do {
      let receiver = try suite.hpke.setupReceiver(kemOutput: kemOutput, with: key)
      return try receiver.export(context: label.bytes, length: suite.hashSize)
    } catch { throw MLSError(.malformed) }
  }
}
