import Foundation
import Glibc
import Networking
import PostgresFixture
import TestServers

/// Relays in processes of their own that share a PostgreSQL and a Redis, behind nginx.
final class Cluster: Sendable {
  /// One relay, on the port that it keeps over its lives.
  final class Node: Sendable {
    let port: UInt16
    let folder: TemporaryFolder
    private let arguments: [String]
    private let process: Box<ServerProcess?> = Box(nil)
    private let output: ServerFolder

    init(_ arguments: [String]) throws {
      port = try Loopback.lastingPort()
      folder = try TemporaryFolder()
      output = try ServerFolder()
      self.arguments = arguments
    }

    var url: String { "http://127.0.0.1:\(port)" }
    var keyFile: String { folder.path("data") + "/token-keys" }

    func start() throws {
      let words = ["--listen", "127.0.0.1:\(port)", "--data", folder.path("data")] + arguments
      let relay = try ServerProcess(Programs.url("relay-server").path, words, name: "relay", in: output)
      process.value = relay
      try relay.untilItListens(on: port)
    }

    /// Sends a signal and waits for the end.
    func kill(_ signal: Int32) {
      process.value?.kill(signal)
      process.value = nil
    }
  }

  /// PostgreSQL of the suite's own: these tests end and start it.
  private static let one = Result<PostgresServer, any Error> { try PostgresServer() }

  let database: PostgresServer
  let redis: RedisServer
  /// Between the first node and Redis.
  let link: TCPProxy
  let nodes: [Node]
  let nginx: NginxServer
  let tls: TLSClientContext

  /// - Parameters:
  ///   - proxied: how many of the nodes stand behind nginx; if it is not said, all.
  ///   - interval: how often the nodes look for what Redis did not tell.
  init(nodes count: Int, proxied: Int? = nil, looking interval: String = "1s", _ arguments: String...) throws {
    database = try Self.one.get()
    redis = try RedisServer()
    link = try TCPProxy(to: redis.port)
    let address = try TemporaryFolder()
    let file = address.path("database")
    try database.makeDatabase().write(toFile: file, atomically: true, encoding: .utf8)
    guard chmod(file, 0o600) == 0 else { throw ServerFailure("no secret file") }
    nodes = try (0..<count).map { [link, redis] index in
      try Node(
        [
          "--store", "postgres", "--postgres-url-file", file, "--redis-address",
          "127.0.0.1:\(index == 0 ? link.port : redis.port)", "--poll-interval", interval, "--node-name",
          "node\(index)", "--trusted-proxies", "127.0.0.1", "--password-passes", "1", "--password-memory-kib", "8",
          "--loops", "1", "--shutdown-timeout", "3s", "--log-level", "warning",
        ] + arguments)
    }
    // All sign tokens with the keys that the first one made.
    for (index, node) in nodes.enumerated() {
      if index > 0 {
        let folder = node.folder.path("data")
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try FileManager.default.copyItem(atPath: nodes[0].keyFile, toPath: node.keyFile)
      }
      try node.start()
    }
    nginx = try NginxServer(before: nodes.prefix(proxied ?? count).map(\.port))
    tls = try TLSClientContext(trustedCertificates: nginx.certificate)
    withExtendedLifetime(address) {}
    keeper = address
  }

  private let keeper: TemporaryFolder

  /// Where clients find some relay.
  var url: String { "https://localhost:\(nginx.port)" }

  func close() {
    link.close()
    for node in nodes { node.kill(SIGKILL) }
  }
}
