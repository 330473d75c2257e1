import Foundation
import Glibc
import Synchronization
import TestServers

/// The web server of a single sign-on: see `Peers/issuer.py`.
final class IssuerServer: Sendable {
  let port: UInt16
  private let folder: ServerFolder
  private let arguments: [String]
  private let process = Mutex<ServerProcess?>(nil)

  /// - Parameter isSecure: serves TLS with a certificate of its own for `localhost`.
  init(keys: String = TestIssuer.set(), isSecure: Bool = false, isRunning: Bool = true) throws {
    folder = try ServerFolder()
    port = try Loopback.lastingPort()
    var arguments = [
      Peer.root.appending(path: "Tests/RelayServerTests/Peers/issuer.py").path, folder.path, "\(port)",
    ]
    if isSecure {
      let (certificate, key) = try folder.makeCertificate()
      arguments += [certificate, key]
    }
    self.arguments = arguments
    try publish(keys)
    if isRunning { try start() }
  }

  deinit { stop() }

  var certificate: String { folder.path + "/certificate.pem" }

  func url(_ path: String = "/jwks.json", host: String = "127.0.0.1", scheme: String = "http") -> String {
    "\(scheme)://\(host):\(port)\(path)"
  }

  /// How often somebody asked.
  var questions: Int { (try? Data(contentsOf: URL(fileURLWithPath: folder.path + "/count")).count) ?? 0 }

  func publish(_ keys: String) throws {
    try keys.write(toFile: folder.path + "/jwks.json", atomically: true, encoding: .utf8)
  }

  func start() throws {
    let server = try ServerProcess("python3", arguments, name: "issuer", in: folder)
    process.withLock { $0 = server }
    try server.untilItListens(on: port)
  }

  func stop() {
    let server = process.withLock { process in
      defer { process = nil }
      return process
    }
    server?.kill(SIGKILL)
  }
}
