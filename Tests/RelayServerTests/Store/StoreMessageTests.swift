import RelayProtocol
import RelayServer
import Synchronization
import Testing

@Suite struct StoreMessageTests {
  @Test(arguments: StoreKind.allCases) func messagesAreNumberedWithoutGaps(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let (one, two) = (try await world.room(of: alice), try await world.room(of: alice))
    let eve = try await world.person("eve")
    // A refused message between accepted ones takes no number and stops nobody.
    let outcomes = await world.send([
      StoreWorld.message(one, from: alice, [1]), StoreWorld.message(two, from: alice, [2]),
      StoreWorld.message(one, from: eve, [3]), StoreWorld.message(one, from: alice, [4]),
      StoreWorld.message(one, from: alice, kind: .commit, [5]), StoreWorld.message(one, from: alice, []),
      StoreWorld.message(one, from: alice, [UInt8](repeating: 1, count: Limits.message + 1)),
      StoreWorld.message(two, from: alice, [6]),
    ])
    #expect(outcomes.map { try? $0.get().response.position.sequence } == [1, 1, nil, 2, nil, nil, nil, 2])
    #expect(
      outcomes.map(\.refusal)
        == [nil, nil, .roomNotFound, nil, .invalidRequest, .invalidRequest, .tooLarge, nil])
    let log = try await world.log(one, for: alice)
    #expect(log.entries.map(\.message.bytes) == [[1], [4]])
    #expect(log.entries.map(\.time) == [1000, 1000])
    #expect(log.entries == outcomes.compactMap { try? $0.get().entry }.filter { $0.room == one })
    #expect(log.last == StreamPosition(incarnation: world.store.incarnation, sequence: 2))
    #expect(await world.send([]).isEmpty)
  }

  @Test(arguments: StoreKind.allCases) func aRetryReturnsTheFirstOutcome(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: bob, with: alice)
    let id: SendID = StoreWorld.random()
    let message = StoreWorld.message(room, from: alice, epoch: 1, id: id, [1])
    // Even in one batch, and under a later clock.
    let both = await world.send([message, message])
    let first = try both[0].get()
    #expect(try both[1].get().response == first.response)
    #expect(try both[1].get().entry == nil)
    var late = message
    late.now = 9999
    #expect(try await world.send(late).response == first.response)
    for other in [
      StoreWorld.message(room, from: alice, epoch: 1, id: id, [2]),
      StoreWorld.message(room, from: alice, epoch: 0, id: id, [1]),
      StoreWorld.message(room, from: alice, epoch: 1, id: id, kind: .proposal, [1]),
      StoreWorld.message(try await world.room(of: alice), from: alice, epoch: 0, id: id, [1]),
    ] {
      #expect(try await refusal { try await world.send(other) } == .sendIDReused)
    }
    // The same id from another device is another send.
    #expect(try await world.send(StoreWorld.message(room, from: bob, epoch: 1, id: id, [2])).entry != nil)
    // Accepted once stays accepted: after the epoch has moved on, and after the membership has ended.
    for epoch in 1...6 as ClosedRange<UInt64> {
      _ = try await world.store.commit(StoreWorld.commit(room, from: bob, epoch: epoch))
    }
    #expect(try await world.send(message).response == first.response)
    _ = try await world.store.commit(StoreWorld.commit(room, from: bob, epoch: 7, removing: [alice]))
    #expect(try await world.send(message).response == first.response)
    #expect(try await world.log(room, for: bob).entries.count { $0.message.bytes == [1] } == 1)
  }

  @Test(arguments: StoreKind.allCases) func epochsAreChecked(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    for epoch in 0..<5 as Range<UInt64> {
      _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: epoch))
    }
    func send(_ epoch: UInt64, _ kind: EntryKind = .application) async throws -> RelayCode? {
      try await refusal { try await world.send(StoreWorld.message(room, from: alice, epoch: epoch, kind: kind)) }
    }
    let present: UInt64 = 5
    #expect(try await send(present) == nil)
    #expect(try await send(present - Limits.pastEpochs) == nil)
    #expect(try await send(present - Limits.pastEpochs - 1) == .epochStale)
    #expect(try await send(present + 1) == .epochUnknown)
    #expect(try await send(.max) == .epochUnknown)
    #expect(try await send(present, .proposal) == nil)
    #expect(try await send(present - 1, .proposal) == .epochConflict)
    #expect(try await send(present + 1, .proposal) == .epochUnknown)
    // A send id that was refused is free for the same message, sealed anew.
    let id: SendID = StoreWorld.random()
    let stale = try await refusal { try await world.send(StoreWorld.message(room, from: alice, epoch: 0, id: id, [1])) }
    #expect(stale == .epochStale)
    #expect(try await world.send(StoreWorld.message(room, from: alice, epoch: 5, id: id, [2])).entry != nil)
  }

  @Test(arguments: StoreKind.allCases) func manySendersAtOnceKeepEveryRoomInOrder(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let people = try await people(8, in: world)
    var rooms: [RoomID] = []
    for _ in 0..<10 { rooms.append(try await world.room(of: people[0], with: people[1], people[2], people[3])) }
    let (allRooms, total) = (rooms, 5000)
    // The order in which completions ran, as a broadcast would see it.
    let broadcast = Recorder()
    await withTaskGroup { group in
      for task in 0..<64 {
        group.addTask {
          for index in stride(from: task, to: total, by: 64) {
            let content = [UInt8(index >> 8), UInt8(index & 255)]
            let message = StoreWorld.message(
              allRooms[index % allRooms.count], from: people[index % 4], epoch: 1, content)
            await withCheckedContinuation { continuation in
              world.store.append([message]) { outcomes in
                broadcast.entries.withLock { $0 += outcomes.compactMap { try? $0.get().entry } }
                continuation.resume()
              }
            }
          }
        }
      }
    }
    let entries = broadcast.entries.withLock { $0 }
    #expect(entries.count == total)
    #expect(Set(entries.map(\.message.bytes)).count == total)
    for room in rooms {
      // Entry 1 is the commit that added the others.
      let seen = entries.filter { $0.room == room }
      #expect(seen.map(\.sequence) == Array(2...UInt64(total / rooms.count + 1)))
      var stored: [LogEntry] = []
      while case let page = try await world.log(room, for: people[3], after: stored.last?.sequence ?? 1).entries,
        !page.isEmpty
      { stored += page }
      #expect(stored == seen)
    }
    // Group commit: 64 wait at a time, so a transaction holds many. Serial writes would take one each.
    let setup = UInt64(8 + 20 + 10)
    switch world.store {
    case let store as SQLiteStore:
      #expect(store.commits < setup + UInt64(total / 4), "\(store.commits) transactions")
      #expect(store.storedEntries == UInt64(total + rooms.count))
    case let store as PostgresStore:
      #expect(store.commits < setup + UInt64(total / 4), "\(store.commits) transactions")
      #expect(store.storedEntries == UInt64(total + rooms.count))
    default: Issue.record("an unknown store")
    }
    await world.store.close()
  }

  private final class Recorder: Sendable {
    let entries = Mutex<[LogEntry]>([])
  }

  private func people(_ count: Int, in world: StoreWorld) async throws -> [StoreWorld.Person] {
    var people: [StoreWorld.Person] = []
    for index in 0..<count { people.append(try await world.person("person\(index)")) }
    return people
  }

  @Test(arguments: StoreKind.allCases) func messagesAndCommitsInterleave(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: alice, with: bob)
    // What a hub would broadcast, in the order in which it would.
    let broadcast = Recorder()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for epoch in 1...50 as ClosedRange<UInt64> {
          _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: epoch)) { appended in
            broadcast.entries.withLock { $0 += [appended.entry].compactMap { $0 } }
          }
          // Refused half-way, after it has written: it must take nothing of its neighbours with it.
          _ = try? await world.store.commit(
            StoreWorld.commit(
              room, from: alice, epoch: epoch + 1,
              adding: [.init(user: StoreWorld.random(), device: bob.device, name: "")]))
        }
      }
      for sender in [alice, bob] {
        group.addTask {
          for _ in 0..<200 {
            let epoch = try await world.store.room(room, for: sender.user).epoch
            await withCheckedContinuation { continuation in
              world.store.append([StoreWorld.message(room, from: sender, epoch: epoch)]) { outcomes in
                broadcast.entries.withLock { $0 += outcomes.compactMap { try? $0.get().entry } }
                continuation.resume()
              }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let log = try await world.log(room, for: bob)
    #expect(log.entries.map(\.sequence) == Array(1...log.last.sequence))
    #expect(log.epoch == 51)
    // Entry 1 is the commit that added Bob.
    #expect(broadcast.entries.withLock { $0 } == Array(log.entries.dropFirst()))
    #expect(log.entries.filter { $0.kind == .commit }.map(\.epoch) == Array(0...50))
    // No message stands behind the commit that ended what it may still name.
    var epoch: UInt64 = 0
    for entry in log.entries {
      if entry.kind == .commit { epoch = entry.epoch + 1 } else { #expect(entry.epoch + Limits.pastEpochs >= epoch) }
    }
    await world.store.close()
  }

  // MARK: Life

  @Test(arguments: StoreKind.allCases) func aReopenedStoreIsTheSame(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: alice, with: bob)
    let message = StoreWorld.message(room, from: bob, epoch: 1, [42])
    let first = try await world.send(message)
    try await world.store.check()
    let reopened = try await world.reopened()
    #expect(reopened.incarnation == world.store.incarnation)
    #expect(try await reopened.room(room, for: bob.user).position.sequence == 2)
    let retried = try await reopened.send([message])[0].get()
    #expect(retried.response == first.response)
    #expect(retried.entry == nil)
    let next = try await reopened.send([StoreWorld.message(room, from: alice, epoch: 1)])[0].get()
    #expect(next.response.position.sequence == 3)
    #expect(try await reopened.welcomes(for: bob.device).count == 1)
    await reopened.close()
  }

  @Test(arguments: StoreKind.allCases) func aClosedStoreFinishesAndThenRefuses(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    let accepted = Mutex(0)
    for _ in 0..<100 {
      world.store.append([StoreWorld.message(room, from: alice)]) { outcomes in
        if case .success = outcomes[0] { accepted.withLock { $0 += 1 } }
      }
    }
    await world.store.close()
    #expect(accepted.withLock { $0 } == 100)
    await world.store.close()
    #expect(try await refusal { try await world.send(StoreWorld.message(room, from: alice)) } == .unavailable)
    #expect(try await refusal { try await world.store.check() } == .unavailable)
    #expect(try await refusal { _ = try await world.store.rooms(of: alice.user) } == .unavailable)
    #expect(try await refusal { try await world.store.endSession(id: 1) } == .unavailable)
  }

  /// What was sent to a room outlives it: to look for it would take as long as there is much, and everybody can end rooms.
  @Test(arguments: StoreKind.allCases) func sendsOfErasedRoomsConfuseNothing(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let (gone, room) = (try await world.room(of: alice), try await world.room(of: bob, with: alice))
    let old = StoreWorld.message(gone, from: alice)
    try await world.send(old)
    _ = try await world.store.deleteRoom(gone, proof: [1], by: alice.user, device: alice.device, now: 5)
    // The next one may get its number.
    let next = try await world.room(of: alice)
    #expect(await world.send([old])[0].refusal == .roomNotFound)
    for target in [room, next] {
      let (id, epoch) = (old.request.sendID, target == room ? UInt64(1) : 0)
      let again = StoreWorld.message(target, from: alice, epoch: epoch, id: id)
      let outcomes = await world.send([again, StoreWorld.message(target, from: alice, epoch: epoch)])
      #expect(outcomes[0].refusal == .sendIDReused && outcomes[1].refusal == nil)
      let commit = StoreWorld.commit(target, from: alice, epoch: epoch, id: id)
      #expect(try await refusal { _ = try await world.store.commit(commit) } == .sendIDReused)
    }
    #expect(try await world.log(next, for: alice).entries.count == 1)
    // Nor does a device that comes back under its id find what it sent before.
    try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(2, StoreWorld.random()))
    try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(3, alice.device))
    #expect(await world.send([StoreWorld.message(next, from: alice, id: old.request.sendID)])[0].refusal == nil)
  }
}
