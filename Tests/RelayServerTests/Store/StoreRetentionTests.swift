import CryptoPrimitives
import Foundation
import RelayProtocol
import RelayServer
import Testing

@Suite struct StoreRetentionTests {
  /// All rooms, to the end.
  private func sweep(_ store: any RelayStore, _ retention: Retention, now: UInt64) async throws -> Int {
    var (after, erased): (Int64?, Int) = (0, 0)
    while let from = after {
      let step = try await store.sweep(retention, after: from, now: now)
      erased += step.erased
      after = step.next
    }
    return erased
  }

  private func retention(_ messages: UInt64?, roomBytes: UInt64? = nil) -> Retention {
    Retention(messages: messages, roomBytes: roomBytes, welcomes: 1 << 40)
  }

  @Test(arguments: StoreKind.allCases) func oldMessagesGiveWayToTheirHash(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: alice, with: bob)
    let id: SendID = StoreWorld.random()
    let old = StoreWorld.message(room, from: alice, epoch: 1, id: id, [1, 1], now: 2000)
    try await world.send(old)
    try await world.send(StoreWorld.message(room, from: alice, epoch: 1, kind: .proposal, [2], now: 2000))
    try await world.send(StoreWorld.message(room, from: bob, epoch: 1, [3, 3], now: 5000))
    #expect(try await sweep(world.store, retention(1000), now: 4000) == 1)
    let log = try await world.log(room, for: alice)
    #expect(log.entries.map(\.sequence) == [1, 2, 3, 4])
    #expect(log.entries.map(\.kind) == [.commit, .erased, .proposal, .application])
    #expect(log.entries[1].message.bytes == Digest.hash(.sha256, [1, 1]))
    #expect(log.entries[1].time == 2000)
    // Nothing is erased twice, and what is young stays.
    #expect(try await sweep(world.store, retention(1000), now: 4000) == 0)
    #expect(try await sweep(world.store, retention(nil), now: 1 << 50) == 0)
    // A retry still finds its place.
    #expect(try await world.send(old).response.position.sequence == 2)
    #expect(try await sweep(world.store, retention(1000), now: 7000) == 1)
    try await world.store.scrub()
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func aRoomPastItsQuotaLosesItsOldest(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let (full, small) = (try await world.room(of: alice), try await world.room(of: alice))
    for number in 0..<10 as Range<UInt8> {
      try await world.send(StoreWorld.message(full, from: alice, [UInt8](repeating: number, count: 100)))
    }
    try await world.send(StoreWorld.message(small, from: alice, [UInt8](repeating: 9, count: 100)))
    #expect(try await sweep(world.store, retention(nil, roomBytes: 450), now: 5000) == 6)
    #expect(try await sweep(world.store, retention(nil, roomBytes: 450), now: 5000) == 0)
    #expect(try await world.log(full, for: alice).entries.map(\.kind.rawValue) == [4, 4, 4, 4, 4, 4, 1, 1, 1, 1])
    #expect(try await world.log(small, for: alice).entries.map(\.kind) == [.application])
    try await world.send(StoreWorld.message(full, from: alice, [UInt8](repeating: 10, count: 100)))
    #expect(try await sweep(world.store, retention(nil, roomBytes: 450), now: 5000) == 1)
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func manyRoomsAndEntriesAreSweptInSteps(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    var rooms: [RoomID] = []
    for _ in 0..<230 { rooms.append(try await world.room(of: alice)) }
    _ = await world.send((0..<2500).map { _ in StoreWorld.message(rooms[3], from: alice, [5]) })
    _ = await world.send(rooms.map { StoreWorld.message($0, from: alice, [6]) })
    #expect(try await sweep(world.store, retention(1000), now: 9000) == 2500 + 230)
    await world.store.close()
  }

  @Test(arguments: StoreKind.allCases) func aForgottenWelcomeGoes(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    _ = try await world.room(of: alice, with: bob)
    var retention = retention(nil)
    retention.welcomes = 5000
    _ = try await sweep(world.store, retention, now: 6000)
    #expect(try await world.store.welcomes(for: bob.device).count == 1)
    _ = try await sweep(world.store, retention, now: 6001)
    #expect(try await world.store.welcomes(for: bob.device).isEmpty)
    await world.store.close()
  }

  /// What was erased cannot be found in the database's files, nor in its log.
  @Test func erasedBytesAreGoneFromTheFiles() async throws {
    let world = try StoreWorld(.sqlite)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    var marks: [[UInt8]] = []
    for number in 0..<50 as Range<UInt8> {
      // Some fit into a page, some flow over.
      let mark = Array("ciphertext of message \(number) ".utf8) + Digest.hash(.sha256, [number])
      marks.append(mark)
      try await world.send(
        StoreWorld.message(room, from: alice, mark + [UInt8](repeating: number, count: Int(number) * 200)))
    }
    func found() -> Int {
      let files = world.folder.files().compactMap { try? Data(contentsOf: URL(filePath: world.folder.path + "/" + $0)) }
      return marks.count { mark in files.contains { $0.range(of: Data(mark)) != nil } }
    }
    #expect(found() == 50)
    #expect(try await sweep(world.store, retention(1000), now: 3000) == 50)
    try await world.store.scrub()
    #expect(found() == 0)
    await world.store.close()
    #expect(found() == 0)
  }
}
