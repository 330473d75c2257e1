import Observability
import RelayProtocol
import Synchronization
import TestServers
import Testing

@testable import RelayServer

/// The implementations of ``Bus``: every test of the suite runs on each.
enum BusKind: String, CaseIterable, Sendable, CustomStringConvertible {
  case local, redis
  var description: String { rawValue }
}

/// Hears a bus and remembers.
final class Ear: BusListener {
  private let wakes = Mutex<[Wake]>([])

  func hear(_ wakes: [Wake]) { self.wakes.withLock { $0 += wakes } }

  var all: [Wake] { wakes.withLock { $0 } }
  func clear() { wakes.withLock { $0 = [] } }

  /// How far each room is known to have come, in the order of hearing.
  func heights(of room: RoomID) -> [UInt64] {
    all.compactMap { wake in
      switch wake {
      case .stored(let stored) where stored.entry.room == room: stored.entry.sequence
      case .grown(room, let last): last
      default: nil
      }
    }
  }

  /// Sessions and devices that are said to have ended, with proof or without.
  var ended: Doubt {
    all.reduce(into: Doubt()) { doubt, wake in
      switch wake {
      case .sessionEnded(let session): doubt.sessions.insert(session)
      case .devicesGone(let devices): doubt.devices.formUnion(devices)
      case .doubted(let other):
        doubt.sessions.formUnion(other.sessions)
        doubt.devices.formUnion(other.devices)
      default: break
      }
    }
  }

  var looks: [DeviceID] {
    all.flatMap { wake in if case .look(_, let devices) = wake { devices } else { [DeviceID]() } }
  }

  /// People of whom there is something new, by those who know or by hearsay.
  var news: Set<PersonNews> {
    all.reduce(into: []) { found, wake in
      switch wake {
      case .changed(let news), .rumoured(let news): found.formUnion(news)
      default: break
      }
    }
  }

  var isAsked: Bool {
    all.contains { wake in
      switch wake {
      case .asks, .asked: true
      default: false
      }
    }
  }

  var isToldToLookAtAll: Bool { all.contains { if case .everything = $0 { true } else { false } } }
}

/// Two nodes' ends of one bus, each with an ear. With Redis they are two buses on one server.
final class BusWorld: Sendable {
  let near: any Bus
  let nearEar = Ear()
  let farEar = Ear()
  let metrics = Metrics()
  private let nodes: [Node]

  /// What nodes of one store share.
  static let secret = NodeSecret([UInt8](repeating: 5, count: 32))

  /// One end on Redis.
  struct Node: Sendable {
    let redis: Redis
    let bus: RedisBus

    init(
      port: UInt16, ear: Ear, metrics: Metrics, secret: NodeSecret = BusWorld.secret,
      configure: (inout RedisConfiguration) -> Void = { _ in }
    ) {
      var configuration = RedisConfiguration()
      configuration.port = port
      configuration.timeout = .seconds(1)
      configuration.heartbeat = .milliseconds(200)
      configuration.pauses = .milliseconds(20)...(.milliseconds(200))
      configure(&configuration)
      redis = Redis(configuration, log: Log("redis", to: LogSink(descriptor: 2, level: .off)))
      let local = LocalBus()
      local.add(ear)
      bus = RedisBus(redis, local: local, secret: secret, metrics: metrics)
      bus.start()
    }
  }

  init(_ kind: BusKind, port: UInt16 = 0) async throws {
    switch kind {
    case .local:
      let bus = LocalBus()
      bus.add(nearEar)
      bus.add(farEar)
      (near, nodes) = (bus, [])
    case .redis:
      nodes = [
        Node(port: port, ear: nearEar, metrics: metrics), Node(port: port, ear: farEar, metrics: Metrics()),
      ]
      near = nodes[0].bus
      try await settle()
    }
  }

  /// Both ends hear what the other says.
  private func settle() async throws {
    let room = RoomID.random()
    var sequence: UInt64 = 0
    #expect(
      try await eventually {
        sequence += 1
        near.publish([.stored(Self.entry(sequence, in: room))])
        return farEar.heights(of: room).last ?? 0 > 0
      })
    let other = RoomID.random()
    #expect(
      try await eventually {
        sequence += 1
        nodes[1].bus.publish([.stored(Self.entry(sequence, in: other))])
        return nearEar.heights(of: other).last ?? 0 > 0
      })
    nearEar.clear()
    farEar.clear()
  }

  func close() async { for node in nodes { await node.redis.close() } }

  static func entry(_ sequence: UInt64, in room: RoomID) -> StoredEntry {
    StoredEntry(LogEntry(room: room, sequence: sequence, kind: .application, epoch: 0, time: 0, message: [1, 2, 3]))
  }

  /// Runs a body on a bus of that kind, on a Redis of its own.
  static func run(_ kind: BusKind, _ body: (BusWorld) async throws -> Void) async throws {
    let server = kind == .redis ? try RedisServer() : nil
    let world = try await BusWorld(kind, port: server?.port ?? 0)
    let result: Result<Void, any Error>
    do { result = .success(try await body(world)) } catch { result = .failure(error) }
    await world.close()
    try result.get()
  }
}
