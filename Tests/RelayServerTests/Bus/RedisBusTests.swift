import Observability
import RelayProtocol
import TestServers
import Testing
import WireCodec

@testable import RelayServer

/// What a bus on Redis does besides: Redis may be gone, hostile, or another deployment's.
struct RedisBusTests {
  @Test func comesBackWithRedisAndSaysWhatWasMissed() async throws {
    let server = try RedisServer()
    let world = try await BusWorld(.redis, port: server.port)
    for _ in 0..<3 {
      server.kill()
      let room = RoomID.random()
      let start = ContinuousClock.now
      for sequence in 1...1000 as ClosedRange<UInt64> {
        world.near.publish([.stored(BusWorld.entry(sequence, in: room))])
      }
      #expect(start.duration(to: .now) < .seconds(5), "nothing waits for Redis")
      #expect(world.farEar.heights(of: room).isEmpty)
      try server.start()
      // What was said while the other end did not listen may be lost: then it is told to look at all.
      #expect(try await eventually { world.farEar.isToldToLookAtAll || world.farEar.heights(of: room).last == 1000 })
      let later = RoomID.random()
      var sequence: UInt64 = 0
      #expect(
        try await eventually {
          sequence += 1
          world.near.publish([.stored(BusWorld.entry(sequence, in: later))])
          return !world.farEar.heights(of: later).isEmpty
        })
      world.farEar.clear()
    }
    await world.close()
  }

  @Test func remembersLittleWhileRedisIsAway() async throws {
    let server = try RedisServer()
    let world = try await BusWorld(.redis, port: server.port)
    server.kill()
    for _ in 0..<3 * RedisBus.maxPending { world.near.publish([.stored(BusWorld.entry(1, in: .random()))]) }
    world.farEar.clear()
    try server.start()
    #expect(try await eventually { world.farEar.isToldToLookAtAll })
    await world.close()
  }

  /// A link on which nothing comes through, and no end is told: the worst that a network does.
  @Test func noticesALinkThatIsSilent() async throws {
    let server = try RedisServer()
    let proxy = try TCPProxy(to: server.port)
    let world = try await BusWorld(.redis, port: proxy.port)
    proxy.stall()
    let room = RoomID.random()
    world.near.publish([.stored(BusWorld.entry(5, in: room))])
    // Longer than it takes to notice.
    try await Task.sleep(for: .milliseconds(1500))
    world.near.publish([.stored(BusWorld.entry(6, in: room))])
    proxy.heal()
    #expect(try await eventually { world.farEar.isToldToLookAtAll || world.farEar.heights(of: room).last == 6 })
    await world.close()
    proxy.close()
  }

  /// Whoever can write to the channel achieves no more than that nodes look at the store.
  @Test func believesNothingThatStandsOnTheChannel() async throws {
    let server = try RedisServer()
    let metrics = Metrics()
    let ear = Ear()
    let node = BusWorld.Node(port: server.port, ear: ear, metrics: metrics)
    #expect(try await eventually { ear.isToldToLookAtAll })
    ear.clear()
    let channel = node.redis.channel
    let good = BusMessage(node: 1, items: [.session(3), .grown(.random(), last: 9)]).encoded
    var rubbish: [[UInt8]] = [[], [0], Array("hello".utf8), good + [0], [UInt8](repeating: 0xff, count: 300)]
    for count in 1..<good.count { rubbish.append(Array(good.prefix(count))) }
    // A type that does not exist, a log longer than any, more than one message may hold.
    rubbish.append(good.dropLast(34) + [9])
    rubbish.append(BusMessage(node: 1, items: [.grown(.random(), last: .max)]).encoded)
    rubbish.append(BusMessage(node: 1, items: Array(repeating: .session(1), count: 3000)).encoded)
    rubbish.append([UInt8](repeating: 7, count: 100_000))
    for message in rubbish { try server.publish(message, on: channel) }
    let device = DeviceID.random()
    let room = RoomID.random()
    try server.publish(
      BusMessage(
        node: 1, items: [.session(3), .device(device), .look(.welcomes, device), .grown(room, last: 9), .everything]
      ).encoded, on: channel)
    #expect(try await eventually { ear.isToldToLookAtAll })
    #expect(ear.all.count == 4)
    for wake in ear.all {
      switch wake {
      case .grown(let found, let last): #expect(found == room && last == 9)
      case .look(let subject, let devices): #expect(subject == .welcomes && devices == [device])
      case .doubted(let doubt): #expect(doubt == Doubt(sessions: [3], devices: [device]))
      case .everything: break
      case .stored, .sessionEnded, .devicesGone, .tell, .changed, .rumoured, .asks, .asked:
        Issue.record("something was believed")
      }
    }
    #expect(metrics.exposition().contains("kin_bus_rejected_total \(rubbish.count)\n"))
    // Far more than any message of ours: the link is given up instead of the memory, and comes back.
    ear.clear()
    try server.publish([UInt8](repeating: 7, count: 3 << 20), on: channel)
    #expect(try await eventually { ear.isToldToLookAtAll })
    await node.redis.close()
  }

  @Test func deploymentsWithPrefixesOfTheirOwnDoNotHearEachOther() async throws {
    let server = try RedisServer()
    let (ear, foreign) = (Ear(), Ear())
    let node = BusWorld.Node(port: server.port, ear: ear, metrics: Metrics())
    let other = BusWorld.Node(port: server.port, ear: foreign, metrics: Metrics()) { $0.prefix = "other" }
    #expect(try await eventually { ear.isToldToLookAtAll && foreign.isToldToLookAtAll })
    foreign.clear()
    let room = RoomID.random()
    let twin = BusWorld.Node(port: server.port, ear: Ear(), metrics: Metrics())
    var sequence: UInt64 = 0
    #expect(
      try await eventually {
        sequence += 1
        twin.bus.publish([.stored(BusWorld.entry(sequence, in: room))])
        return !ear.heights(of: room).isEmpty
      })
    #expect(foreign.all.isEmpty)
    for node in [node, other, twin] { await node.redis.close() }
  }

  @Test(arguments: [("", "the secret", true), ("kin", "another", true), ("kin", "the secret", false), ("", "", false)])
  func showsWhoItIs(_ user: String, _ password: String, isLetIn: Bool) async throws {
    let server = try RedisServer(
      "--requirepass", "the secret", "--user", "kin", "on", ">another", "~kin:*", "&kin:*", "+@all", "-@dangerous")
    let ear = Ear()
    let node = BusWorld.Node(port: server.port, ear: ear, metrics: Metrics()) {
      ($0.user, $0.password) = (user, password)
    }
    if isLetIn {
      #expect(try await eventually { ear.isToldToLookAtAll })
    } else {
      try await Task.sleep(for: .milliseconds(300))
      #expect(ear.all.isEmpty)
    }
    await node.redis.close()
  }
}
