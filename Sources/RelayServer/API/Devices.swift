import CryptoPrimitives
import Networking
import RelayProtocol
import WireCodec

extension API {
  static let devices: [Route: Endpoint] = [
    .putDevices: { api, call async throws(RelayError) in try await api.putDevices(call) }
  ]

  /// The next version of the caller's list. The relay checks the chain so that honest mistakes are found early; clients
  /// check it all again, because they need not trust the relay.
  private func putDevices(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let caller = try call.caller
    let body: DeviceListRequest = try call.body()
    let next = try SignedDevices(body.deviceList.bytes)
    guard let stored = try await services.store.deviceList(of: caller.user),
      let before = try? SignedDeviceList(decoding: stored.encoded)
    else { throw RelayError(.internalError, "The account has no device list.") }
    guard next.list.user == caller.user, ConstantTime.equal(next.list.accountKey, before.list.accountKey) else {
      throw RelayError(.invalidSignature, "The list is not signed with the account's key.")
    }
    guard stored.number < .max, next.list.number == stored.number + 1,
      next.list.previous == Digest.hash(.sha256, stored.encoded)
    else { throw RelayError(.deviceListConflict, "The list does not follow the newest one.") }
    guard next.list.issued >= before.list.issued else {
      throw RelayError(.deviceListConflict, "The list is older than the one before it.")
    }
    // A device id means one key for ever.
    for device in next.list.devices {
      guard let earlier = before.list.devices.first(where: { $0.device == device.device }) else {
        // Or the list before could be shown as one that has revoked it.
        guard device.added >= before.list.issued else {
          throw RelayError(.deviceListConflict, "A device cannot be older than the list before it.")
        }
        continue
      }
      guard earlier.signatureKey == device.signatureKey else {
        throw RelayError(.deviceListConflict, "A device's key cannot change.")
      }
    }
    try await services.store.replaceDeviceList(of: caller.user, with: next.record)
    let gone = Set(stored.devices).subtracting(next.record.devices)
    if !gone.isEmpty { services.bus.publish([.devicesGone(Array(gone))]) }
    // Whoever shares a room with the account looks at the list now, and takes out what it has lost.
    services.presence.tell(.profile(caller.user))
    services.bus.publish([.tell(.profile(caller.user), [caller.user])])
    return Self.done
  }
}
