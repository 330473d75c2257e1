import RelayProtocol
import RelayServer
import Testing

@Suite struct StoreOperationTests {
  @Test(arguments: StoreKind.allCases) func devicesLowOnKeyPackagesAreCounted(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 0) == 2)
    _ = try await world.store.addKeyPackages(
      (0..<12).map { [UInt8($0)] }, lastResort: [99], device: alice.device)
    _ = try await world.store.addKeyPackages([[1], [2]], lastResort: nil, device: bob.device)
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 0) == 0)
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 2) == 1)
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 11) == 1)
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 12) == 2)
    _ = try await world.store.claimKeyPackages(of: alice.user)
    #expect(try await world.store.devicesLowOnKeyPackages(atMost: 11) == 2)
    #expect(world.store.backlog == 0)
  }
}
