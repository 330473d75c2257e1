import Networking
import RelayProtocol
import WireCodec

extension API {
  static let keyPackages: [Route: Endpoint] = [
    .publishKeyPackages: { api, call async throws(RelayError) in
      let caller = try call.caller
      let body: KeyPackagesRequest = try call.body()
      let (packages, last) = (body.keyPackages.map(\.bytes), body.lastResort?.bytes)
      // More is refused before any of it is read.
      if packages.count <= Limits.keyPackagesPerUpload {
        let device = try await api.listed(caller)
        try PublishedKeyPackage.check(packages + [last].compactMap { $0 }, of: device, now: api.services.now())
      }
      return try json(
        try await api.services.store.addKeyPackages(packages, lastResort: last, device: caller.device))
    },
    .countKeyPackages: { api, call async throws(RelayError) in
      try json(try await api.services.store.keyPackageCount(device: try call.caller.device))
    },
    .claimKeyPackages: { api, call async throws(RelayError) in
      let caller = try call.caller.user
      let account = try await api.account(named: call.parameters[0], for: caller)
      try api.services.throttles.claim(of: account.id, by: caller, now: api.services.now())
      guard try await api.services.store.mayReach(account.id, from: caller) else { throw noUser }
      let response = try await api.services.store.claimKeyPackages(of: account.id)
      await api.tellIfFew(response.claimed.map(\.device))
      return try json(response)
    },
  ]

  /// The caller's device as its account lists it.
  private func listed(_ caller: Caller) async throws(RelayError) -> DeviceEntry {
    let stored = try await services.store.deviceList(of: caller.user)
    let list = stored.flatMap { try? SignedDeviceList(decoding: $0.encoded) }?.list
    guard let device = list?.devices.first(where: { $0.device == caller.device }) else {
      throw RelayError(.deviceUnknown, "The device is not in the account's list.")
    }
    return device
  }

  /// From this number of one-time packages down, a device is told to publish more.
  private static let fewKeyPackages = 10

  private func tellIfFew(_ devices: [DeviceID]) async {
    var few: [DeviceID] = []
    for device in devices {
      let count = try? await services.store.keyPackageCount(device: device)
      if let count, count.oneTime <= Self.fewKeyPackages { few.append(device) }
    }
    if !few.isEmpty { services.bus.publish([.look(.keyPackages, few)]) }
  }
}
