import Observability
import RelayProtocol
import Synchronization
import WireCodec

/// The bus of several relays that share a store: wakes go to this node's listeners as they are, and over Redis to the other nodes'
/// as places to look at.
///
/// What waits for Redis is kept as sets and highest numbers, so that it stays small; if even that is too much, or the connection
/// breaks with messages under way, the others are told to look at everything. Nothing waits for Redis.
final class RedisBus: Bus {
  /// Messages without Redis's answer; what comes meanwhile is gathered for the next ones.
  private static let maxInFlight = 32
  /// Places of each kind that are remembered while Redis is away.
  static let maxPending = 16_384

  private struct Pending {
    var rooms: [RoomID: UInt64] = [:]
    var others: Set<BusMessage.Item> = []
    var people: Set<PersonNews> = []
    var isEverything = false
    var isScheduled = false

    var isEmpty: Bool { rooms.isEmpty && others.isEmpty && people.isEmpty && !isEverything }

    mutating func add(_ wake: Wake) {
      switch wake {
      case .stored(let stored):
        let (room, sequence) = (stored.entry.room, stored.entry.sequence)
        rooms[room] = max(rooms[room] ?? 0, sequence)
      case .look(let subject, let devices): for device in devices { others.insert(.look(subject, device)) }
      case .sessionEnded(let session): others.insert(.session(session))
      case .devicesGone(let devices): for device in devices { others.insert(.device(device)) }
      // These come from other nodes, which have told everyone.
      case .grown, .doubted, .everything, .rumoured, .asked: break
      // Only for those who are connected here: others are told by their nodes, which look for themselves.
      case .tell: break
      case .changed(let news): people.formUnion(news)
      case .asks: others.insert(.asks)
      }
      guard [rooms.count, others.count, people.count].contains(where: { $0 > RedisBus.maxPending }) else { return }
      lose()
    }

    mutating func lose() {
      (rooms, others, people) = ([:], [], [])
      isEverything = true
    }

    mutating func takePeople() -> [PersonNews] {
      var taken: [PersonNews] = []
      while taken.count < BusMessage.maxPeople, let news = people.popFirst() { taken.append(news) }
      return taken
    }

    mutating func take() -> [BusMessage.Item] {
      var items: [BusMessage.Item] = []
      if isEverything { items.append(.everything) }
      isEverything = false
      while items.count < BusMessage.maxItems, let other = others.popFirst() { items.append(other) }
      while items.count < BusMessage.maxItems, let (room, last) = rooms.popFirst() {
        items.append(.grown(room, last: last))
      }
      return items
    }
  }

  private struct Counts {
    let published: Counter
    let heard: Counter
    let rejected: Counter
    let isUp: Gauge
  }

  /// This node's own listeners.
  let local: LocalBus
  private let redis: Redis
  private let secret: NodeSecret
  private let node = UInt64.random(in: 0 ... .max)
  private let pending = Mutex(Pending())
  private let counts: Counts
  // Touched on Redis's loop only.
  private let inFlight = Mutex(0)

  init(_ redis: Redis, local: LocalBus, secret: NodeSecret, metrics: Metrics) {
    (self.redis, self.local, self.secret) = (redis, local, secret)
    counts = Counts(
      published: metrics.counter("kin_bus_published_total", help: "Messages given to Redis for the other nodes."),
      heard: metrics.counter("kin_bus_heard_total", help: "Messages of other nodes that came over Redis."),
      rejected: metrics.counter("kin_bus_rejected_total", help: "Messages on the channel that no node wrote."),
      isUp: metrics.gauge("kin_bus_connected", help: "1 while Redis takes messages."))
  }

  /// Begins to listen and to speak.
  func start() {
    redis.start(
      ready: { [weak self] in
        self?.counts.isUp.set(1)
        self?.flush()
      },
      // What was said while nobody listened is in the store.
      listening: { [weak self] in self?.local.publish([.everything]) },
      message: { [weak self] in self?.hear($0) })
  }

  func publish(_ wakes: [Wake]) {
    guard !wakes.isEmpty else { return }
    local.publish(wakes)
    let isFirst = pending.withLock { pending in
      for wake in wakes { pending.add(wake) }
      guard !pending.isScheduled, !pending.isEmpty else { return false }
      pending.isScheduled = true
      return true
    }
    if isFirst { redis.execute { [weak self] in self?.flush() } }
  }

  private func flush() {
    pending.withLock { $0.isScheduled = false }
    if !redis.isUp { counts.isUp.set(0) }
    while redis.isUp, inFlight.withLock({ $0 < Self.maxInFlight }) {
      let (items, people) = pending.withLock { ($0.take(), $0.takePeople()) }
      guard !items.isEmpty || !people.isEmpty else { return }
      let message = BusMessage(node: node, items: items, people: people, secret).encoded
      let command = RedisCommand(words: [Array("PUBLISH".utf8), Array(redis.channel.utf8), message])
      inFlight.withLock { $0 += 1 }
      let isSent = redis.send(command) { [weak self] reply in self?.published(reply) }
      if !isSent {
        inFlight.withLock { $0 -= 1 }
        return pending.withLock { $0.lose() }
      }
    }
  }

  private func published(_ reply: RedisReply?) {
    inFlight.withLock { $0 -= 1 }
    if case .integer? = reply {
      counts.published.add()
    } else {
      // Perhaps it was heard, perhaps not.
      counts.isUp.set(0)
      pending.withLock { $0.lose() }
    }
    guard case .failure? = reply else { return flush() }
    // Redis answers but refuses, for want of memory or rights: to ask again at once would be to ask without end.
  }

  /// Believes nothing but that there may be something to see.
  private func hear(_ bytes: [UInt8]) {
    guard bytes.count <= BusMessage.maxBytes, let message = try? BusMessage(decoding: bytes) else {
      return counts.rejected.add()
    }
    guard message.node != node else { return }
    guard let people = message.opened(secret) else { return counts.rejected.add() }
    counts.heard.add()
    var (wakes, doubt): ([Wake], Doubt) = ([], Doubt())
    var looks: [RelayFrame.Subject: [DeviceID]] = [:]
    for item in message.items {
      switch item {
      case .grown(let room, let last): wakes.append(.grown(room, last: last))
      case .look(let subject, let device): looks[subject, default: []].append(device)
      case .session(let session): doubt.sessions.insert(session)
      case .device(let device): doubt.devices.insert(device)
      case .everything: wakes.append(.everything)
      case .asks: wakes.append(.asked)
      }
    }
    if !people.isEmpty { wakes.append(.rumoured(people)) }
    for (subject, devices) in looks { wakes.append(.look(subject, devices)) }
    if !doubt.isEmpty { wakes.append(.doubted(doubt)) }
    local.publish(wakes)
  }

  /// Says what still waits if Redis is there, and ends the connections.
  func close() async { await redis.close() }
}
