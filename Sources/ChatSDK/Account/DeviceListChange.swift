import CryptoPrimitives
import RelayProtocol
import WireCodec

// The account's own list of devices: its next version, and what other devices of the account made of it.
extension AccountRecord {
  /// The next version of the account's list.
  ///
  /// It is issued later than any device in it or before it was added, whatever this machine's clock says: by that everybody
  /// can tell a list that lacks a device because it was revoked from one that lacks it because it was not there yet.
  func nextList(
    adding added: [DeviceEntry] = [], removing removed: Set<DeviceID> = [], now: UInt64
  ) throws -> SignedDeviceList {
    let before = try SignedDeviceList(stored: deviceList)
    let all = before.list.devices + added
    let newest = all.map(\.added).max() ?? 0
    guard before.list.number < .max, newest < .max else { throw ChatError(.internalError) }
    let list = DeviceList(
      user: user, accountKey: before.list.accountKey, number: before.list.number + 1, previous: before.hash,
      issued: max(now / 1000, before.list.issued, newest + 1), devices: all.filter { !removed.contains($0.device) })
    let key = try SigningKey(seed: Secret(copying: accountSeed))
    return SignedDeviceList(list: list, signature: try key.sign(SignedDeviceList.signedBytes(of: list)))
  }

  /// An entry for a device that comes to this account now.
  func newEntry(_ device: DeviceID, signatureKey: [UInt8], name: String, now: UInt64) throws -> DeviceEntry {
    let issued = try SignedDeviceList(stored: deviceList).list.issued
    return DeviceEntry(device: device, signatureKey: signatureKey, name: name, added: max(now / 1000, issued))
  }
}

extension ChatClient {
  /// Makes a list the account's newest, at the relay and here.
  func publish(_ list: SignedDeviceList) async throws {
    try await context.api.putDevices(list)
    try Trust(context: context).takeOwn(list)
  }
}

extension Trust {
  /// Weighs a list that is said to be this account's, and keeps it if it is newer.
  ///
  /// - Returns: the newest that there is now.
  /// - Throws: `identityInvalid` if the account did not sign it, or it goes back.
  @discardableResult
  func takeOwn(_ list: SignedDeviceList) throws -> SignedDeviceList {
    let identity = try context.identity()
    var (events, isRefused): ([Event], Bool) = ([], false)
    let newest = try context.store.write { store -> SignedDeviceList in
      guard var record = try store.decode(AccountRecord.self, AccountRecord.key) else {
        throw ChatError(.notRegistered)
      }
      let known = try SignedDeviceList(stored: record.deviceList)
      let pinned = Pin(username: identity.username, list: known)
      let (outcome, _) = Pin.weigh(list, username: identity.username, expecting: identity.user, pinned: pinned)
      switch outcome {
      case .first, .unchanged: return known
      case .identityChanged, .rolledBack, .forged:
        isRefused = true
        let code: Finding.Code = list.isValid ? .deviceListRolledBack : .deviceListForged
        let finding = context.finding(
          code, person: identity.person, "a list of this account's devices that is not its own")
        try store.add(finding)
        events = [.refused(finding)]
        return known
      case .newer(let added):
        // A device that was revoked keeps what it has: its session is over, and nothing of it is taken in any more.
        guard list.list.devices.contains(identity.device) else { return known }
        record.deviceList = list.encoded
        try store.save(record)
        events = added.filter { $0.device != identity.device.device }.map {
          .newDevice(DeviceChange(person: identity.person, device: $0.device, name: $0.name))
        }
        return list
      }
    }
    if newest == list { context.listsChanged() }
    context.hub.tell(events)
    if isRefused { throw ChatError(.identityInvalid, detail: identity.username) }
    return newest
  }
}
