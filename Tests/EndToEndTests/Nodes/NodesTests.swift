import Foundation
import Glibc
import Networking
import PostgresFixture
import RelayProtocol
import TestServers
import Testing

/// Several relays on one PostgreSQL and one Redis, with members that talk all the time while things break. Each time: every
/// acknowledged message is delivered exactly once and in one order to every member, and every epoch has one winner.
@Suite(.serialized) struct NodesTests {
  /// Members of one room, who talk and race to commit while `body` does its worst.
  private func tumult(
    _ cluster: Cluster, at urls: [[String]], every pause: Duration = .milliseconds(40),
    _ body: () async throws -> Void
  ) async throws -> [Talker] {
    var talkers: [Talker] = []
    for (index, urls) in urls.enumerated() {
      talkers.append(try await Talker("member\(index)", at: urls, trusting: cluster.tls))
    }
    let room = try await talkers[0].makeRoom(with: Array(talkers.dropFirst()))
    let runs = talkers.map { talker in Task { try await talker.run(in: room, every: pause) } }
    let isCommitting = Box(true)
    let won = Box<[UInt64]>([])
    let commits = talkers.map { talker in
      Task {
        while isCommitting.value {
          if let epoch = await talker.commit() { won.change { $0.append(epoch) } }
          try? await Task.sleep(for: .milliseconds(250))
        }
      }
    }
    try await Task.sleep(for: .milliseconds(700))
    try await body()
    isCommitting.value = false
    for commit in commits { await commit.value }
    for talker in talkers { await talker.fallSilent() }
    try await settle(talkers)
    for talker in talkers { await talker.finish() }
    for run in runs { try? await run.value }
    try await judge(talkers, won.value)
    return talkers
  }

  /// Waits until all is acknowledged and everyone has all.
  private func settle(_ talkers: [Talker]) async throws {
    try await wait(for: "everyone to have everything", seconds: 30) {
      var counts: Set<Int> = []
      for talker in talkers {
        guard await talker.isDone else { return false }
        counts.insert(await talker.log.count)
      }
      guard counts.count == 1 else { return false }
      // Nobody talks any more: what is there is all.
      try await Task.sleep(for: .milliseconds(1200))
      for talker in talkers where await talker.log.count != counts.first { return false }
      return true
    }
  }

  private func judge(_ talkers: [Talker], _ won: [UInt64]) async throws {
    let log = await talkers[0].log
    #expect(log.map(\.sequence) == Array(1...UInt64(log.count)))
    for talker in talkers {
      #expect(await talker.faults.isEmpty)
      let own = await talker.log
      #expect(own == log, "\(talker.name) was told another order")
    }
    // Once each, and there where the relay said.
    let messages = log.filter { $0.kind == .application }.map(\.message.bytes)
    #expect(Set(messages).count == messages.count, "a message stands twice in the log")
    var acknowledged = 0
    for talker in talkers {
      for (message, sequence) in await talker.acknowledged {
        acknowledged += 1
        #expect(sequence <= UInt64(log.count) && log[Int(sequence) - 1].message.bytes == message)
      }
    }
    #expect(acknowledged == messages.count && acknowledged > 50)
    // One winner for each epoch.
    #expect(log.filter { $0.kind == .commit }.map(\.epoch) == Array(0..<UInt64(log.count { $0.kind == .commit })))
    #expect(Set(won).count == won.count && !won.isEmpty)
  }

  /// The middle delay between two times.
  private func middle(
    _ talkers: [Talker], after start: ContinuousClock.Instant, before end: ContinuousClock.Instant = .now
  )
    async -> (middle: Double, worst: Double)
  {
    var delays: [Double] = []
    for talker in talkers {
      delays += await talker.delays.filter { $0.at > start && $0.at < end }.map(\.milliseconds)
    }
    delays.sort()
    return delays.isEmpty ? (.infinity, .infinity) : (delays[delays.count / 2], delays[delays.count - 1])
  }

  /// Runs a scenario with two nodes and with three, beside each other: most of their time is waiting.
  private func withTwoAndThree(_ scenario: @escaping @Sendable (Int) async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for count in [2, 3] { group.addTask { try await scenario(count) } }
      try await group.waitForAll()
    }
  }

  /// Members at nodes of their own, so that each message crosses from one to the others.
  private func spread(over cluster: Cluster) -> [[String]] {
    (0..<3).map { [cluster.nodes[$0 % cluster.nodes.count].url] }
  }

  @Test func aNodeKilledUnderLoad() async throws {
    try await withTwoAndThree { count in
      let cluster = try Cluster(nodes: count)
      defer { cluster.close() }
      _ = try await tumult(cluster, at: Array(repeating: [cluster.url], count: 4)) {
        try await Task.sleep(for: .seconds(1))
        cluster.nodes[1].kill(SIGKILL)
        try await Task.sleep(for: .seconds(2))
        try cluster.nodes[1].start()
        cluster.nodes[2 % count].kill(SIGKILL)
        try await Task.sleep(for: .seconds(2))
      }
    }
  }

  @Test func aRollingRestartWithDrain() async throws {
    try await withTwoAndThree { count in
      let cluster = try Cluster(nodes: count, "--drain-delay", "1s")
      defer { cluster.close() }
      _ = try await tumult(cluster, at: Array(repeating: [cluster.url], count: 3)) {
        for node in cluster.nodes {
          // Serves on for a second, and then lets everyone go.
          node.kill(SIGTERM)
          try node.start()
          // nginx leaves a relay alone for a while after it was away.
          try await Task.sleep(for: .milliseconds(2200))
        }
      }
    }
  }

  @Test func theDatabaseRestarted() async throws {
    // Both clusters' databases are on one server.
    let ready = Box(0)
    try await withTwoAndThree { count in
      let cluster = try Cluster(nodes: count)
      defer { cluster.close() }
      _ = try await tumult(cluster, at: Array(repeating: [cluster.url], count: 3)) {
        ready.change { $0 += 1 }
        try await wait(for: "the other cluster") { ready.value >= 2 }
        if count == 2 {
          for ending in [.crash, .restart] as [PostgresServer.Ending] {
            try cluster.database.stop(ending)
            try cluster.database.start()
            try await Task.sleep(for: .seconds(1))
          }
          ready.value = 3
        } else {
          try await wait(for: "the server to have been restarted") { ready.value == 3 }
        }
      }
    }
  }

  /// Redis is emptied; then dies and comes back; then one node is cut off from it and is not told: its connections stay and
  /// nothing comes through.
  @Test func redisEmptiedRestartedAndParted() async throws {
    try await withTwoAndThree { count in
      let cluster = try Cluster(nodes: count)
      defer { cluster.close() }
      let times = Box<[ContinuousClock.Instant]>([])
      @Sendable func mark() { times.change { $0.append(.now) } }
      let talkers = try await tumult(cluster, at: spread(over: cluster)) {
        mark()
        try await Task.sleep(for: .seconds(1))
        try cluster.redis.command("FLUSHALL")
        try await Task.sleep(for: .milliseconds(500))
        mark()
        cluster.redis.kill()
        try await Task.sleep(for: .milliseconds(2500))
        mark()
        try cluster.redis.start()
        // At most the longest pause before connecting.
        try await Task.sleep(for: .milliseconds(2500))
        mark()
        try await Task.sleep(for: .seconds(1))
        cluster.link.stall()
        mark()
        try await Task.sleep(for: .milliseconds(3500))
        cluster.link.heal()
        mark()
        try await Task.sleep(for: .milliseconds(3500))
        mark()
        try await Task.sleep(for: .seconds(1))
      }
      let at = times.value
      func delays(_ from: Int, _ to: Int) async -> (middle: Double, worst: Double) {
        await middle(talkers, after: at[from], before: to < at.count ? at[to] : .now)
      }
      // Redis tells at once, far below the interval of looking; whether or not it was emptied.
      #expect(await delays(0, 1).middle < 500)
      // Without Redis a delivery waits for the next look, one second at most beside what a busy machine takes.
      #expect(await delays(1, 2).worst < 4000)
      #expect(await delays(3, 4).middle < 500)
      #expect(await delays(4, 5).worst < 4000)
      #expect(await delays(6, 7).middle < 500)
    }
  }

  /// What is used up at one relay is used up at the other; without Redis each has its own again, and nobody is shut out.
  @Test func limitsHoldForAllNodes() async throws {
    let cluster = try Cluster(nodes: 2, "--limit-claims-of-pair", "5+1/h")
    defer { cluster.close() }
    let urls = cluster.nodes.map(\.url)
    let (alice, bob) = (
      try await Talker("alice", at: urls, trusting: nil), try await Talker("bob", at: urls, trusting: nil)
    )
    let path = Route.claimKeyPackages.path("\(bob.session.user)")
    func isLetIn(_ url: String) async throws -> Bool {
      do {
        let _: ClaimResponse = try await alice.call(.claimKeyPackages, path, at: url)
        return true
      } catch let failure as Talker.Failed {
        #expect(failure.status == 429)
        return false
      }
    }
    for _ in 0..<5 { #expect(try await isLetIn(urls[0])) }
    #expect(try await !isLetIn(urls[0]))
    // What the other lets through at first, it reports, and so learns.
    try await wait(for: "the other node to refuse", seconds: 30) { try await !isLetIn(urls[1]) }
    cluster.redis.kill()
    #expect(try await !isLetIn(urls[1]), "who was refused stays refused")
    let carol = try await Talker("carol", at: urls, trusting: nil)
    let _: ClaimResponse = try await carol.call(.claimKeyPackages, path, at: urls[1])
  }

  /// A session that ended at one node is over at the other: at once by Redis, and within the interval without it.
  @Test(arguments: [true, false]) func endedSessionsEndEverywhere(withRedis: Bool) async throws {
    let cluster = try Cluster(nodes: 2, looking: withRedis ? "20s" : "1s")
    defer { cluster.close() }
    if !withRedis { cluster.redis.kill() }
    let alice = try await Talker("alice", at: [cluster.nodes[0].url], trusting: nil)
    let stream = try await WebSocketClient().connect(
      try WebURL(cluster.nodes[1].url.replacing("http", with: "ws") + Route.socket.path),
      headers: ["Authorization": "Bearer \(alice.session.accessToken)"], subprotocol: Route.subprotocol)
    var iterator = stream.makeAsyncIterator()
    _ = await iterator.next()
    let start = ContinuousClock.now
    try await alice.logOut()
    while await iterator.next() != nil {}
    #expect(stream.closeCode?.rawValue == CloseCode.sessionEnded.number)
    #expect(start.duration(to: .now) < .seconds(10))
  }
}
