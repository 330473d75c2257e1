import Networking
import RelayProtocol

extension API {
  static let keyPackages: [Route: Endpoint] = [
    .publishKeyPackages: { api, call async throws(RelayError) in
      let body: KeyPackagesRequest = try call.body()
      return try json(
        try await api.services.store.addKeyPackages(
          body.keyPackages.map(\.bytes), lastResort: body.lastResort?.bytes, device: try call.caller.device))
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
