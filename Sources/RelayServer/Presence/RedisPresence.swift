import Networking
import Observability
import RelayProtocol
import Synchronization

/// The leases of several relays, in Redis: for each relay one set of names that say nothing to who reads there, with a time to live.
///
/// A renewal is one command however many people there are, and says how many names Redis holds: if these are not as many as
/// there should be, for `FLUSHALL`, a restart or somebody's meddling, all are written anew. A relay that dies renews nothing. While
/// Redis is away this relay knows its own people only.
final class RedisPresence: PresenceStore {
  /// Names in one command, and relays that are asked about.
  static let batch = 500
  static let maxNodes = 64
  /// How long a look waits for Redis.
  private static let patience = Duration.seconds(1)

  /// Adds and removes names of this relay and renews its lease, by Redis's clock. Answers how many names there are.
  private static let renewal = """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local added = tonumber(ARGV[3])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    for i = 4, #ARGV do redis.call(i < 4 + added and 'SADD' or 'SREM', KEYS[2], ARGV[i]) end
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    return redis.call('SCARD', KEYS[2])
    """

  /// For each name '1' if another relay than this one has it, else '0'.
  private static let look = """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local found = {}
    for i = 3, #ARGV do found[i - 2] = '0' end
    local nodes = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now), '+inf', 'LIMIT', 0, ARGV[2])
    for _, node in ipairs(nodes) do
      if node ~= ARGV[1] then
        local flags = redis.pcall('SMISMEMBER', KEYS[2] .. node, unpack(ARGV, 3))
        if not flags.err then
          for i, flag in ipairs(flags) do if flag == 1 then found[i] = '1' end end
        end
      end
    end
    return table.concat(found)
    """

  private struct State {
    /// Whom this relay has, and of those, whom Redis holds as of what was sent.
    var held: Set<UserID> = []
    var written: Set<UserID> = []
    /// What is to be sent: to add or to remove.
    var changes: [UserID: Bool] = [:]
    var waiters: [CheckedContinuation<Void, Never>] = []
    var isUp = false
    var isBusy = false
    /// Whether Redis may hold something else than it should.
    var isLost = false
    var isTold = true
    var renewed: ContinuousClock.Instant?
  }

  private let redis: Redis
  private let secret: NodeSecret
  private let life: Duration
  private let unit: Duration
  /// This process, as the others find it.
  private let node = NodeSecret.hex((0..<8).map { _ in UInt8.random(in: 0...255) })
  private let nodesKey: [UInt8]
  private let keyPrefix: [UInt8]
  private let state = Mutex(State())
  private let timer = Mutex<EventLoop.Timer?>(nil)
  private let lost = Mutex<@Sendable () -> Void>({})
  private let rewrites: Counter
  private let looks: Counter

  init(_ redis: Redis, times: PresenceBoard.Times, secret: NodeSecret, metrics: Metrics) {
    (self.redis, self.secret) = (redis, secret)
    (life, unit) = (.milliseconds(times.life), .milliseconds(times.unit))
    nodesKey = Array("\(redis.configuration.prefix):presence:nodes".utf8)
    keyPrefix = Array("\(redis.configuration.prefix):presence:node:".utf8)
    rewrites = metrics.counter(
      "kin_presence_rewrites_total", help: "Times that all leases were written anew, because Redis had lost them.")
    looks = metrics.counter("kin_presence_looks_total", help: "Looks at the other nodes' leases.")
  }

  private var ownKey: [UInt8] { keyPrefix + Array(node.utf8) }

  /// Begins to renew. `lost` is called when leases had to be written anew, and others may have looked in vain meanwhile.
  func start(lost: @escaping @Sendable () -> Void) {
    self.lost.withLock { $0 = lost }
    timer.withLock { $0 = redis.schedule(every: min(unit / 2, .milliseconds(200))) { [weak self] in self?.tick() } }
  }

  /// Renews nothing any more. The leases run out: who comes to another relay meanwhile was never away.
  func stop() {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
    lost.withLock { $0 = {} }
    letGo()
  }

  // MARK: Leases

  func hold(_ users: [UserID]) async { await change(users, isHeld: true) }
  func release(_ users: [UserID]) async { await change(users, isHeld: false) }

  /// Returns when Redis has it, or cannot be waited for.
  private func change(_ users: [UserID], isHeld: Bool) async {
    state.withLock { state in
      if isHeld { state.held.formUnion(users) } else { state.held.subtract(users) }
      for user in users { state.changes[user] = isHeld }
    }
    await withCheckedContinuation { continuation in
      redis.execute { [self] in
        state.withLock { $0.waiters.append(continuation) }
        pump()
      }
    }
  }

  /// Lets go who waits.
  private func letGo() {
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  // MARK: On Redis's loop

  private func tick() {
    let isUp = redis.isUp
    let now = ContinuousClock.now
    let (isLost, isDue) = state.withLock { state in
      // Whatever was while nobody looked: what stands there is not known.
      if isUp, !state.isUp { state.isLost = true }
      state.isUp = isUp
      return (state.isLost && !state.isBusy, state.renewed.map { $0 + unit <= now } ?? true)
    }
    guard isUp else { return letGo() }
    if isLost { rewrite() } else if isDue { pump(renewing: true) }
  }

  private func rewrite() {
    let isEmpty = state.withLock { state in
      (state.isLost, state.written) = (false, [])
      state.changes = Dictionary(uniqueKeysWithValues: state.held.map { ($0, true) })
      state.isTold = state.held.isEmpty
      return state.held.isEmpty
    }
    if !isEmpty { rewrites.add() }
    _ = redis.send(RedisCommand(words: [Array("DEL".utf8), ownKey])) { _ in }
    pump()
  }

  /// Sends the next changes if nothing is under way, or else a renewal if one is due.
  private func pump(renewing: Bool = false) {
    guard redis.isUp else {
      state.withLock { $0.isLost = true }
      return letGo()
    }
    let next: (added: [UserID], removed: [UserID], count: Int)? = state.withLock { state in
      // Before the first tick on a connection it is not known what stands there.
      if !state.isUp { state.isLost = true }
      guard !state.isBusy, !state.isLost else { return nil }
      var (added, removed): ([UserID], [UserID]) = ([], [])
      while added.count + removed.count < Self.batch, let (user, isHeld) = state.changes.popFirst() {
        if isHeld { added.append(user) } else { removed.append(user) }
      }
      let isNothing = added.isEmpty && removed.isEmpty
      // Without people there is nothing to renew.
      guard !isNothing || (renewing && !state.written.isEmpty) else { return nil }
      state.written.formUnion(added)
      state.written.subtract(removed)
      (state.isBusy, state.renewed) = (true, .now)
      return (added, removed, state.written.count)
    }
    guard let next else {
      let isIdle = state.withLock { !$0.isBusy && $0.changes.isEmpty }
      if isIdle { settled() }
      return
    }
    let head = [Array("EVAL".utf8), Array(Self.renewal.utf8), Array("2".utf8), nodesKey, ownKey]
    let values = [node, "\(life.wholeMilliseconds)", "\(next.added.count)"].map { Array($0.utf8) }
    let names = (next.added + next.removed).map { name(of: $0) }
    let isSent = redis.send(RedisCommand(words: head + values + names)) { [weak self] reply in
      self?.renewed(reply, expected: next.count)
    }
    if !isSent { renewed(nil, expected: next.count) }
  }

  private func renewed(_ reply: RedisReply?, expected: Int) {
    let isGood = reply == .integer(Int64(expected))
    state.withLock { state in
      state.isBusy = false
      if !isGood { state.isLost = true }
    }
    // Something else stands where the leases should: nobody misses it.
    if case .failure(let text)? = reply, text.hasPrefix("WRONGTYPE") {
      _ = redis.send(RedisCommand(words: [Array("DEL".utf8), nodesKey, ownKey])) { _ in }
    }
    // What was lost is written anew at the next tick, not at once: Redis may refuse that too, without end.
    if isGood { pump() } else { letGo() }
  }

  /// All that was to be sent is in Redis.
  private func settled() {
    letGo()
    let isToTell = state.withLock { state in
      defer { state.isTold = true }
      return !state.isTold && !state.isLost
    }
    if isToTell { lost.withLock { $0 }() }
  }

  // MARK: Looks

  func connected(among users: [UserID]) async -> Connected {
    let others = state.withLock { state in users.filter { !state.held.contains($0) } }
    var result = Connected(users: Set(users).subtracting(others))
    for start in stride(from: 0, to: others.count, by: Self.batch) {
      let batch = Array(others[start..<min(start + Self.batch, others.count)])
      guard let flags = await flags(of: batch) else {
        result.isWhole = false
        break
      }
      for (user, flag) in zip(batch, flags) where flag == UInt8(ascii: "1") { result.users.insert(user) }
    }
    return result
  }

  private func flags(of users: [UserID]) async -> [UInt8]? {
    looks.add()
    let names = users.map { name(of: $0) }
    return await withCheckedContinuation { continuation in
      let answer = Answer(continuation)
      redis.execute { [self] in
        let head = [Array("EVAL".utf8), Array(Self.look.utf8), Array("2".utf8), nodesKey, keyPrefix]
        let values = [Array(node.utf8), Array("\(Self.maxNodes)".utf8)]
        let isSent =
          redis.isUp
          && redis.send(RedisCommand(words: head + values + names)) { reply in
            // Whatever else Redis says is no answer.
            guard case .bytes(let flags)? = reply, flags.count == users.count else { return answer.give(nil) }
            answer.give(flags)
          }
        guard isSent else { return answer.give(nil) }
        answer.wait(redis.schedule(after: Self.patience) { answer.give(nil) })
      }
    }
  }

  private func name(of user: UserID) -> [UInt8] { secret.name(Array("presence".utf8) + user.bytes) }

  /// The first of an answer and the end of patience. Confined to Redis's loop, but for ``init(_:)``.
  private final class Answer: Sendable {
    private struct State {
      var continuation: CheckedContinuation<[UInt8]?, Never>?
      var timer: EventLoop.Timer?
    }

    private let state: Mutex<State>

    init(_ continuation: CheckedContinuation<[UInt8]?, Never>) { state = Mutex(State(continuation: continuation)) }

    func wait(_ timer: EventLoop.Timer) { state.withLock { $0.timer = timer } }

    func give(_ flags: [UInt8]?) {
      let (continuation, timer) = state.withLock { state in
        defer { state = State() }
        return (state.continuation, state.timer)
      }
      timer?.cancel()
      continuation?.resume(returning: flags)
    }
  }
}
