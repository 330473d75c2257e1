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

  /// Contacts of each other, each at a relay of their own.
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

  /// How a person stands, asked for at the relay of another.
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

  private func watch(_ person: Person) throws -> Running { try person.start(["watch", "--json"]) }

  private func presenceIsSeenAtAnotherNodeAndEndsWithItsOwn() async throws {
    let cluster = try cluster(2)
    defer { cluster.close() }
    let people = try await people("alice", "bob", at: cluster)
    let (alice, bob) = (people[0], people[1])
    let mallory = try await Person("mallory", at: cluster.nodes[1].url, keeping: cluster)
    let (bobs, mallorys) = (try watch(bob), try watch(mallory))
    var hers = try watch(alice)
    try await wait(for: "bob to hear that alice is there", seconds: 10) {
      try pushed(alice, to: bobs).last == "online"
    }
    #expect(try await status(of: alice, for: bob) == "online")
    // What she shows is told by whichever relay she says it to.
    try await alice.must("presence", "set", "busy")
    try await wait(for: "bob to hear that alice is busy", seconds: 10) { try pushed(alice, to: bobs).last == "busy" }
    try await alice.must("presence", "set", "hidden")
    try await wait(for: "bob to hear nothing more of her", seconds: 10) {
      try pushed(alice, to: bobs).last == "offline"
    }
    #expect(try await status(of: alice, for: bob) == nil)
    try await alice.must("presence", "set", "online")
    try await wait(for: "bob to hear of alice again", seconds: 10) { try pushed(alice, to: bobs).last == "online" }
    // Her relay dies with her on it: nobody says that she is gone, and it is noticed within her lease.
    cluster.nodes[0].kill(SIGKILL)
    let start = ContinuousClock.now
    try await wait(for: "bob to hear that alice is gone", seconds: 2 * Self.lease) {
      try pushed(alice, to: bobs).last == "offline"
    }
    #expect(start.duration(to: .now) < .seconds(Self.lease + 1))
    #expect(try await status(of: alice, for: bob) == "offline")
    hers.kill()
    // The relay is back, and so is she; she leaves as one does.
    try cluster.nodes[0].start()
    hers = try watch(alice)
    try await wait(for: "alice to be there once more", seconds: 10) { try pushed(alice, to: bobs).last == "online" }
    hers.kill(SIGTERM)
    try await wait(for: "alice to have left", seconds: 10) { try pushed(alice, to: bobs).last == "offline" }
    // Who is no contact was told nothing all the time.
    #expect(try pushed(alice, to: mallorys).isEmpty && pushed(bob, to: mallorys).isEmpty)
    #expect(try await status(of: alice, for: mallory) == nil)
  }

  /// `FLUSHALL`, a death of Redis and a link that goes silent: nobody is said to be gone who is not, and what changed meanwhile
  /// is right again within a lease.
  private func presenceIsRightAgainAfterRedisWasAway() async throws {
    let cluster = try cluster(3)
    defer { cluster.close() }
    let people = try await people("alice", "bob", "carol", at: cluster)
    let (alice, bob, carol) = (people[0], people[1], people[2])
    let bobs = try watch(bob)
    let hers = try watch(alice)
    try await wait(for: "bob to hear of alice", seconds: 10) { try pushed(alice, to: bobs).last == "online" }
    try cluster.redis.command("FLUSHALL")
    try await wait(for: "alice to be found again", seconds: Self.lease) {
      try await status(of: alice, for: bob) == "online"
    }
    // Longer than it takes to notice a lease that is over.
    try await Task.sleep(for: .seconds(Self.lease / 2))
    #expect(try pushed(alice, to: bobs) == ["online"], "nobody was gone")
    // The first relay's link goes silent; then Redis dies. Carol comes meanwhile, and alice goes.
    cluster.link.stall()
    try await Task.sleep(for: .seconds(1))
    cluster.redis.kill()
    let carols = try watch(carol)
    hers.kill(SIGTERM)
    try await Task.sleep(for: .seconds(2))
    cluster.link.heal()
    try cluster.redis.start()
    try await wait(for: "all to be right again", seconds: 2 * Self.lease) {
      try pushed(alice, to: bobs).last == "offline" && pushed(carol, to: bobs).last == "online"
    }
    #expect(try await status(of: alice, for: bob) == "offline")
    #expect(try await status(of: carol, for: bob) == "online")
    carols.kill()
  }

  /// Behind nginx, where a client that lost its relay comes to another: nobody hears of it.
  private func whoComesToAnotherNodeWasNeverAway() async throws {
    let cluster = try cluster(3, proxied: 2)
    defer { cluster.close() }
    let bob = try await Person("bob", at: cluster.nodes[2].url, keeping: cluster)
    let alice = try await Person(
      "alice", at: cluster.url, "--ca-file", cluster.nginx.certificate, keeping: cluster)
    try await alice.must("contacts", "request", "bob")
    try await bob.must("contacts", "accept", "alice")
    let bobs = try watch(bob)
    let hers = try watch(alice)
    try await wait(for: "bob to hear of alice", seconds: 10) { try pushed(alice, to: bobs).last == "online" }
    // Whichever of the two she is at.
    for node in cluster.nodes.prefix(2) {
      node.kill(SIGTERM)
      try node.start()
      try await Task.sleep(for: .milliseconds(2500))
    }
    try await Task.sleep(for: .seconds(1))
    #expect(try pushed(alice, to: bobs) == ["online"])
    #expect(try await status(of: alice, for: bob) == "online")
    hers.kill()
  }
}
