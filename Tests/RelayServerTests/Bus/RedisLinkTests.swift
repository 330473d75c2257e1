import FoundationEssentials
import Networking
import Observability
import RelayProtocol
import TestServers
import Testing

@testable import RelayServer

/// The ways to Redis and what can be wrong with them: broken, slow, encrypted, and with few rights.
struct RedisLinkTests {
  /// Connections that Redis ends while much is said: what is not heard is looked for.
  @Test(arguments: ["normal", "pubsub"]) func comesBackWhenItsConnectionsAreEnded(_ type: String) async throws {
    let server = try RedisServer()
    let world = try await BusWorld(.redis, port: server.port)
    let room = RoomID.random()
    for sequence in 1...600 as ClosedRange<UInt64> {
      world.near.publish([.stored(BusWorld.entry(sequence, in: room))])
      if sequence % 200 == 100 { try server.command("CLIENT", "KILL", "TYPE", type) }
      try await Task.sleep(for: .milliseconds(1))
    }
    #expect(
      try await eventually { world.farEar.heights(of: room).last == 600 || world.farEar.isToldToLookAtAll })
    // And from then on as before.
    let later = RoomID.random()
    var sequence: UInt64 = 0
    #expect(
      try await eventually {
        sequence += 1
        world.near.publish([.stored(BusWorld.entry(sequence, in: later))])
        return !world.farEar.heights(of: later).isEmpty
      })
    await world.close()
  }

  /// A Redis that takes its time is no reason to wait, nor to say that all was lost.
  @Test func doesNotWaitForASlowRedis() async throws {
    let server = try RedisServer()
    let world = try await BusWorld(.redis, port: server.port)
    try server.command("CLIENT", "PAUSE", "600", "ALL")
    let room = RoomID.random()
    let start = ContinuousClock.now
    for sequence in 1...500 as ClosedRange<UInt64> {
      world.near.publish([.stored(BusWorld.entry(sequence, in: room))])
    }
    #expect(start.duration(to: .now) < .milliseconds(500))
    #expect(world.nearEar.heights(of: room).count == 500, "this node's own are told at once")
    #expect(try await eventually { world.farEar.heights(of: room).last == 500 })
    #expect(!world.farEar.isToldToLookAtAll)
    // What waited was gathered.
    #expect(world.farEar.heights(of: room).count < 50)
    await world.close()
  }

  @Test func speaksTLSToThoseItTrusts() async throws {
    let folder = try ServerFolder()
    let hosts = "DNS:localhost,IP:127.0.0.1"
    let (certificate, key) = try folder.makeCertificate(for: hosts)
    let (other, _) = try folder.makeCertificate("other", for: hosts)
    let port = try Loopback.lastingPort()
    let server = try RedisServer(
      "--tls-port", "\(port)", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate,
      "--tls-auth-clients", "no", "--requirepass", "the secret")
    func node(trusting file: String, _ ear: Ear) throws -> BusWorld.Node {
      let tls = try TLSClientContext(trustedCertificates: file)
      return BusWorld.Node(port: port, ear: ear, metrics: Metrics()) { ($0.tls, $0.password) = (tls, "the secret") }
    }
    let (ear, twinEar, distrustful) = (Ear(), Ear(), Ear())
    let nodes = [
      try node(trusting: certificate, ear), try node(trusting: certificate, twinEar),
      try node(trusting: other, distrustful),
    ]
    #expect(try await eventually { ear.isToldToLookAtAll && twinEar.isToldToLookAtAll })
    let room = RoomID.random()
    var sequence: UInt64 = 0
    #expect(
      try await eventually {
        sequence += 1
        nodes[0].bus.publish([.stored(BusWorld.entry(sequence, in: room))])
        return !twinEar.heights(of: room).isEmpty
      })
    #expect(distrustful.all.isEmpty, "who is not known is told no password")
    for node in nodes { await node.redis.close() }
    withExtendedLifetime(server) {}
  }

  /// All that relays ask of Redis is allowed by the line in docs/operations.md, and no more than that.
  @Test func needsNoMoreRightsThanTheManualSays() async throws {
    let page = try String(contentsOf: Peer.root.appending(path: "docs/operations.md"), encoding: .utf8)
    let start = try #require(page.firstRange(of: "`ACL SETUSER kin on >PASSWORD "))
    let words = page[start.upperBound...].prefix { $0 != "`" }.split(whereSeparator: \.isWhitespace).map(String.init)
    #expect(words.count > 15 && !words.contains { $0.hasPrefix("+@") || $0.contains("all") })
    let server = try RedisServer()
    #expect(try server.command(["ACL", "SETUSER", "kin", "on", ">another"] + words) == "+OK")
    let world = try StoreWorld(.sqlite)
    let loop = EventLoop()
    let folder = try ServerFolder()
    try "another\n".write(toFile: folder.path + "/password", atomically: true, encoding: .utf8)
    var settings = RelayConfiguration()
    settings.redisAddress = RedisAddress(host: "127.0.0.1", port: server.port)
    (settings.redisUser, settings.redisPasswordFile) = ("kin", folder.path + "/password")
    (settings.nodeName, settings.presenceLease) = ("one", .seconds(6))
    var nodes: [(neighbours: Neighbours, ear: Ear, throttles: Throttles)] = []
    for _ in 0..<2 {
      let neighbours = try await Neighbours(
        settings, store: world.store, metrics: Metrics(), log: LogSink(descriptor: 2, level: .off))
      let (ear, throttles) = (Ear(), Throttles(settings, hits: Instruments(Metrics()).limits))
      neighbours.local.add(ear)
      neighbours.start([], sharing: throttles, on: loop)
      nodes.append((neighbours, ear, throttles))
    }
    #expect(try await eventually { nodes.allSatisfy { $0.ear.isToldToLookAtAll } })
    let (user, room) = (UserID.random(), RoomID.random())
    nodes[0].neighbours.bus.publish([.stored(BusWorld.entry(1, in: room)), .changed([.presence(user)])])
    #expect(try await eventually { nodes[1].ear.heights(of: room) == [1] && nodes[1].ear.news == [.presence(user)] })
    await nodes[0].neighbours.presence.hold([user])
    #expect(await nodes[1].neighbours.presence.connected(among: [user]).users == [user])
    await nodes[0].neighbours.presence.release([user])
    #expect(await nodes[1].neighbours.presence.connected(among: [user]) == Connected(users: []))
    try nodes[0].throttles.request(by: user, now: Relay.wallClock())
    // Until the bucket is reported, and the relays are counted.
    try await Task.sleep(for: .milliseconds(2500))
    #expect(try server.command("ACL", "LOG") == "*0", "something was refused")
    #expect(try server.command("DBSIZE") != ":0")
    for node in nodes { await node.neighbours.close() }
    await world.store.close()
    await loop.shutdown()
  }
}
