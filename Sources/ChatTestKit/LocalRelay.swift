import FoundationEssentials
import RelayServer

/// A whole relay in this process, on a free port of the loopback, with its data in a folder of its own.
public actor LocalRelay {
  private let folder: TemporaryFolder
  private var relay: Relay?
  private var port: UInt16 = 0

  private let accessTokenLifetime: Duration

  /// - Parameter accessTokenLifetime: how soon clients must renew their tokens.
  public init(accessTokenLifetime: Duration = .seconds(600)) throws {
    try self.init(folder: TemporaryFolder(), accessTokenLifetime: accessTokenLifetime)
  }

  init(folder: TemporaryFolder, accessTokenLifetime: Duration = .seconds(600)) {
    self.folder = folder
    self.accessTokenLifetime = accessTokenLifetime
  }

  /// Where it listens; the same after a restart.
  public var url: String { "http://127.0.0.1:\(port)" }
  /// Where its database lies.
  public nonisolated var dataFolder: String { folder.path + "/relay" }

  public func start() async throws {
    guard relay == nil else { return }
    var configuration = RelayConfiguration()
    configuration.port = port
    configuration.dataDirectory = dataFolder
    configuration.loops = 1
    configuration.accessTokenLifetime = accessTokenLifetime
    // Cheap passwords and no patience needed: what is tried here is not the relay's thrift.
    configuration.passwordPasses = 1
    configuration.passwordMemoryKiB = 1024
    configuration.requestsPerSecond = 1_000_000
    configuration.requestBurst = 1_000_000
    configuration.framesPerSecond = 1_000_000
    configuration.frameBurst = 1_000_000
    configuration.visitorAttemptsPerMinute = 1_000_000
    configuration.visitorAttemptBurst = 1_000_000
    configuration.limits = [:]
    let fresh = Relay(configuration: configuration)
    try await fresh.start()
    relay = fresh
    port = fresh.port
  }

  public func stop() async {
    await relay?.shutdown()
    relay = nil
  }

  public func restart() async throws {
    await stop()
    try await start()
  }
}

/// A folder that goes with its value.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    let name = "kin-\(UInt64.random(in: 0 ... .max))"
    path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
