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
  /// Who is connected, here and at the others.
  let presence: any PresenceStore
  private let redisBus: RedisBus?
  private let redisPresence: RedisPresence?
  private let secret: NodeSecret?
  private let interval: Duration
  private let shared = Mutex<SharedThrottles?>(nil)

  /// - Throws: `unavailable` when a file that the settings name, or the store, cannot be read.
  init(
    _ settings: RelayConfiguration, store: any RelayStore, metrics: Metrics, log sink: LogSink
  ) async throws(RelayError) {
    local = LocalBus()
    interval = settings.pollInterval
    if settings.redisAddress != nil {
      let redis = Redis(try Self.redisConfiguration(settings), log: Log("redis", to: sink))
      let secret = NodeSecret(try await store.nodeSecret())
      let redisBus = RedisBus(redis, local: local, secret: secret, metrics: metrics)
      let times = PresenceBoard.Times(lease: settings.presenceLease.wholeMilliseconds)
      let presence = RedisPresence(redis, times: times, secret: secret, metrics: metrics)
      (self.redis, self.redisBus, bus, self.secret) = (redis, redisBus, redisBus, secret)
      (self.presence, redisPresence) = (presence, presence)
    } else {
      (redis, redisBus, bus, secret) = (nil, nil, local, nil)
      (presence, redisPresence) = (LocalPresence(), nil)
    }
    lookout =
      settings.sharesStore
      ? Lookout(store: store, local: local, metrics: metrics, log: Log("lookout", to: sink)) : nil
  }

  /// Begins to hear others; `posts` are those who serve clients, and listen on ``local`` by now.
  ///
  /// - Parameter lost: called when the others may have looked in vain for who is connected here.
  func start(
    _ posts: [any Lookouts], sharing throttles: Throttles, on loop: EventLoop,
    lost: @escaping @Sendable () -> Void = {}
  ) {
    if let lookout {
      local.add(lookout)
      lookout.start(posts, every: interval, on: loop)
    }
    redisBus?.start()
    redisPresence?.start(lost: lost)
    if let redis, let secret {
      let shared = SharedThrottles(redis, throttles, secret: secret)
      self.shared.withLock { $0 = shared }
      shared.start()
    }
  }

  /// Hears nothing more; what was published goes out.
  func close() async {
    lookout?.stop()
    shared.withLock { $0?.stop() }
    redisPresence?.stop()
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
      guard let password = redisPassword(file: file) else {
        throw RelayError(.unavailable, "redis-password-file cannot be read, or is empty")
      }
      redis.password = password
    }
    return redis
  }

  /// The first line of the file, if it can be read and has one.
  static func redisPassword(file: String) -> String? {
    guard let data = try? Data(contentsOf: URL(filePath: file)), data.count <= 4096 else { return nil }
    return String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init)
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
