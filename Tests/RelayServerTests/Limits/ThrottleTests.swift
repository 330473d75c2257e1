import Observability
import RelayProtocol
import TestServers
import Testing

@testable import RelayServer

struct ThrottleTests {
  static func throttle(_ burst: Int, _ perSecond: Double) -> Throttle {
    Throttle(burst: burst, perSecond: perSecond, hits: Metrics().counter("hits", help: "Hits."))
  }

  /// How many of so many attempts at one time are let through.
  static func taken(_ attempts: Int, _ throttle: Throttle, _ key: Throttle.Key, now: UInt64) -> Int {
    (0..<attempts).count { _ in (try? throttle.take(key, now: now)) != nil }
  }

  @Test func allowsABurstAndThenTheRate() throws {
    let throttle = Self.throttle(5, 2)
    let (key, other) = (Throttle.Key("a"), Throttle.Key("b"))
    #expect(Self.taken(9, throttle, key, now: 0) == 5)
    #expect(Self.taken(9, throttle, other, now: 0) == 5, "others have buckets of their own")
    do {
      try throttle.take(key, now: 0)
      Issue.record("let through")
    } catch {
      #expect(error.code == .rateLimited && error.retryAfter == 0.5)
    }
    #expect(Self.taken(9, throttle, key, now: 499) == 0)
    #expect(Self.taken(9, throttle, key, now: 1500) == 3)
    #expect(Self.taken(9, throttle, key, now: 1_000_000) == 5)
    // A clock that goes back gives nothing, and does not have to come to where it was before there is something again.
    #expect(Self.taken(9, throttle, key, now: 10) == 0)
    #expect(Self.taken(9, throttle, key, now: 1010) == 2)
  }

  @Test func countsAmountsAndLetsTheLargestThroughAlone() throws {
    let throttle = Self.throttle(100, 10)
    let key = Throttle.Key("a")
    try throttle.take(key, 60, now: 0)
    #expect(throws: RelayError(.rateLimited, "")) { try throttle.take(key, 60, now: 0) }
    try throttle.take(key, 60, now: 2000)
    // More than ever fits: once the bucket is full.
    #expect(throws: RelayError(.rateLimited, "")) { try throttle.take(key, 1000, now: 2000) }
    try throttle.take(key, 1000, now: 12_000)
    #expect(throws: RelayError(.rateLimited, "")) { try throttle.take(key, 1, now: 12_000) }
  }

  /// A flood of keys costs bounded memory, and frees nobody who has used up what was his.
  @Test func forgetsTheInnocentFirst() {
    let throttle = Self.throttle(10, 0.001)
    let guesser = Throttle.Key("guesser")
    #expect(Self.taken(10, throttle, guesser, now: 0) == 10)
    for number in 0..<250_000 as Range<UInt64> {
      try? throttle.take(Throttle.Key(UserID(high: 1, low: number)), now: 1)
    }
    #expect(Self.taken(10, throttle, guesser, now: 2) == 0)
  }

  @Test func readsRates() {
    #expect(Rate("10+6/m") == Rate(burst: 10, count: 6, period: .minute))
    #expect(Rate("10+6/m")?.perSecond == 0.1)
    #expect(Rate("1+1/d")?.description == "1+1/d")
    for text in ["", "10", "10+", "+6/m", "10+6", "10+6/", "10+6/w", "10+6/mm", "0+1/s", "1+0/s", "-1+1/s", "1+1/s/s"] {
      #expect(Rate(text) == nil, "\(text)")
    }
    for limit in Limit.allCases { #expect(Rate(limit.standard.description) == limit.standard) }
  }
}

/// The same limits over several relays.
struct SharedThrottlesTests {
  /// One relay's limits, on Redis.
  struct Node {
    let redis: Redis
    let throttles: Throttles
    let shared: SharedThrottles

    init(port: UInt16, _ configure: (inout RelayConfiguration) -> Void) {
      var configuration = RelayConfiguration()
      configure(&configuration)
      var settings = RedisConfiguration()
      settings.port = port
      settings.timeout = .seconds(1)
      settings.heartbeat = .milliseconds(200)
      settings.pauses = .milliseconds(20)...(.milliseconds(100))
      redis = Redis(settings, log: Log("redis", to: LogSink(descriptor: 2, level: .off)))
      throttles = Throttles(configuration, hits: Instruments(Metrics()).limits)
      shared = SharedThrottles(redis, throttles, secret: NodeSecret([UInt8](repeating: 7, count: 32)))
      redis.start(ready: {}, listening: {}, message: { _ in })
      shared.start()
    }

    func close() async {
      shared.stop()
      await redis.close()
    }

    /// Whether a claim is let through.
    func claims(_ target: UserID, by requester: UserID) -> Bool {
      (try? throttles.claim(of: target, by: requester, now: Relay.wallClock())) != nil
    }

    func isUp() async -> Bool {
      await withCheckedContinuation { continuation in redis.execute { continuation.resume(returning: redis.isUp) } }
    }
  }

  static func run(_ body: (RedisServer, Node, Node) async throws -> Void) async throws {
    let server = try RedisServer()
    let nodes = (0..<2).map { _ in
      Node(port: server.port) { $0.limits[.claims] = Rate(burst: 20, count: 1, period: .hour) }
    }
    #expect(try await eventually { await nodes[0].isUp() ? await nodes[1].isUp() : false })
    let result: Result<Void, any Error>
    do { result = .success(try await body(server, nodes[0], nodes[1])) } catch { result = .failure(error) }
    for node in nodes { await node.close() }
    try result.get()
  }

  @Test func whatIsTakenAtOneIsGoneAtTheOther() async throws {
    try await Self.run { (server, one, other) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      #expect((0..<30).count { _ in one.claims(bob, by: alice) } == 20)
      // The first at the other is let through; what it reports tells it.
      _ = other.claims(bob, by: alice)
      #expect(try await eventually { !other.claims(bob, by: alice) })
      #expect(!other.claims(bob, by: alice) && !one.claims(bob, by: alice))
      // In the long run and all together: the burst, and what passed before the other learned of it.
      #expect(other.claims(bob, by: bob), "others are not concerned")
      // Nobody can read in Redis who it was, and what stands there goes by itself.
      let key = try server.command("EVAL", "return redis.call('KEYS', '*')[1]", "0")
      #expect(key.hasPrefix("$"))
      let ttls = try server.command(
        "EVAL",
        "local n = 0 for _, k in ipairs(redis.call('KEYS', 'kin:limit:*')) do "
          + "if redis.call('PTTL', k) > 0 then n = n + 1 else return -1 end end return n", "0")
      #expect(ttls.hasPrefix(":") && Int(ttls.dropFirst()) ?? 0 > 0)
    }
  }

  /// A right password spends nothing at any relay, however often it is reported between its try and its success.
  @Test func whatIsGivenBackIsThereAtTheOther() async throws {
    try await Self.run { (server, one, other) async throws in
      func logIn(_ node: Node) -> Bool {
        (try? node.throttles.login(as: "alice", from: "192.0.2.1", now: Relay.wallClock())) != nil
      }
      for _ in 0..<14 {
        #expect(logIn(one))
        try await Task.sleep(for: .milliseconds(70))
        one.throttles.notFailedLogin(as: "alice", from: "192.0.2.1", now: Relay.wallClock())
      }
      // The least that Redis holds of any bucket.
      let least = """
        local n = 1000 for _, k in ipairs(redis.call('KEYS', 'kin:limit:*')) do
        n = math.min(n, tonumber(string.match(redis.call('GET', k), '^%S+'))) end return math.floor(n)
        """
      func level() throws -> Int { Int(try server.command("EVAL", least, "0").dropFirst()) ?? 0 }
      #expect(try await eventually { try level() == 10 })
      #expect(logIn(other))
      #expect(try await eventually { try level() == 9 })
      // Time to learn what is left.
      try await Task.sleep(for: .milliseconds(100))
      #expect((0..<8).allSatisfy { _ in logIn(other) })
      #expect((0..<3).contains { _ in !logIn(other) })
    }
  }

  /// Without Redis each decides by its own buckets: nobody is let through without bound, and nobody is shut out.
  @Test func fallsBackToItsOwnBuckets() async throws {
    try await Self.run { (server, one, other) async throws in
      #expect(try await eventually { one.shared.nodes == 2 && other.shared.nodes == 2 })
      server.kill()
      #expect(try await eventually { await !one.isUp() })
      let (alice, bob) = (UserID.random(), UserID.random())
      #expect((0..<30).count { _ in one.claims(bob, by: alice) } == 20)
      #expect((0..<30).count { _ in other.claims(bob, by: alice) } == 20)
      try server.start()
      #expect(try await eventually { await one.isUp() ? await other.isUp() : false })
      let carol = UserID.random()
      #expect((0..<30).count { _ in one.claims(bob, by: carol) } == 20)
      _ = other.claims(bob, by: carol)
      #expect(try await eventually { !other.claims(bob, by: carol) })
      // Whoever empties Redis frees nobody here.
      try server.command("FLUSHALL")
      #expect(!one.claims(bob, by: carol) && !other.claims(bob, by: carol))
    }
  }

  /// What stands in Redis was written by strangers: nothing crashes, and debts are bounded.
  @Test func survivesWhatStrangersWrite() async throws {
    try await Self.run { (server, one, _) async throws in
      let (alice, bob) = (UserID.random(), UserID.random())
      #expect(one.claims(bob, by: alice))
      let spoil = """
        for _, k in ipairs(redis.call('KEYS', 'kin:limit:*')) do redis.call('SET', k, ARGV[1]) end
        return #redis.call('KEYS', 'kin:limit:*')
        """
      #expect(try await eventually { try server.command("EVAL", spoil, "0", "x") != ":0" })
      for text in ["nonsense", "", "nan 1", "-99999999999999999999999 99999999999999999", "inf inf", "1"] {
        try server.command("EVAL", spoil, "0", text)
        _ = one.claims(bob, by: alice)
        try await Task.sleep(for: .milliseconds(120))
      }
      #expect(one.claims(alice, by: bob), "others are served")
      let isUp = await one.isUp()
      #expect(isUp)
    }
  }
}
