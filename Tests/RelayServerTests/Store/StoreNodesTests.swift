import RelayProtocol
import Testing

@testable import RelayServer

/// What a store tells a relay about the doings of others.
struct StoreNodesTests {
  @Test(arguments: StoreKind.allCases) func tellsWhereLogsEnd(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    var rooms: [RoomID: UInt64] = [:]
    for count in 0..<9 as Range<UInt64> {
      let room = try await world.room(of: alice)
      for _ in 0..<count { try await world.send(StoreWorld.message(room, from: alice)) }
      rooms[room] = count
    }
    #expect(try await world.store.ends(of: Array(rooms.keys) + [.random()]) == rooms)
    #expect(try await world.store.ends(of: []).isEmpty)
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func feedsEntriesWithWhomTheyRemove(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, carol) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("carol")
    )
    let room = try await world.room(of: alice, with: bob, carol)
    try await world.send(StoreWorld.message(room, from: bob, epoch: 1, [1, 2, 3]))
    _ = try await world.store.leave(StoreWorld.message(room, from: carol, epoch: 1, kind: .proposal))
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 1, removing: [bob, carol]))
    // Removed, added and removed again: each entry keeps its own.
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 2, adding: [bob]))
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 3, removing: [bob]))
    let feed = try await world.store.feed(of: room, after: 0, limit: 100, bytes: 1 << 20)
    #expect(feed.map(\.entry.sequence) == [1, 2, 3, 4, 5, 6])
    #expect(feed.map(\.entry.kind) == [.commit, .application, .proposal, .commit, .commit, .commit])
    #expect(feed.map { Set($0.removed) } == [[], [], [carol.user], [bob.user], [], [bob.user]])
    #expect(feed[1].entry.message.bytes == [1, 2, 3])
    let page = try await world.store.feed(of: room, after: 2, limit: 2, bytes: 1 << 20)
    #expect(page.map(\.entry.sequence) == [3, 4])
    #expect(try await world.store.feed(of: room, after: 2, limit: 9, bytes: 1).count == 1)
    #expect(try await world.store.feed(of: room, after: 6, limit: 9, bytes: 100).isEmpty)
    #expect(try await world.store.feed(of: room, after: .max, limit: 9, bytes: 100).isEmpty)
    #expect(try await world.store.feed(of: .random(), after: 0, limit: 9, bytes: 100).isEmpty)
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func tellsWhichSessionsLive(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    for id in 1...5 as ClosedRange<UInt64> {
      try await world.store.createSession(
        SessionRecord(
          id: id, user: alice.user, device: alice.device, refreshHash: [UInt8(id)], created: id, expires: 1 << 40))
    }
    try await world.store.endSession(id: 3)
    #expect(try await world.store.liveSessions(among: [1, 3, 5, 9]) == [1, 5])
    #expect(try await world.store.liveSessions(among: []).isEmpty)
    try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(2))
    #expect(try await world.store.liveSessions(among: [1, 2, 4, 5]).isEmpty)
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func tellsOfNewWelcomes(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    #expect(try await world.store.newestWelcomes(for: [alice.device, bob.device]).isEmpty)
    var numbers: [UInt64] = []
    for _ in 0..<3 {
      let room: RoomID = .random()
      _ = try await world.store.createRoom(room, owner: alice.user, now: 1)
      _ = try await world.store.commit(
        StoreWorld.commit(room, from: alice, epoch: 0, welcome: [9], for: [bob.device], adding: [bob]))
      let newest = try await world.store.newestWelcomes(for: [alice.device, bob.device])
      #expect(Array(newest.keys) == [bob.device])
      numbers.append(try #require(newest[bob.device]))
    }
    #expect(numbers == Array(Set(numbers)).sorted())
    await world.store.close()
  }
}
