import Glibc
import PostgresFixture
import RelayProtocol
import Synchronization
import Testing

@testable import RelayServer

/// Several relays on one database, and a server that goes away under them.
@Suite struct PostgresNodesTests {
  /// Stores of several nodes on one new database.
  private func nodes(_ count: Int, on server: PostgresServer? = nil, patience: Duration = .seconds(20)) throws
    -> (address: String, stores: [PostgresStore])
  {
    let address = try (server ?? PostgresServer.shared()).makeDatabase()
    var configuration = PostgresStore.Configuration(PostgresSettings(address))
    configuration.patience = patience
    return (address, try (0..<count).map { _ in try PostgresStore(configuration) })
  }

  private func person(_ name: String, at store: any RelayStore) async throws -> StoreWorld.Person {
    let person = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: name)
    try await store.createAccount(StoreWorld.account(person), devices: StoreWorld.list(1, person.device))
    return person
  }

  private func room(of owner: StoreWorld.Person, with others: [StoreWorld.Person], at store: any RelayStore)
    async throws -> RoomID
  {
    let room: RoomID = StoreWorld.random()
    _ = try await store.createRoom(room, owner: owner.user, now: 1)
    _ = try await store.commit(StoreWorld.commit(room, from: owner, epoch: 0, adding: others))
    return room
  }

  private func log(_ room: RoomID, for person: StoreWorld.Person, at store: any RelayStore) async throws -> [LogEntry] {
    var entries: [LogEntry] = []
    while case let page = try await store.entries(
      of: room, after: entries.last?.sequence ?? 0, limit: 500, bytes: 1 << 20, for: person.user
    ).entries, !page.isEmpty { entries += page }
    return entries
  }

  /// What one node would broadcast, in that order.
  private final class Broadcast: Sendable {
    let entries = Mutex<[LogEntry]>([])
    /// What senders were told, by its place in the log.
    let acknowledged = Mutex<[UInt64: [UInt8]]>([:])

    func add(_ outcomes: [Result<Appended, RelayError>]) {
      entries.withLock { $0 += outcomes.compactMap { try? $0.get().entry } }
    }
  }

  @Test func nodesShareRoomsWithoutGapsOrDoubles() async throws {
    let (_, stores) = try nodes(3)
    let (alice, bob) = (try await person("alice", at: stores[0]), try await person("bob", at: stores[1]))
    var rooms: [RoomID] = []
    for index in 0..<6 { rooms.append(try await room(of: alice, with: [bob], at: stores[index % 3])) }
    let (all, broadcasts) = (rooms, stores.map { _ in Broadcast() })
    let (senders, each) = (24, 60)
    await withTaskGroup { group in
      for sender in 0..<senders {
        group.addTask {
          let (store, broadcast) = (stores[sender % 3], broadcasts[sender % 3])
          for index in stride(from: 0, to: each, by: 3) {
            // Three rooms in one call, in an order of the sender's own: locks in that order would wait in circles.
            let messages = (0..<3).map { part in
              StoreWorld.message(
                all[(sender + index + part * 5) % all.count], from: sender % 2 == 0 ? alice : bob, epoch: 1,
                [UInt8(sender), UInt8(index + part)])
            }
            await withCheckedContinuation { continuation in
              store.append(messages) { outcomes in
                broadcast.add(outcomes)
                for outcome in outcomes where outcome.refusal != nil { Issue.record("\(outcome)") }
                continuation.resume()
              }
            }
          }
        }
      }
    }
    var total = 0
    for room in rooms {
      let entries = try await log(room, for: bob, at: stores[2])
      #expect(entries.map(\.sequence) == Array(1...UInt64(entries.count)))
      total += entries.count - 1
      var seen = 1
      for broadcast in broadcasts {
        let own = broadcast.entries.withLock { $0 }.filter { $0.room == room }
        #expect(zip(own, own.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        #expect(own.allSatisfy { entries[Int($0.sequence) - 1] == $0 })
        seen += own.count
      }
      #expect(seen == entries.count)
    }
    #expect(total == senders * each)
    for store in stores { await store.close() }
  }

  @Test func ofTwoNodesCommitsOneWinsEachEpoch() async throws {
    let (_, stores) = try nodes(2)
    let people = [try await person("alice", at: stores[0]), try await person("bob", at: stores[1])]
    let room = try await room(of: people[0], with: [people[1]], at: stores[0])
    for epoch in 1...30 as ClosedRange<UInt64> {
      let codes = await withTaskGroup(of: RelayCode?.self) { group in
        for (store, person) in zip(stores, people) {
          group.addTask {
            do {
              _ = try await store.commit(StoreWorld.commit(room, from: person, epoch: epoch))
              return nil
            } catch { return (error as? RelayError)?.code ?? .internalError }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(codes.count { $0 == nil } == 1 && codes.count { $0 == .epochConflict } == 1, "\(codes)")
    }
    #expect(try await log(room, for: people[0], at: stores[1]).map(\.epoch) == Array(0...30))
    // A retry that arrives at the other node, even at the same time, finds the first.
    let commit = StoreWorld.commit(room, from: people[0], epoch: 31)
    async let one = stores[0].commit(commit)
    async let two = stores[1].commit(commit)
    let both = try await [one, two]
    #expect(both[0].response == both[1].response)
    #expect(both.count { $0.entry != nil } == 1)
    for store in stores { await store.close() }
  }

  @Test func twoNodesNeverHandOutOnePackageTwice() async throws {
    let (_, stores) = try nodes(2)
    let alice = try await person("alice", at: stores[0])
    _ = try await stores[0].addKeyPackages((0..<100).map { [1, $0] }, lastResort: [255], device: alice.device)
    let claimed = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for index in 0..<150 {
        group.addTask { try await stores[index % 2].claimKeyPackages(of: alice.user).claimed[0].keyPackage.bytes }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(claimed.count { $0 == [255] } == 50)
    #expect(Set(claimed).count == 101)
    for store in stores { await store.close() }
  }

  @Test func nothingOfARemovedMemberStandsBehindItsRemoval() async throws {
    let (_, stores) = try nodes(2)
    let (alice, bob) = (try await person("alice", at: stores[0]), try await person("bob", at: stores[1]))
    for round in 0..<10 {
      let room = try await room(of: alice, with: [bob], at: stores[round % 2])
      async let sends: [Result<Appended, RelayError>] = withTaskGroup { group in
        for _ in 0..<12 {
          group.addTask { await stores[1].send([StoreWorld.message(room, from: bob, epoch: 1, [66])])[0] }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      // Added again and removed on one node while the other takes in what it sends.
      async let removal = stores[0].commit(StoreWorld.commit(room, from: alice, epoch: 1, removing: [bob]))
      let place = try await removal.response.position.sequence
      let outcomes = await sends
      #expect(outcomes.allSatisfy { $0.refusal == nil || $0.refusal == .roomNotFound })
      let entries = try await log(room, for: alice, at: stores[1])
      #expect(entries.filter { $0.message.bytes == [66] }.allSatisfy { $0.sequence < place })
      #expect(entries.count { $0.message.bytes == [66] } == outcomes.count { $0.refusal == nil })
      let late = await stores[1].send([StoreWorld.message(room, from: bob, epoch: 1)])
      #expect(late[0].refusal == .roomNotFound)
    }
    for store in stores { await store.close() }
  }

  @Test func aDeviceThatAnotherNodeRevokesSendsNoMore() async throws {
    let (_, stores) = try nodes(2)
    let alice = try await person("alice", at: stores[0])
    let room = try await room(of: alice, with: [], at: stores[0])
    #expect(await stores[1].send([StoreWorld.message(room, from: alice, epoch: 1)])[0].refusal == nil)
    try await stores[0].replaceDeviceList(of: alice.user, with: StoreWorld.list(2, StoreWorld.random()))
    #expect(await stores[1].send([StoreWorld.message(room, from: alice, epoch: 1)])[0].refusal == .deviceUnknown)
    for store in stores { await store.close() }
  }

  // MARK: A server that goes away

  /// Sends from several tasks, each message once more if it was refused, while `trouble` does its worst.
  private func deliverAll(
    _ stores: [PostgresStore], _ room: RoomID, from alice: StoreWorld.Person, count: Int,
    during trouble: @escaping @Sendable () async throws -> Void
  ) async throws {
    let broadcast = Broadcast()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await trouble() }
      for task in 0..<8 {
        group.addTask {
          for index in 0..<count {
            let content = [UInt8(task), UInt8(index >> 8), UInt8(index & 255)]
            let message = StoreWorld.message(room, from: alice, epoch: 1, content)
            for attempt in 0... {
              let outcome = await withCheckedContinuation { continuation in
                stores[(task + attempt) % stores.count].append([message]) { outcomes in
                  broadcast.add(outcomes)
                  continuation.resume(returning: outcomes[0])
                }
              }
              if case .success(let appended) = outcome {
                broadcast.acknowledged.withLock { $0[appended.response.position.sequence] = content }
                break
              }
              #expect(outcome.refusal == .unavailable)
              guard attempt < 100 else { throw RelayError(.unavailable, "gave up") }
              try await Task.sleep(for: .milliseconds(50))
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let entries = try await log(room, for: alice, at: stores[0])
    #expect(entries.map(\.sequence) == Array(1...UInt64(entries.count)))
    // Entry 1 is the commit of the room's beginning; everything else is there once, where it was said to be.
    #expect(entries.count == 8 * count + 1)
    let promised = broadcast.acknowledged.withLock { $0 }
    #expect(promised.count == 8 * count)
    #expect(entries.dropFirst().allSatisfy { promised[$0.sequence] == $0.message.bytes })
    // Nobody was told of something twice.
    let told = broadcast.entries.withLock { $0 }
    #expect(Set(told.map(\.sequence)).count == told.count)
  }

  @Test func aServerThatCrashesUnderLoadLosesAndDoublesNothing() async throws {
    let server = try PostgresServer()
    let (_, stores) = try nodes(2, on: server)
    let alice = try await person("alice", at: stores[0])
    let room = try await room(of: alice, with: [], at: stores[0])
    try await deliverAll(stores, room, from: alice, count: 400) {
      for round in 0..<3 {
        try await Task.sleep(for: .milliseconds(250))
        try server.stop(round == 1 ? .restart : .crash)
        try server.start()
      }
    }
    for store in stores { await store.close() }
  }

  @Test func connectionsThatBreakAtAnyInstantLoseAndDoubleNothing() async throws {
    let server = try PostgresServer.shared()
    let (address, stores) = try nodes(2)
    let alice = try await person("alice", at: stores[0])
    let room = try await room(of: alice, with: [], at: stores[0])
    try await deliverAll(stores, room, from: alice, count: 400) {
      for _ in 0..<60 {
        try await Task.sleep(for: .milliseconds(Int64.random(in: 1...15)))
        try server.run(
          """
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'kin-relay'
          """, in: address)
      }
    }
    for store in stores { await store.close() }
  }

  @Test func aServerThatStaysAwayIsNotWaitedForTwice() async throws {
    let server = try PostgresServer()
    let (_, stores) = try nodes(1, on: server, patience: .milliseconds(300))
    let alice = try await person("alice", at: stores[0])
    let room = try await room(of: alice, with: [], at: stores[0])
    try server.stop(.crash)
    let start = ContinuousClock.now
    for _ in 0..<20 {
      #expect(await stores[0].send([StoreWorld.message(room, from: alice, epoch: 1)])[0].refusal == .unavailable)
      #expect(try await refusal { _ = try await stores[0].rooms(of: alice.user) } == .unavailable)
      #expect(try await refusal { try await stores[0].endSession(id: 1) } == .unavailable)
    }
    #expect(ContinuousClock.now - start < .seconds(10))
    try server.start()
    #expect(await stores[0].send([StoreWorld.message(room, from: alice, epoch: 1)])[0].refusal == nil)
    await stores[0].close()
  }

  // MARK: What is decided while another decides

  /// Runs `body` while `statements` of another node are under way, and commits them when it waits for their locks.
  private func during<T: Sendable>(
    _ statements: StaticString, in address: String, _ body: @escaping @Sendable () async throws -> T
  ) async throws -> T {
    let other = PostgresConnection(PostgresSettings(address), for: .writing)
    try other.connect()
    try other.script("BEGIN")
    try other.script(statements)
    let task = Task { try await body() }
    let isWaiting = try await eventually(.seconds(20)) {
      try PostgresServer.shared().run(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", in: address
      ).count > 0
    }
    #expect(isWaiting)
    try other.script("COMMIT")
    return try await task.value
  }

  /// Of a login and of the end of the account at another node, the end counts.
  @Test func noSessionSlipsInBesideTheEndOfItsAccount() async throws {
    let (address, stores) = try nodes(1)
    let alice = try await person("alice", at: stores[0])
    let outcome = try await during(
      """
      SELECT key FROM account FOR NO KEY UPDATE;
      INSERT INTO person (account, state) SELECT key, 1 FROM account;
      DELETE FROM session;
      """, in: address
    ) { [store = stores[0]] in
      try await refusal {
        try await store.createSession(
          SessionRecord(id: 1, user: alice.user, device: alice.device, refreshHash: [1], created: 1, expires: 100))
      }
    }
    #expect(outcome == .accountDisabled)
    #expect(try await stores[0].session(id: 1) == nil)
    for store in stores { await store.close() }
  }

  /// A room of two that its maker finishes just now is not taken for one that was given up.
  @Test func aRoomOfTwoIsNotPartedWhileItIsMade() async throws {
    let (address, stores) = try nodes(1)
    let (alice, bob) = (try await person("alice", at: stores[0]), try await person("bob", at: stores[0]))
    let room: RoomID = StoreWorld.random()
    func new(_ room: RoomID, _ owner: StoreWorld.Person, with peer: StoreWorld.Person, now: UInt64) -> NewRoom {
      NewRoom(room: room, owner: owner.user, direct: peer.user, joinRule: .closed, now: now)
    }
    _ = try await stores[0].createRoom(new(room, alice, with: bob, now: 1))
    let second = new(StoreWorld.random(), bob, with: alice, now: 1_000_000)
    let made = try await during(
      """
      UPDATE room SET epoch = 1;
      INSERT INTO member (room, account, joined, role)
      SELECT room.key, account.key, 1, 2 FROM room, account WHERE account.username = 'bob';
      """, in: address
    ) { [store = stores[0]] in try await store.createRoom(second) }
    #expect(!made.isNew && made.response.room == room && made.response.members == 2)
    for store in stores { await store.close() }
  }
}
