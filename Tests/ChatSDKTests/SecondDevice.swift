import ChatTestKit
import CryptoPrimitives
import FoundationEssentials
import RelayProtocol
import WireCodec

@testable import ChatSDK

extension ChatClient {
  /// Another device of this account, in a store of its own: what linking will do one day, without the way between them.
  func addDevice(
    named name: String, folder: String, password: String, connection: Configuration.Connection = .manual
  ) async throws -> ChatClient {
    guard let account = try context.store.read({ try $0.decode(AccountRecord.self, AccountRecord.key) }) else {
      throw ChatError(.notRegistered)
    }
    let key = SigningKey.generate()
    let device = DeviceID(high: Random.uint64(), low: Random.uint64())
    let entry = try account.newEntry(device, signatureKey: key.publicKey, name: name, now: context.now)
    let list = try account.nextList(adding: [entry], now: context.now)
    try await publish(list)
    let record = AccountRecord(
      user: account.user, username: account.username, device: device, deviceName: name, relay: account.relay,
      accountSeed: account.accountSeed, deviceSeed: key.seed.withBytes { Array($0) }, deviceList: list.encoded,
      isRegistered: true)
    var location = StoreLocation.file("\(folder)/\(device).db", passphrase: Passphrase("of \(name)"))
    location.cost = (passes: 1, memoryKiB: 8)
    let store = try await EncryptedStore(location)
    try store.write { try $0.save(record) }
    store.close()
    let client = try await ChatClient(
      Configuration(
        relay: context.configuration.relay, store: location, deviceName: name, connection: connection,
        timeout: .seconds(10)))
    try await client.login(as: account.username, password: Password(password))
    return client
  }

  /// Takes a device out of the account's list.
  func revoke(_ device: DeviceID) async throws {
    guard let account = try context.store.read({ try $0.decode(AccountRecord.self, AccountRecord.key) }) else {
      throw ChatError(.notRegistered)
    }
    try await publish(try account.nextList(removing: [device], now: context.now))
  }
}

/// A folder that goes with the test.
final class Folder: Sendable {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent(
    "kin-device-\(UInt64.random(in: 0 ... .max))"
  )
  .path

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}
