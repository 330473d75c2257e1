import Foundation
import Glibc
import RelayProtocol
import TestServers
import Testing

/// Who is there, over several relays: from one person's chat-cli by way of one relay, Redis, PostgreSQL and another relay to another's.
@Suite(.serialized) struct NodesPresenceTests {
  /// Three stories beside each other: most of their time is waiting.
  @Test func presenceIsTrueOverNodes() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await presenceIsSeenAtAnotherNodeAndEndsWithItsOwn() }
      group.addTask { try await presenceIsRightAgainAfterRedisWasAway() }
      group.addTask { try await whoComesToAnotherNodeWasNeverAway() }
      try await group.waitForAll()
    }
  }

  /// The lease of these relays, in seconds.
  private static let lease = 6.0

  private func cluster(_ nodes: Int, proxied: Int? = nil) throws -> Cluster {
    try Cluster(nodes: nodes, proxied: proxied, "--presence-lease", "\(Int(Self.lease))s")
  }

  /// Contacts of each other, each at a relay of their own, and those beyond the last relay at that.
  private func people(_ names: String..., at cluster: Cluster) async throws -> [Person] {
    var people: [Person] = []
    for (index, name) in names.enumerated() {
      let node = cluster.nodes[min(index, cluster.nodes.count - 1)]
      let person = try await Person(name, at: node.url, keeping: cluster)
      for other in people {
        try await person.must("contacts", "request", other.name)
        try await other.must("contacts", "accept", name)
      }
      people.append(person)
    }
    return people
  }

  /// How a person stands, asked for by somebody who does not watch meanwhile.
  private func status(of person: Person, for viewer: Person) async throws -> String? {
    try await viewer.must("presence", "--json").objects.first {
      ($0["person"] as? [String: Any])?["username"] as? String == person.name
    }?["status"] as? String
  }

  /// What was pushed of a person to somebody who watches.
  private func pushed(_ person: Person, to watcher: Running) throws -> [String] {
    try Person.objects(watcher.text).filter {
      $0["type"] as? String == "presence" && ($0["person"] as? [String: Any])?["username"] as? String == person.name
    }.compactMap { $0["status"] as? String }
  }

  /// Somebody who is connected, and is told from now on.
  private func watch(_ person: Person) async throws -> Running {
    let running = try person.start(["watch", "--json"])
    try await wait(for: "\(person.name) to be connected") {
      try Person.objects(running.text).contains {
        $0["type"] as? String == "connection" && $0["state"] as? String == "live"
      }
    }
    return running
  }

  private func leave(_ running: Running) async throws {
    running.kill(SIGTERM)
    _ = try await running.result()
  }

  private func presenceIsSeenAtAnotherNodeAndEndsWithItsOwn() async throws {
    let cluster = try cluster(2)
    defer { cluster.close() }
    let people = try await people("alice", "bob", "erin", at: cluster)
    let (alice, bob, erin) = (people[0], people[1], people[2])
    let mallory = try await Person("mallory", at: cluster.nodes[1].url, keeping: cluster)
    let (bobs, mallorys) = (try await watch(bob), try await watch(mallory))
    var hers = try await watch(alice)
    try await wait(for: "bob to hear that alice is there", seconds: 60) { try pushed(alice, to: bobs).last == "online" }
    #expect(try await status(of: alice, for: erin) == "online")
    try await leave(hers)
    try await wait(for: "bob to hear that alice left", seconds: 60) { try pushed(alice, to: bobs).last == "offline" }
    #expect(try await status(of: alice, for: erin) == "offline")
    // What she wants to show, and that she wants to show nothing.
    try await alice.must("presence", "set", "busy")
    hers = try await watch(alice)
    try await wait(for: "bob to hear that alice is busy", seconds: 60) { try pushed(alice, to: bobs).last == "busy" }
    try await leave(hers)
    try await alice.must("presence", "set", "hidden")
    hers = try await watch(alice)
    try await wait(for: "bob to hear nothing more of her", seconds: 60) {
      try pushed(alice, to: bobs).last == "offline"
    }
    try await Task.sleep(for: .seconds(1))
    #expect(try pushed(alice, to: bobs).last == "offline")
    #expect(try await status(of: alice, for: erin) == nil)
    try await leave(hers)
    try await alice.must("presence", "set", "online")
    hers = try await watch(alice)
    try await wait(for: "bob to hear of alice again", seconds: 60) { try pushed(alice, to: bobs).last == "online" }
    // Her relay dies with her on it: nobody says that she is gone, and it is noticed within her lease.
    cluster.nodes[0].kill(SIGKILL)
    let start = ContinuousClock.now
    #expect(try pushed(alice, to: bobs).last == "online")
    try await wait(for: "bob to hear that alice is gone", seconds: 60) {
      try pushed(alice, to: bobs).last == "offline"
    }
    #expect(start.duration(to: .now) < .seconds(2 * Self.lease))
    #expect(try await status(of: alice, for: erin) == "offline")
    // The relay is back, and so is she, by herself.
    try cluster.nodes[0].start()
    try await wait(for: "alice to be there once more", seconds: 60) { try pushed(alice, to: bobs).last == "online" }
    // Who is no contact was told nothing all the time.
    #expect(try pushed(alice, to: mallorys).isEmpty && pushed(bob, to: mallorys).isEmpty)
    try await leave(mallorys)
    #expect(try await status(of: alice, for: mallory) == nil)
    hers.kill()
    bobs.kill()
  }

  /// `FLUSHALL`, a death of Redis and a link that goes silent: nobody is said to be gone who is not, and what changed meanwhile
  /// is right again within a lease.
  private func presenceIsRightAgainAfterRedisWasAway() async throws {
    let cluster = try cluster(3)
    defer { cluster.close() }
    let people = try await people("alice", "bob", "carol", "erin", at: cluster)
    let (alice, bob, carol, erin) = (people[0], people[1], people[2], people[3])
    let bobs = try await watch(bob)
    let hers = try await watch(alice)
    try await wait(for: "bob to hear of alice", seconds: 60) { try pushed(alice, to: bobs).last == "online" }
    let before = try pushed(alice, to: bobs).count
    try cluster.redis.command("FLUSHALL")
    try await wait(for: "alice to be found again", seconds: 60) {
      try await status(of: alice, for: erin) == "online"
    }
    // Longer than it takes to notice a lease that is over.
    try await Task.sleep(for: .seconds(Self.lease / 2))
    #expect(try !pushed(alice, to: bobs).dropFirst(before).contains("offline"), "nobody was gone")
    // The first relay's link goes silent; then Redis dies. Carol comes meanwhile, and alice goes.
    cluster.link.stall()
    try await Task.sleep(for: .seconds(1))
    cluster.redis.kill()
    let carols = try await watch(carol)
    try await leave(hers)
    try await Task.sleep(for: .seconds(2))
    cluster.link.heal()
    try cluster.redis.start()
    try await wait(for: "all to be right again", seconds: 60) {
      try pushed(alice, to: bobs).last == "offline" && pushed(carol, to: bobs).last == "online"
    }
    #expect(try await status(of: alice, for: erin) == "offline")
    #expect(try await status(of: carol, for: erin) == "online")
    carols.kill()
    bobs.kill()
  }

  /// Behind nginx, where a client that lost its relay comes to another: nobody hears of it.
  private func whoComesToAnotherNodeWasNeverAway() async throws {
    let cluster = try cluster(3, proxied: 2)
    defer { cluster.close() }
    let bob = try await Person("bob", at: cluster.nodes[2].url, keeping: cluster)
    let alice = try await Person("alice", at: cluster.url, "--ca-file", cluster.nginx.certificate, keeping: cluster)
    try await alice.must("contacts", "request", "bob")
    try await bob.must("contacts", "accept", "alice")
    let bobs = try await watch(bob)
    let hers = try await watch(alice)
    try await wait(for: "bob to hear of alice", seconds: 60) { try pushed(alice, to: bobs).last == "online" }
    let before = try pushed(alice, to: bobs).count
    // Whichever of the two she is at.
    for node in cluster.nodes.prefix(2) {
      node.kill(SIGTERM)
      try node.start()
      try await Task.sleep(for: .milliseconds(2500))
    }
    try await Task.sleep(for: .seconds(1))
    #expect(try !pushed(alice, to: bobs).dropFirst(before).contains("offline"))
    bobs.kill()
    _ = try await bobs.result()
    #expect(try await status(of: alice, for: bob) == "online")
    hers.kill()
  }
}
