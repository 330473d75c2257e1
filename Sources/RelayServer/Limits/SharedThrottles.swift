import Networking
import Observability
import Synchronization

/// Shares limits with the other relays by way of Redis.
///
/// No request waits for it: each relay decides by its own buckets, reports a moment later what it took, and learns what is left for
/// all. In the long run the limit holds for all relays together; a burst may be had once at each of them. While Redis is away each
/// takes its part: the rate divided by the number of relays that were there last.
final class SharedThrottles: Sendable {
  /// Buckets in one report.
  private static let batch = 200
  private static let interval = Duration.milliseconds(50)
  /// Reports between two counts of the relays.
  private static let countEvery = 40

  /// For each bucket: refills what Redis holds by its own clock, takes what was reported, keeps it until it is full again, and
  /// tells the level. Debts are bounded, as taking more than there was is.
  private static let script = """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local levels = {}
    for i, key in ipairs(KEYS) do
      local burst, rate = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]) / 1000
      local level, state = burst, redis.call('GET', key)
      if state then
        local before, at = string.match(state, '^(-?%d+%.?%d*) (%d+)$')
        if before then level = math.min(burst, tonumber(before) + math.max(0, now - tonumber(at)) * rate) end
      end
      level = math.min(burst, math.max(level - tonumber(ARGV[3 * i]), -burst))
      local ttl = math.min(math.ceil((burst - level) / rate) + 1000, 172800000)
      redis.call('SET', key, string.format('%.4f %.0f', level, now), 'PX', string.format('%.0f', ttl))
      levels[i] = string.format('%.4f', level)
    end
    return levels
    """

  private struct State {
    var isReporting = false
    var nodes = 1
    var ticks = 0
    var isAlone: Bool?
  }

  private let redis: Redis
  private let secret: NodeSecret
  private let throttles: [(name: String, throttle: Throttle)]
  private let state = Mutex(State())
  private let timer = Mutex<EventLoop.Timer?>(nil)

  init(_ redis: Redis, _ throttles: Throttles, secret: NodeSecret) {
    (self.redis, self.throttles, self.secret) = (redis, throttles.all, secret)
  }

  func start() {
    for item in throttles { item.throttle.share() }
    timer.withLock { $0 = redis.schedule(every: Self.interval) { [weak self] in self?.tick() } }
  }

  func stop() {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
  }

  /// The relays that were there when they were last counted.
  var nodes: Int { state.withLock { $0.nodes } }

  private func tick() {
    let isUp = redis.isUp
    let (part, isCounting) = state.withLock { state -> (Double?, Bool) in
      defer {
        state.isAlone = !isUp
        state.ticks += 1
      }
      let part = state.isAlone == !isUp ? nil : isUp ? 1 : 1 / Double(state.nodes)
      return (part, isUp && state.ticks % Self.countEvery == 0)
    }
    if let part { for item in throttles { item.throttle.setPart(part) } }
    guard isUp else {
      // Nobody hears it, and it must not be told all at once later.
      for item in throttles { while !item.throttle.report(atMost: Throttle.capacity).isEmpty {} }
      return
    }
    if isCounting { count() }
    report()
  }

  private func count() {
    _ = redis.send(RedisCommand("PUBSUB", "NUMSUB", redis.channel)) { [weak self] reply in
      guard case .list(let parts)? = reply, parts.count == 2, case .integer(let count) = parts[1] else { return }
      self?.state.withLock { $0.nodes = Int(min(max(count, 1), 1000)) }
    }
  }

  private func report() {
    guard !state.withLock({ $0.isReporting }) else { return }
    var touched: [(throttle: Throttle, key: Throttle.Key)] = []
    var (names, values): ([[UInt8]], [[UInt8]]) = ([], [])
    for item in throttles where touched.count < Self.batch {
      for (key, amount) in item.throttle.report(atMost: Self.batch - touched.count) {
        touched.append((item.throttle, key))
        names.append(name(of: item.name, key))
        values += [item.throttle.burst, item.throttle.perSecond, amount].map { Array("\($0)".utf8) }
      }
    }
    guard !touched.isEmpty else { return }
    state.withLock { $0.isReporting = true }
    let head = [Array("EVAL".utf8), Array(Self.script.utf8), Array("\(touched.count)".utf8)]
    let isSent = redis.send(RedisCommand(words: head + names + values)) { [weak self, touched] reply in
      self?.state.withLock { $0.isReporting = false }
      // Whatever else Redis says, this relay's own buckets go on.
      guard case .list(let levels)? = reply, levels.count == touched.count else { return }
      for (item, level) in zip(touched, levels) {
        if case .bytes(let text) = level, let level = Double(String(decoding: text, as: UTF8.self)) {
          item.throttle.learn(item.key, level: level)
        }
      }
    }
    if !isSent { state.withLock { $0.isReporting = false } }
  }

  /// What Redis calls a bucket: nobody reads there who talks to whom, or under which address, and nobody can tell by trying names.
  private func name(of limit: String, _ key: Throttle.Key) -> [UInt8] {
    var text = Array("\(limit)".utf8)
    for word in [key.high, key.low] {
      for shift in stride(from: 56, through: 0, by: -8) { text.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return Array("\(redis.configuration.prefix):limit:\(limit):\(NodeSecret.hex(secret.name(text)))".utf8)
  }
}
