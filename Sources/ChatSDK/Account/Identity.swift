import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

/// The keys of this account and this device, ready for use.
struct Identity: Sendable {
  let user: UserID
  let username: String
  let device: DeviceEntry
  let accountKey: SigningKey
  let client: ClientIdentity

  var person: Person { Person(id: user, username: username) }

  init(_ record: AccountRecord) throws {
    do {
      accountKey = try SigningKey(seed: Secret(copying: record.accountSeed))
      let deviceKey = try SigningKey(seed: Secret(copying: record.deviceSeed))
      let list = try SignedDeviceList(decoding: record.deviceList)
      guard let entry = list.list.devices.first(where: { $0.device == record.device }),
        entry.signatureKey == deviceKey.publicKey
      else { throw ChatError(.storeDamaged) }
      (user, username, device) = (record.user, record.username, entry)
      let credential = try DeviceCredential.make(user: record.user, entry: entry, accountKey: accountKey)
      client = ClientIdentity(credential: .basic(identity: credential.encoded), signingKey: deviceKey)
    } catch let error as ChatError { throw error } catch { throw ChatError(.storeDamaged, underlying: error) }
  }

  /// A new account with this device as its first.
  static func make(username: String, deviceName: String, relay: String, now: UInt64) throws -> AccountRecord {
    let accountKey = SigningKey.generate()
    let deviceKey = SigningKey.generate()
    let user = UserID(high: Random.uint64(), low: Random.uint64())
    let device = DeviceID(high: Random.uint64(), low: Random.uint64())
    let entry = DeviceEntry(
      device: device, signatureKey: deviceKey.publicKey, name: String(deviceName.prefix(64)), added: now / 1000)
    let list = DeviceList(
      user: user, accountKey: accountKey.publicKey, number: 1, previous: [], issued: now / 1000, devices: [entry])
    let signed = SignedDeviceList(
      list: list, signature: try accountKey.sign(SignedDeviceList.signedBytes(of: list)))
    return AccountRecord(
      user: user, username: username, device: device, deviceName: entry.name, relay: relay,
      accountSeed: accountKey.seed.withBytes { Array($0) }, deviceSeed: deviceKey.seed.withBytes { Array($0) },
      deviceList: signed.encoded, isRegistered: false)
  }
}

/// What the basic credential of a Kin leaf holds (RFC 9420 section 5.3): the proof that the leaf is a device of its
/// account, which needs nobody's word but the account key's.
struct DeviceCredential: WireCodable, Hashable {
  var user: UserID
  var entry: DeviceEntry
  /// Ed25519.
  var accountKey: [UInt8]
  /// The account key's, over ``signedBytes(user:entry:accountKey:)``.
  var signature: [UInt8]

  private static let format: UInt16 = 1

  static func make(user: UserID, entry: DeviceEntry, accountKey: SigningKey) throws -> DeviceCredential {
    let bytes = signedBytes(user: user, entry: entry, accountKey: accountKey.publicKey)
    return DeviceCredential(
      user: user, entry: entry, accountKey: accountKey.publicKey, signature: try accountKey.sign(bytes))
  }

  init(user: UserID, entry: DeviceEntry, accountKey: [UInt8], signature: [UInt8]) {
    (self.user, self.entry, self.accountKey, self.signature) = (user, entry, accountKey, signature)
  }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    user = try UserID(from: &reader)
    entry = try DeviceEntry(from: &reader)
    accountKey = try reader.readVector(max: 256)
    signature = try reader.readVector(max: 256)
  }

  func encode(into writer: inout Writer) {
    writer.write(Self.format)
    writer.write(user)
    writer.write(entry)
    writer.writeVector(accountKey)
    writer.writeVector(signature)
  }

  static func signedBytes(user: UserID, entry: DeviceEntry, accountKey: [UInt8]) -> [UInt8] {
    var writer = Writer()
    writer.writeVector(Array("Kin 1.0 device credential".utf8))
    writer.write(user)
    writer.write(entry)
    writer.writeVector(accountKey)
    return writer.bytes
  }

  var isSignatureValid: Bool {
    SignatureScheme.ed25519.verify(
      publicKey: accountKey, message: Self.signedBytes(user: user, entry: entry, accountKey: accountKey),
      signature: signature)
  }
}

extension SignedDeviceList {
  /// Whether the account key in the list signed it and the list could be anybody's: no device or key twice.
  var isValid: Bool {
    SignatureScheme.ed25519.verify(
      publicKey: list.accountKey, message: Self.signedBytes(of: list), signature: signature)
      && list.number > 0
      && Set(list.devices.map(\.device)).count == list.devices.count
      && Set(list.devices.map(\.signatureKey)).count == list.devices.count
  }

  /// SHA-256 of the encoding, by which the next list names this one.
  var hash: [UInt8] { Digest.hash(.sha256, encoded) }
}
