import CryptoPrimitives
import RelayProtocol
import TestServers
import Testing

@testable import RelayServer

/// What leases in Redis do besides: nodes die, Redis is away, emptied, or written to by strangers.
struct RedisPresenceTests {
  private let lease = Duration.milliseconds(PresenceWorld.times.lease)

  private func run(
    proxied: Bool = false, _ body: (PresenceWorld, RedisServer, TCPProxy?) async throws -> Void
  ) async throws {
    try await PresenceWorld.run(.redis, proxied: proxied) { try await body($0, try #require($1), $2) }
  }

  private func isConnected(_ user: UserID, to store: any PresenceStore) async -> Bool {
    await store.connected(among: [user]).users == [user]
  }

  @Test func aNodeThatDiesRenewsNothing() async throws {
    try await run { (world, server, _) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      await world.near.hold([alice])
      await world.far.hold([bob])
      await world.nodes[0].close()
      let start = ContinuousClock.now
      #expect(await isConnected(alice, to: world.far))
      #expect(try await eventually { await !isConnected(alice, to: world.far) })
      #expect(start.duration(to: .now) < lease * 3)
      // Nothing of it is left in Redis, and the others' leases are as they were.
      let third = PresenceWorld.Node(port: server.port)
      #expect(try await eventually { await isConnected(bob, to: third.presence) })
      #expect(try await eventually { await third.keys().count == 2 })
      await third.close()
    }
  }

  @Test func aUserOfTwoNodesIsThereUntilBothAreLeft() async throws {
    try await run { (world, _, _) async throws in
      let alice = UserID.random()
      for node in world.nodes { await node.presence.hold([alice]) }
      await world.near.release([alice])
      #expect(await isConnected(alice, to: world.near))
      #expect(await isConnected(alice, to: world.far))
      await world.far.release([alice])
      #expect(await !isConnected(alice, to: world.near))
    }
  }

  @Test func isRightAgainAfterRedisWasEmptied() async throws {
    try await run { (world, server, _) async throws in
      let users = (0..<1200).map { _ in UserID.random() }
      await world.near.hold(users)
      for _ in 1...2 {
        let lost = world.nodes[0].lost
        try server.command("FLUSHALL")
        let start = ContinuousClock.now
        #expect(try await eventually { await world.far.connected(among: users).users.count == users.count })
        #expect(start.duration(to: .now) < lease * 3)
        #expect(try await eventually { world.nodes[0].lost > lost }, "who looked in vain is to be told")
      }
      // A name too many, and one too few.
      let own = try #require(await world.nodes[0].keys().first { $0.contains(":node:") })
      for command in [["SADD", own, "somebody"], ["SPOP", own]] {
        _ = await world.nodes[0].ask(command.map { Array($0.utf8) })
        #expect(try await eventually { await world.nodes[0].ask("SCARD", own) == .integer(1200) })
        #expect(await world.far.connected(among: users) == Connected(users: Set(users)))
      }
    }
  }

  @Test(arguments: ["killed", "clients"]) func knowsItsOwnWhileRedisIsAway(_ way: String) async throws {
    try await run { (world, server, _) async throws in
      let (alice, bob, carol) = (UserID.random(), UserID.random(), UserID.random())
      await world.near.hold([alice])
      await world.far.hold([bob])
      if way == "killed" {
        server.kill()
        #expect(try await eventually { await !world.far.connected(among: [alice]).isWhole })
        #expect(await world.far.connected(among: [alice, bob]) == Connected(users: [bob], isWhole: false))
        // Nothing waits for it.
        let start = ContinuousClock.now
        await world.near.hold([carol])
        await world.near.release([alice])
        #expect(start.duration(to: .now) < .seconds(5))
        try server.start()
      } else {
        try server.command("CLIENT", "KILL", "TYPE", "normal")
        await world.near.hold([carol])
        await world.near.release([alice])
      }
      let start = ContinuousClock.now
      #expect(
        try await eventually {
          await world.far.connected(among: [alice, bob, carol]) == Connected(users: [bob, carol])
        })
      #expect(try await eventually { await isConnected(bob, to: world.near) })
      #expect(start.duration(to: .now) < lease * 3)
    }
  }

  /// A link on which nothing comes through, and no end is told.
  @Test func waitsForASilentRedisNoLongerThanItMust() async throws {
    try await run(proxied: true) { (world, _, proxy) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      await world.near.hold([alice])
      await world.far.hold([bob])
      proxy?.stall()
      var start = ContinuousClock.now
      #expect(await world.near.connected(among: [alice, bob]) == Connected(users: [alice], isWhole: false))
      #expect(start.duration(to: .now) < .seconds(5))
      // The others see that nobody renews.
      #expect(try await eventually { await !isConnected(alice, to: world.far) })
      proxy?.heal()
      start = .now
      #expect(try await eventually { await isConnected(alice, to: world.far) })
      #expect(try await eventually { await isConnected(bob, to: world.near) })
      #expect(start.duration(to: .now) < lease * 3)
    }
  }

  /// However many people there are: a command for each renewal and each look, not for each of them.
  @Test func fewCommandsKeepManyLeases() async throws {
    try await run { (world, _, _) async throws in
      let users = (0..<2000).map { _ in UserID.random() }
      await world.near.hold(users)
      _ = await world.nodes[0].ask("CONFIG", "RESETSTAT")
      let start = ContinuousClock.now
      try await Task.sleep(for: .milliseconds(PresenceWorld.times.unit) * 10)
      _ = await world.far.connected(among: users)
      guard case .bytes(let bytes)? = await world.nodes[0].ask("INFO", "commandstats") else {
        Issue.record("no statistics")
        return
      }
      let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      func calls(_ command: String) -> Int {
        let line = lines.first { $0.hasPrefix("cmdstat_\(command):") }
        return line?.split(separator: ",").first?.split(separator: "=").last.flatMap { Int($0) } ?? 0
      }
      let units = Int(start.duration(to: .now).wholeMilliseconds / PresenceWorld.times.unit)
      // A renewal a unit, and four looks of 500 names.
      #expect((5...units + 1 + 4).contains(calls("eval")), "\(calls("eval"))")
      #expect(calls("smismember") == 4 && calls("sadd") == 0 && calls("scard") <= units + 1)
    }
  }

  // MARK: Strangers

  /// Who reads Redis sees how many there are, and no names.
  @Test func namesSayNothing() async throws {
    try await run { (world, server, _) async throws in
      let users = (0..<20).map { _ in UserID.random() }
      await world.near.hold(users)
      let keys = await world.nodes[0].keys()
      #expect(keys.count == 2 && keys.allSatisfy { $0.hasPrefix("kin:presence:") })
      let own = try #require(keys.first { $0.contains(":node:") })
      let names = await world.nodes[0].members(of: own)
      #expect(names.count == users.count && names.allSatisfy { $0.count == 16 })
      for user in users {
        // Nothing that anybody could make from the id alone.
        let known = [user.bytes, Array(Digest.hash(.sha256, user.bytes).prefix(16))]
        let text = Array(Digest.hash(.sha256, Array("presence".utf8) + user.bytes).prefix(16))
        #expect(names.allSatisfy { !known.contains($0) && $0 != text })
        #expect(keys.allSatisfy { !$0.contains("\(user)") })
      }
      // Another store's relays have other names for the same people.
      let foreign = PresenceWorld.Node(port: server.port, secret: NodeSecret([UInt8](repeating: 6, count: 32)))
      #expect(try await eventually { await foreign.isUp() })
      #expect(await foreign.presence.connected(among: users) == Connected(users: []))
      await foreign.presence.hold(users)
      let others = await world.nodes[0].keys().filter { $0.contains(":node:") && $0 != own }
      #expect(others.count == 1)
      #expect(Set(await world.nodes[0].members(of: others.first ?? "")).isDisjoint(with: Set(names)))
      await foreign.close()
    }
  }

  /// Attack 51: whatever stands where the leases should, relays go on, and mend what is theirs.
  @Test func survivesWhatStrangersWrite() async throws {
    try await run { (world, server, _) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      await world.near.hold([alice])
      let node = world.nodes[1]
      let keys = await node.keys()
      // Another kind of value at each key, and none.
      for key in keys {
        for command in [["SET", key, "junk"], ["DEL", key]] {
          _ = await node.ask("DEL", key)
          _ = await node.ask(command.map { Array($0.utf8) })
          #expect(try await eventually { await isConnected(alice, to: world.far) }, "\(command)")
        }
      }
      // More relays than there can be, without leases, with leases of another kind, and one with a name seen elsewhere.
      for index in 0..<300 {
        _ = await node.ask("ZADD", "kin:presence:nodes", "9999999999999", "junk\(index)")
        if index % 3 == 0 { _ = await node.ask("SET", "kin:presence:node:junk\(index)", "junk") }
      }
      let start = ContinuousClock.now
      #expect(await isConnected(alice, to: world.far))
      #expect(await !isConnected(bob, to: world.far))
      #expect(start.duration(to: .now) < .seconds(5))
      let own = try #require(keys.first { $0.contains(":node:") })
      let name = try #require(await node.members(of: own).first)
      _ = await node.ask([Array("SADD".utf8), Array("kin:presence:node:a".utf8), name])
      _ = await node.ask("ZADD", "kin:presence:nodes", "9999999999998", "a")
      await world.near.release([alice])
      // All that it leads to: she seems to be there.
      #expect(await isConnected(alice, to: world.far))
    }
  }
}
