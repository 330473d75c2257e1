import Networking
import Observability
import RelayProtocol
import Synchronization
import TestServers
import Testing
import WireCodec

@testable import RelayServer

/// Who is told what of whom, over two nodes that share a store and a Redis.
struct PresenceNodesTests {
  /// A node without sockets: what its clients would be told goes to an ear.
  final class Node: Sendable {
    let ear = Ear()
    let keeper: PresenceKeeper
    let neighbours: Neighbours
    private let task: Task<Void, Never>

    init(_ store: any RelayStore, port: UInt16, on loop: EventLoop) async throws {
      var settings = RelayConfiguration()
      settings.redisAddress = RedisAddress(host: "127.0.0.1", port: port)
      settings.pollInterval = .seconds(60)
      settings.presenceLease = .milliseconds(PresenceWorld.times.lease)
      let neighbours = try await Neighbours(
        settings, store: store, metrics: Metrics(), log: LogSink(descriptor: 2, level: .off))
      let keeper = PresenceKeeper(
        store: store, leases: neighbours.presence, bus: neighbours.bus, lease: PresenceWorld.times.lease,
        now: Relay.wallClock)
      neighbours.local.add(ear)
      neighbours.local.add(keeper)
      neighbours.start([], sharing: Throttles(settings, hits: Instruments(Metrics()).limits), on: loop) {
        keeper.tell(.retell)
      }
      (self.keeper, self.neighbours) = (keeper, neighbours)
      task = Task { await keeper.run() }
    }

    /// What those who are connected here are told of somebody, and who they are.
    func told(of user: UserID) -> [(status: PresenceStatus, audience: Set<UserID>)] {
      ear.all.compactMap { wake in
        guard case .tell(.presence(let news), let audience) = wake, news.user == user else { return nil }
        return (news.status, Set(audience))
      }
    }

    func statuses(of user: UserID) -> [PresenceStatus] { told(of: user).map(\.status) }

    func close() async {
      task.cancel()
      await task.value
      await neighbours.close()
    }
  }

  struct Nodes {
    let world: StoreWorld
    let server: RedisServer
    let near: Node
    let far: Node
    let alice: StoreWorld.Person
    let bob: StoreWorld.Person
    let stranger: StoreWorld.Person
  }

  /// Alice and bob are contacts; bob and a stranger are connected to the far node.
  private func run(_ body: (Nodes) async throws -> Void) async throws {
    let server = try RedisServer()
    let world = try StoreWorld(.sqlite)
    let loop = EventLoop()
    let people = [
      try await world.person("alice"), try await world.person("bob"), try await world.person("stranger"),
    ]
    _ = try await world.store.change(.request, of: people[0].user, with: people[1].user, now: 1)
    _ = try await world.store.change(.accept, of: people[1].user, with: people[0].user, now: 1)
    let near = try await Node(world.store, port: server.port, on: loop)
    let far = try await Node(world.store, port: server.port, on: loop)
    let isHeard = try await eventually { near.ear.isToldToLookAtAll && far.ear.isToldToLookAtAll }
    #expect(isHeard)
    for person in people[1...] { far.keeper.tell(.arrived(person.user)) }
    let nodes = Nodes(
      world: world, server: server, near: near, far: far, alice: people[0], bob: people[1], stranger: people[2])
    let result: Result<Void, any Error>
    do { result = .success(try await body(nodes)) } catch { result = .failure(error) }
    await near.close()
    await far.close()
    await world.store.close()
    await loop.shutdown()
    try result.get()
  }

  private func seen(_ user: UserID, by viewer: UserID, at node: Node) async throws -> PresenceStatus? {
    try await node.keeper.presence(of: [user], for: viewer).first?.status
  }

  @Test func comingGoingAndChangesAreToldAtTheOtherNode() async throws {
    try await run { (nodes) async throws in
      let (alice, bob) = (nodes.alice.user, nodes.bob.user)
      nodes.near.keeper.tell(.arrived(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online] })
      #expect(nodes.far.told(of: alice).allSatisfy { $0.audience == [bob] })
      #expect(try await seen(alice, by: bob, at: nodes.far) == .online)
      // Said at a node where she is not.
      try await nodes.world.store.changePresence(of: alice, to: .busy, isShown: true)
      nodes.far.keeper.tell(.changed(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online, .busy] })
      nodes.near.keeper.tell(.left(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online, .busy, .offline] })
      #expect(try await seen(alice, by: bob, at: nodes.far) == .offline)
      #expect(try await nodes.world.store.account(id: alice)?.lastSeen ?? 0 > 0)
      // At two nodes: she is gone when both are left.
      for node in [nodes.near, nodes.far] { node.keeper.tell(.arrived(alice)) }
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .busy })
      nodes.near.keeper.tell(.left(alice))
      try await Task.sleep(for: .milliseconds(2 * PresenceWorld.times.grace))
      #expect(nodes.far.statuses(of: alice).last == .busy)
      nodes.near.keeper.tell(.profile(alice))
      #expect(
        try await eventually {
          nodes.far.ear.all.contains { wake in
            if case .tell(.profile(alice), let audience) = wake { audience == [bob] } else { false }
          }
        })
      #expect(nodes.far.told(of: alice).allSatisfy { $0.audience == [bob] })
    }
  }

  @Test func whoseNodeDiesIsSaidToBeGone() async throws {
    try await run { (nodes) async throws in
      let (alice, bob) = (nodes.alice.user, nodes.bob.user)
      nodes.near.keeper.tell(.arrived(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online] })
      let start = ContinuousClock.now
      await nodes.near.close()
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online, .offline] })
      #expect(start.duration(to: .now) < .milliseconds(3 * PresenceWorld.times.lease))
      #expect(try await seen(alice, by: bob, at: nodes.far) == .offline)
    }
  }

  /// What changed while Redis was away is told when it is back, and what did not change is told to nobody.
  @Test func catchesUpWhenRedisIsBack() async throws {
    try await run { (nodes) async throws in
      let (alice, bob) = (nodes.alice.user, nodes.bob.user)
      nodes.near.keeper.tell(.arrived(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online] })
      for _ in 0..<2 {
        try nodes.server.command("FLUSHALL")
        nodes.server.kill()
        try await Task.sleep(for: .milliseconds(300))
        try nodes.server.start()
        #expect(try await eventually { try await seen(alice, by: bob, at: nodes.far) == .online })
      }
      try await Task.sleep(for: .milliseconds(PresenceWorld.times.lease))
      let flaps = nodes.far.statuses(of: alice).filter { $0 == .offline }
      #expect(flaps.isEmpty)
      nodes.server.kill()
      nodes.near.keeper.tell(.left(alice))
      try await Task.sleep(for: .milliseconds(2 * PresenceWorld.times.grace))
      #expect(nodes.far.statuses(of: alice).last == .online, "nobody can know")
      try nodes.server.start()
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .offline })
      // Away for longer than any lease lasts: who cannot be asked about is not shown any more, and then is again.
      nodes.near.keeper.tell(.arrived(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .online })
      nodes.server.kill()
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .offline })
      try nodes.server.start()
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .online })
    }
  }

  /// Attack 51: leases and hints that somebody copied, made up or says again show nothing to those who may not know, nothing of who
  /// hides it, and end nothing.
  @Test func strangersOnRedisShowNobodyToAnybodyElse() async throws {
    try await run { (nodes) async throws in
      let (alice, bob, stranger) = (nodes.alice.user, nodes.bob.user, nodes.stranger.user)
      let spy = PresenceWorld.Node(port: nodes.server.port, secret: NodeSecret([UInt8](repeating: 1, count: 32)))
      #expect(try await eventually { await spy.isUp() })
      let heard = Mutex<[[UInt8]]>([])
      let channel = try #require(nodes.near.neighbours.redis?.channel)
      var configuration = RedisConfiguration()
      configuration.port = nodes.server.port
      let listener = Redis(configuration, log: Log("spy", to: LogSink(descriptor: 2, level: .off)))
      listener.start(ready: {}, listening: {}, message: { message in heard.withLock { $0.append(message) } })
      #expect(
        try await eventually {
          await spy.ask("PUBSUB", "NUMSUB", channel) == .list([.bytes(Array(channel.utf8)), .integer(4)])
        })
      nodes.near.keeper.tell(.arrived(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice) == [.online] })
      let messages = heard.withLock { $0 }
      #expect(!messages.isEmpty)
      // What is said names nobody.
      for message in messages {
        for user in [alice, bob, stranger] { #expect(!message.contains(user.bytes)) }
      }
      // Her lease, kept by somebody for ever under a relay that there is not.
      let own = await spy.keys().filter { $0.contains(":node:") }
      for key in own {
        for name in await spy.members(of: key) {
          _ = await spy.ask([Array("SADD".utf8), Array("kin:presence:node:forged".utf8), name])
        }
      }
      _ = await spy.ask("ZADD", "kin:presence:nodes", "9999999999999", "forged")
      func replay() async throws {
        for message in messages {
          try nodes.server.publish(message, on: channel)
          // As another node, or changed: it is not what was sealed.
          try nodes.server.publish([0, 0, 0, 0, 0, 0, 0, 1] + message.dropFirst(8), on: channel)
          try nodes.server.publish(message.dropLast() + [message[message.count - 1] ^ 1], on: channel)
        }
        try nodes.server.publish(BusMessage(node: 1, items: [.asks, .everything]).encoded, on: channel)
        try await Task.sleep(for: .milliseconds(PresenceWorld.times.unit))
      }
      try await replay()
      #expect(try await seen(alice, by: bob, at: nodes.far) == .online)
      #expect(try await seen(alice, by: stranger, at: nodes.far) == nil)
      // She hides: the forged lease is worth nothing.
      try await nodes.world.store.changePresence(of: alice, to: .online, isShown: false)
      nodes.near.keeper.tell(.changed(alice))
      #expect(try await eventually { nodes.far.statuses(of: alice).last == .offline })
      try await replay()
      #expect(nodes.far.statuses(of: alice).last == .offline)
      #expect(try await seen(alice, by: bob, at: nodes.far) == nil)
      // She shows it again, and blocks bob.
      try await nodes.world.store.changePresence(of: alice, to: .online, isShown: true)
      _ = try await nodes.world.store.change(.block, of: alice, with: bob, now: 2)
      nodes.far.ear.clear()
      nodes.near.keeper.tell(.changed(alice))
      try await Task.sleep(for: .milliseconds(2 * PresenceWorld.times.unit))
      try await replay()
      #expect(nodes.far.told(of: alice).isEmpty)
      #expect(try await seen(alice, by: bob, at: nodes.far) == nil)
      // The worst: she left, and still seems to be there to whom she may show it.
      _ = try await nodes.world.store.change(.unblock, of: alice, with: bob, now: 3)
      nodes.near.keeper.tell(.left(alice))
      try await Task.sleep(for: .milliseconds(3 * PresenceWorld.times.grace))
      #expect(nodes.far.told(of: alice).allSatisfy { $0.audience.isSubset(of: [bob]) })
      #expect(try await seen(alice, by: stranger, at: nodes.far) == nil)
      await listener.close()
      await spy.close()
    }
  }
}

extension [UInt8] {
  /// Whether these bytes stand in it.
  fileprivate func contains(_ bytes: [UInt8]) -> Bool {
    guard count >= bytes.count else { return false }
    return (0...(count - bytes.count)).contains { Array(self[$0..<$0 + bytes.count]) == bytes }
  }
}
