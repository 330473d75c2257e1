import FoundationEssentials
import Networking
import Observability
import RelayProtocol
import Synchronization

/// What ties this relay to others that share its store: the bus on which they wake each other, and the lookout for what was not said.
final class Neighbours: Sendable {
  /// Where this node publishes.
  let bus: any Bus
  let local: LocalBus
  /// `nil` where this relay has its store to itself.
  let lookout: Lookout?
  let redis: Redis?
  private let redisBus: RedisBus?
  private let interval: Duration
  private let shared = Mutex<SharedThrottles?>(nil)

  /// - Throws: `unavailable` when a file that the settings name cannot be read.
  init(
    _ settings: RelayConfiguration, store: any RelayStore, metrics: Metrics, log sink: LogSink
  ) throws(RelayError) {
    local = LocalBus()
    interval = settings.pollInterval
    if settings.redisAddress != nil {
      let redis = Redis(try Self.redisConfiguration(settings), log: Log("redis", to: sink))
      let redisBus = RedisBus(redis, local: local, metrics: metrics)
      (self.redis, self.redisBus, bus) = (redis, redisBus, redisBus)
    } else {
      (redis, redisBus, bus) = (nil, nil, local)
    }
    lookout =
      settings.sharesStore
      ? Lookout(store: store, local: local, metrics: metrics, log: Log("lookout", to: sink)) : nil
  }

  /// Begins to hear others; `posts` are those who serve clients, and listen on ``local`` by now.
  func start(_ posts: [any Lookouts], sharing throttles: Throttles, on loop: EventLoop) {
    if let lookout {
      local.add(lookout)
      lookout.start(posts, every: interval, on: loop)
    }
    redisBus?.start()
    if let redis {
      let shared = SharedThrottles(redis, throttles)
      self.shared.withLock { $0 = shared }
      shared.start()
    }
  }

  /// Hears nothing more; what was published goes out.
  func close() async {
    lookout?.stop()
    shared.withLock { $0?.stop() }
    await redis?.close()
    local.removeAll()
  }

  private static func redisConfiguration(_ settings: RelayConfiguration) throws(RelayError) -> RedisConfiguration {
    var redis = RedisConfiguration()
    if let address = settings.redisAddress {
      (redis.host, redis.port) = (address.host, address.port)
      if address.isEncrypted {
        do { redis.tls = try TLSClientContext(trustedCertificates: settings.redisAuthoritiesFile) } catch {
          throw RelayError(.unavailable, "redis-authorities cannot be used")
        }
      }
    }
    (redis.user, redis.prefix, redis.node) = (settings.redisUser, settings.redisPrefix, settings.nodeName)
    if let file = settings.redisPasswordFile {
      guard let data = try? Data(contentsOf: URL(filePath: file)), data.count <= 4096,
        let line = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).first
      else { throw RelayError(.unavailable, "redis-password-file cannot be read, or is empty") }
      redis.password = String(line)
    }
    return redis
  }
}

/// Where Redis listens.
package struct RedisAddress: Sendable, Equatable, CustomStringConvertible {
  package var host: String
  package var port: UInt16
  package var isEncrypted: Bool

  package init(host: String, port: UInt16, isEncrypted: Bool = false) {
    (self.host, self.port, self.isEncrypted) = (host, port, isEncrypted)
  }

  package var description: String {
    let host = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    return (isEncrypted ? "tls://" : "") + "\(host):\(port)"
  }
}
