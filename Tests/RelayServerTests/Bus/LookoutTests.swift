import Networking
import Observability
import RelayProtocol
import Synchronization
import TestServers
import Testing
import WireCodec

@testable import RelayServer

/// Two nodes on one store: what one does is found by the other, with Redis and without.
struct LookoutTests {
  /// What serves clients on a node: follows rooms, has sessions, and asks for entries as a hub does.
  final class Post: BusListener, Lookouts {
    let lookout = Mutex<Lookout?>(nil)
    let serving = Mutex(Served())
    let ear = Ear()

    func served() async -> Served { serving.withLock { $0 } }

    func hear(_ wakes: [Wake]) {
      ear.hear(wakes)
      for wake in wakes {
        guard case .grown(let room, let last) = wake, serving.withLock({ $0.rooms.contains(room) }) else { continue }
        let reached = sequences(of: room).last ?? 0
        if last > reached { lookout.withLock { $0 }?.fetch(room, after: reached) }
      }
    }

    func entries(of room: RoomID) -> [StoredEntry] {
      ear.all.compactMap { if case .stored(let stored) = $0, stored.entry.room == room { stored } else { nil } }
    }

    func sequences(of room: RoomID) -> [UInt64] { entries(of: room).map(\.entry.sequence) }

    var ended: Set<UInt64> {
      Set(ear.all.compactMap { if case .sessionEnded(let session) = $0 { session } else { nil } })
    }
  }

  /// The world: a store, a writer on one node, and a post on another.
  struct Nodes {
    let world: StoreWorld
    let writer: LogWriter
    let bus: any Bus
    let post: Post
    let neighbours: [Neighbours]
    let loop: EventLoop
  }

  static func run(
    redis: Bool, interval: Duration = .seconds(2), _ body: (Nodes, RedisServer?) async throws -> Void
  ) async throws {
    let server = redis ? try RedisServer() : nil
    let world = try StoreWorld(.sqlite)
    let loop = EventLoop()
    var settings = RelayConfiguration()
    // Without a Redis of the test's own: an address where nobody listens.
    settings.redisAddress = RedisAddress(host: "127.0.0.1", port: try server?.port ?? Loopback.lastingPort())
    settings.pollInterval = interval
    let sink = LogSink(descriptor: 2, level: .off)
    var neighbours: [Neighbours] = []
    var posts: [Post] = []
    for _ in 0..<2 {
      let one = try await Neighbours(settings, store: world.store, metrics: Metrics(), log: sink)
      let post = Post()
      post.lookout.withLock { $0 = one.lookout }
      one.local.add(post)
      one.start([post], sharing: Throttles(settings, hits: Instruments(Metrics()).limits), on: loop)
      neighbours.append(one)
      posts.append(post)
    }
    if redis { #expect(try await eventually { posts.allSatisfy { $0.ear.isToldToLookAtAll } }) }
    let nodes = Nodes(
      world: world,
      writer: LogWriter(
        store: world.store, bus: neighbours[0].bus, instruments: Instruments(Metrics())), bus: neighbours[0].bus,
      post: posts[1], neighbours: neighbours, loop: loop)
    let result: Result<Void, any Error>
    do { result = .success(try await body(nodes, server)) } catch { result = .failure(error) }
    for one in neighbours { await one.close() }
    await world.store.close()
    await loop.shutdown()
    try result.get()
  }

  @Test(arguments: [true, false]) func findsEntriesOfTheOtherNode(redis: Bool) async throws {
    // With Redis the interval is too long to have anything to do with it.
    try await Self.run(redis: redis, interval: redis ? .seconds(60) : .milliseconds(100)) { nodes, _ in
      let (alice, bob) = (try await nodes.world.person("alice"), try await nodes.world.person("bob"))
      let room = try await nodes.world.room(of: alice, with: bob)
      nodes.post.serving.withLock { $0.rooms = [room] }
      for number in 1...700 {
        _ = try await nodes.writer.append(
          StoreWorld.message(room, from: alice, epoch: 1, [UInt8(truncatingIfNeeded: number), 1]))
      }
      _ = try await nodes.writer.commit(StoreWorld.commit(room, from: alice, epoch: 1, removing: [bob]))
      #expect(try await eventually { nodes.post.sequences(of: room).last == 702 })
      // The room's first entry, its making, is older than the first look.
      let found = nodes.post.entries(of: room)
      #expect(Array(Set(found.map(\.entry.sequence))).sorted() == Array(1...702))
      // It is known to whom the entry is the last.
      #expect(found.allSatisfy { $0.removed == ($0.entry.sequence == 702 ? [bob.user] : []) })
    }
  }

  /// Looks that lead to nothing, and rooms that nobody follows, cost no reads.
  @Test func readsNothingForRoomsThatNobodyFollows() async throws {
    try await Self.run(redis: true, interval: .seconds(60)) { nodes, _ in
      let alice = try await nodes.world.person("alice")
      let room = try await nodes.world.room(of: alice)
      _ = try await nodes.writer.append(StoreWorld.message(room, from: alice))
      #expect(try await eventually { !nodes.post.ear.heights(of: room).isEmpty })
      #expect(nodes.post.entries(of: room).isEmpty)
    }
  }

  @Test(arguments: [true, false]) func noticesWelcomesAndEndedSessions(redis: Bool) async throws {
    try await Self.run(redis: redis, interval: redis ? .seconds(60) : .milliseconds(100)) { nodes, _ in
      let (alice, bob) = (try await nodes.world.person("alice"), try await nodes.world.person("bob"))
      for session in 1...2 as ClosedRange<UInt64> {
        try await nodes.world.store.createSession(
          SessionRecord(
            id: session, user: bob.user, device: bob.device, refreshHash: [UInt8(session)], created: 1,
            expires: .max >> 1))
      }
      nodes.post.serving.withLock { $0.sessions = [1: bob.device, 2: bob.device] }
      try await nodes.world.store.endSession(id: 1)
      nodes.bus.publish([.sessionEnded(1)])
      #expect(try await eventually { nodes.post.ended == [1] })
      let room: RoomID = .random()
      _ = try await nodes.world.store.createRoom(room, owner: alice.user, now: 1)
      _ = try await nodes.writer.commit(
        StoreWorld.commit(room, from: alice, epoch: 0, welcome: [9], for: [bob.device], adding: [bob]))
      #expect(try await eventually { nodes.post.ear.looks == [bob.device] })
      // The device goes, and all its sessions with it.
      try await nodes.world.store.replaceDeviceList(of: bob.user, with: StoreWorld.list(2))
      nodes.bus.publish([.devicesGone([bob.device])])
      #expect(try await eventually { nodes.post.ended == [1, 2] })
    }
  }

  /// Attack 51: what stands on the channel ends no session that the store says lives, and makes up no entry.
  @Test func forgedWakesEndNothingAndShowNothing() async throws {
    try await Self.run(redis: true, interval: .seconds(60)) { nodes, server in
      let alice = try await nodes.world.person("alice")
      let room = try await nodes.world.room(of: alice)
      try await nodes.world.store.createSession(
        SessionRecord(
          id: 5, user: alice.user, device: alice.device, refreshHash: [1], created: 1, expires: .max >> 1))
      nodes.post.serving.withLock { ($0.rooms, $0.sessions) = ([room], [5: alice.device]) }
      let channel = try #require(nodes.neighbours[1].redis?.channel)
      try server?.publish(
        BusMessage(
          node: 1, items: [.session(5), .device(alice.device), .grown(room, last: UInt64(Int64.max)), .everything]
        ).encoded, on: channel)
      #expect(try await eventually { nodes.post.ear.ended == Doubt(sessions: [5], devices: [alice.device]) })
      // Time for the looks that the message led to.
      try await Task.sleep(for: .milliseconds(200))
      #expect(nodes.post.ended.isEmpty && nodes.post.entries(of: room).isEmpty)
      // The room still works: what is really stored comes.
      _ = try await nodes.writer.append(StoreWorld.message(room, from: alice))
      #expect(try await eventually { nodes.post.sequences(of: room) == [1] })
    }
  }

  /// `FLUSHALL`, a death and a return of Redis: entries come by looking, and quickly again afterwards.
  @Test func losesNothingWithRedis() async throws {
    try await Self.run(redis: true, interval: .milliseconds(300)) { nodes, server in
      let server = try #require(server)
      let alice = try await nodes.world.person("alice")
      let room = try await nodes.world.room(of: alice)
      nodes.post.serving.withLock { $0.rooms = [room] }
      func send() async throws -> UInt64 {
        try await nodes.writer.append(StoreWorld.message(room, from: alice)).response.position.sequence
      }
      var sequence = try await send()
      #expect(try await eventually { nodes.post.sequences(of: room).last == sequence })
      try server.command("FLUSHALL")
      sequence = try await send()
      #expect(try await eventually { nodes.post.sequences(of: room).last == sequence })
      server.kill()
      sequence = try await send()
      #expect(try await eventually { nodes.post.sequences(of: room).last == sequence })
      try server.start()
      sequence = try await send()
      #expect(try await eventually { nodes.post.sequences(of: room).last == sequence })
      #expect(nodes.post.sequences(of: room) == Array(1...sequence))
    }
  }
}
