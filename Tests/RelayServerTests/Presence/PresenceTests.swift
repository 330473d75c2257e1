import RelayProtocol
import TestServers
import Testing

@testable import RelayServer

/// What every store of presence does.
struct PresenceTests {
  @Test(arguments: PresenceKind.allCases) func knowsWhoIsConnected(_ kind: PresenceKind) async throws {
    try await PresenceWorld.run(kind) { (world, _, _) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      #expect(await world.far.connected(among: [alice, bob]) == Connected(users: []))
      #expect(await world.far.connected(among: []) == Connected(users: []))
      await world.near.hold([alice])
      // As soon as it is held: whoever is told then finds it.
      for store in [world.near, world.far] { #expect(await store.connected(among: [alice, bob]).users == [alice]) }
      await world.near.hold([alice, bob])
      #expect(await world.far.connected(among: [bob]).users == [bob])
      await world.near.release([alice])
      await world.near.release([alice, .random()])
      for store in [world.near, world.far] { #expect(await store.connected(among: [alice, bob]).users == [bob]) }
      await world.near.release([bob])
      #expect(await world.far.connected(among: [alice, bob]) == Connected(users: []))
    }
  }

  @Test(arguments: PresenceKind.allCases) func holdsMany(_ kind: PresenceKind) async throws {
    try await PresenceWorld.run(kind) { (world, _, _) async throws in
      let users = (0..<3000).map { _ in UserID.random() }
      await world.near.hold(users)
      #expect(await world.far.connected(among: users) == Connected(users: Set(users)))
      await world.near.release(Array(users[..<1700]))
      #expect(await world.far.connected(among: users) == Connected(users: Set(users[1700...])))
    }
  }

  @Test(arguments: PresenceKind.allCases) func holdsForAsLongAsTheNodeLives(_ kind: PresenceKind) async throws {
    try await PresenceWorld.run(kind) { (world, _, _) async throws in
      let alice = UserID.random()
      await world.near.hold([alice])
      let end = ContinuousClock.now + .milliseconds(2 * PresenceWorld.times.life)
      while ContinuousClock.now < end {
        #expect(await world.far.connected(among: [alice]).users == [alice])
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }

  @Test(arguments: PresenceKind.allCases) func takesManyCallersAtOnce(_ kind: PresenceKind) async throws {
    try await PresenceWorld.run(kind) { (world, _, _) async throws in
      let users = (0..<400).map { _ in UserID.random() }
      await withTaskGroup(of: Void.self) { group in
        for user in users {
          group.addTask {
            await world.near.hold([user])
            if user.low % 2 == 0 { await world.near.release([user]) }
          }
        }
      }
      #expect(await world.far.connected(among: users) == Connected(users: Set(users.filter { $0.low % 2 == 1 })))
    }
  }
}
