import BenchKit
import Glibc
import Networking
import RelayProtocol

/// A relay in a process of its own, with an account and a room.
final class BenchRelay: BenchServer, @unchecked Sendable {
  let name = "Kin"
  let dialect: Dialect
  let account: BenchAccount
  let room: RoomResponse
  let url: String
  let folder: Folder
  private var child: Child
  private let arguments: [String]
  private let environment: [String]

  /// Limits that a benchmark must not run into.
  private static let open = [
    "--connections-per-account", "10000", "--connections-per-address", "100000", "--max-connections", "100000",
    "--limit-registrations", "off", "--limit-sends", "off", "--limit-sends-of-device", "off", "--limit-sends-of-room",
    "off",
    "--limit-kilobytes", "off", "--limit-kilobytes-of-room", "off", "--frames-per-second", "1000000", "--frame-burst",
    "10000000", "--requests-per-second", "1000000",
    "--request-burst", "10000000", "--visitor-attempts-per-minute", "1000000", "--visitor-attempt-burst", "1000000",
    "--log-level", "error",
  ]

  /// - Parameter loops: event loops; one, because the targets are for a core.
  init(
    loops: Int = 1, store: StoreKind = .sqlite, tls certificate: Certificate? = nil,
    counting calls: CallCounts? = nil
  ) async throws {
    folder = try Folder()
    let tls = certificate.map { ["--tls-certificate", $0.file, "--tls-key", $0.keyFile] } ?? []
    arguments =
      ["--data", folder.path + "/relay", "--loops", "\(loops)"] + Self.open + tls
      + (try store.relayArguments(in: folder))
    environment = calls?.environment ?? []
    child = try Self.start(["--listen", "127.0.0.1:0"] + arguments, environment, in: folder)
    guard let port = Child.port(from: folder.path + "/out") else {
      child.end(SIGKILL)
      throw Child.Failed(what: "the relay did not come up")
    }
    url = "\(certificate == nil ? "http" : "https")://127.0.0.1:\(port)"
    account = try await BenchAccount("bench", at: url, trusting: certificate?.file)
    room = try await account.createRoom()
    dialect = .kin(room)
  }

  var pid: pid_t { child.pid }

  var port: Int { url.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

  private static func start(_ arguments: [String], _ environment: [String], in folder: Folder) throws -> Child {
    try Child("relay-server", arguments, output: folder.path + "/out", environment: environment)
  }

  /// Ends it without a word, and starts it again on the same port and data. Returns when it listens.
  func killAndRestart() throws {
    child.end(SIGKILL)
    child = try Self.start(["--listen", "127.0.0.1:\(port)"] + arguments, environment, in: folder)
    guard Child.port(from: folder.path + "/out") != nil else { throw Child.Failed(what: "the relay did not come back") }
  }

  func connect(
    _ handler: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
  ) async throws -> WebSocketConnection {
    try await account.socket(on: .shared, handler: handler)
  }

  func stop() { child.end(SIGTERM) }
}
