import Observability
import RelayProtocol
import Synchronization
import TestServers
import Testing

@testable import RelayServer

/// The implementations of ``PresenceStore``: every test of the suite runs on each.
enum PresenceKind: String, CaseIterable, Sendable, CustomStringConvertible {
  case local, redis
  var description: String { rawValue }
}

/// Two nodes' leases. With Redis they are two of them on one server; otherwise they are one and the same.
final class PresenceWorld: Sendable {
  /// Four tenths of a second for each unit.
  static let times = PresenceBoard.Times(lease: 4800)

  /// One end on Redis.
  final class Node: Sendable {
    let redis: Redis
    let presence: RedisPresence
    let metrics = Metrics()
    private let losses = Mutex(0)

    init(port: UInt16, secret: NodeSecret = BusWorld.secret) {
      var configuration = RedisConfiguration()
      configuration.port = port
      configuration.timeout = .seconds(1)
      configuration.heartbeat = .milliseconds(200)
      configuration.pauses = .milliseconds(20)...(.milliseconds(200))
      redis = Redis(configuration, log: Log("redis", to: LogSink(descriptor: 2, level: .off)))
      presence = RedisPresence(redis, times: PresenceWorld.times, secret: secret, metrics: metrics)
      redis.start(ready: {}, listening: {}, message: { _ in })
      presence.start { [weak self] in self?.losses.withLock { $0 += 1 } }
    }

    /// How often others may have looked in vain.
    var lost: Int { losses.withLock { $0 } }

    func isUp() async -> Bool {
      await withCheckedContinuation { continuation in
        redis.execute { [redis] in continuation.resume(returning: redis.isUp) }
      }
    }

    /// What Redis says to a command.
    func ask(_ words: [[UInt8]]) async -> RedisReply? {
      await withCheckedContinuation { continuation in
        redis.execute { [redis] in
          if !redis.send(RedisCommand(words: words), { continuation.resume(returning: $0) }) {
            continuation.resume(returning: nil)
          }
        }
      }
    }

    func ask(_ words: String...) async -> RedisReply? { await ask(words.map { Array($0.utf8) }) }

    func members(of key: String) async -> [[UInt8]] {
      guard case .list(let members)? = await ask("SMEMBERS", key) else { return [] }
      return members.compactMap { if case .bytes(let member) = $0 { member } else { nil } }
    }

    /// All keys in Redis.
    func keys() async -> [String] {
      guard case .list(let keys)? = await ask("KEYS", "*") else { return [] }
      return keys.compactMap { if case .bytes(let key) = $0 { String(decoding: key, as: UTF8.self) } else { nil } }
    }

    /// Dies: nothing is given back.
    func close() async {
      presence.stop()
      await redis.close()
    }
  }

  let near: any PresenceStore
  let far: any PresenceStore
  /// None of them is local.
  let nodes: [Node]
  private let server: RedisServer?

  init(_ kind: PresenceKind, _ server: RedisServer? = nil, port: UInt16? = nil) async throws {
    self.server = server
    switch kind {
    case .local:
      let presence = LocalPresence()
      (near, far, nodes) = (presence, presence, [])
    case .redis:
      let server = try #require(server)
      nodes = [Node(port: port ?? server.port), Node(port: server.port)]
      (near, far) = (nodes[0].presence, nodes[1].presence)
      for node in nodes {
        let isUp = try await eventually { await node.isUp() }
        try #require(isUp)
        // From then on nothing is written anew for being new.
        let somebody = UserID.random()
        await node.presence.hold([somebody])
        await node.presence.release([somebody])
      }
    }
  }

  /// Runs a body on leases of that kind, on a Redis of its own; `port` is the first node's.
  static func run(
    _ kind: PresenceKind, proxied: Bool = false,
    _ body: (PresenceWorld, RedisServer?, TCPProxy?) async throws -> Void
  ) async throws {
    let server = kind == .redis ? try RedisServer() : nil
    let proxy = proxied ? try TCPProxy(to: try #require(server).port) : nil
    let world = try await PresenceWorld(kind, server, port: proxy?.port)
    let result: Result<Void, any Error>
    do { result = .success(try await body(world, server, proxy)) } catch { result = .failure(error) }
    proxy?.close()
    for node in world.nodes { await node.close() }
    try result.get()
  }
}
