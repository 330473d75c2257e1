import Foundation
import Glibc
import Networking
import RelayProtocol
import TestServers
import Testing

@testable import RelayServer

/// What an operator meets in the first hour: the program itself, on machines where something is not as it should be.
struct StartTests {
  /// Runs the program in a shell, which may lower limits first.
  private static func run(_ arguments: String, before: String = ":", in folder: String) async throws -> Peer.Result {
    let script = "\(before); cd \(folder); exec \(RelayProgram.path) \(arguments)"
    return try await Peer.run(["sh", "-c", script], seconds: 20)
  }

  /// Everybody who is turned away learns what to mend.
  @Test func whatIsWrongIsSaidWithItsRemedy() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func make(_ name: String, _ files: [String: String]) throws {
      mkdir("\(folder)/\(name)", 0o700)
      for (file, text) in files {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)/\(file)"))
        chmod("\(folder)/\(name)/\(file)", 0o600)
      }
    }
    try make("foreign", ["relay.db": "no database at all"])
    try make("keys", ["token-keys": "ed25519 nothing\n"])
    try make(
      "files", ["wrong": "kin and more\n", "away": "postgresql://kin@127.0.0.1:1/kin\n", "pem": "x", "key": "x"])
    #expect(try await Self.run("schema --data old --to 1", in: folder).exit == 3)
    for (arguments, exit, error, hint) in [
      ("--data foreign", 3, "the database is damaged", "restore a backup"),
      ("--data keys", 3, "the token key file is damaged", "token-keys|copy it again"),
      ("--data missing/data", 1, "data: the folder does not exist and cannot be made", nil),
      ("--data files/pem", 1, "data: this is not a folder", nil),
      ("--data d --listen 203.0.113.7:0", 3, "that address does not belong to this machine", "the setting is listen"),
      (
        "--data d --metrics-listen 203.0.113.7:0", 3, "that address does not belong to this machine",
        "the setting is metrics-listen"
      ),
      (
        "--data d --tls-certificate files/pem --tls-key files/key", 1,
        "tls-certificate and tls-key: the certificate file cannot be read as a PEM chain", nil
      ),
      (
        "--data d --store postgres --postgres-url-file files/away", 3,
        "the PostgreSQL server is not reached, or refuses this relay", "psql -d"
      ),
      (
        "check-config --store postgres --postgres-url-file files/wrong", 1,
        "postgres-url-file holds no address of a database", nil
      ),
      ("--data d --retention 5x", 1, "--retention: not a valid value", "retention: How long"),
      ("--data d --loops 999", 1, "--loops: not a valid value", "From 0 to 256."),
      ("check-config --config nowhere", 1, "cannot read the configuration file", "--config or KIN_RELAY_CONFIG"),
      ("backup --to x --store postgres", 1, "the settings say store = postgres", "pg_dump"),
    ] as [(String, Int32, String, String?)] {
      let listen = arguments.contains("listen") || arguments.contains("backup") ? "" : " --listen 127.0.0.1:0"
      let result = try await Self.run(arguments + listen, in: folder)
      #expect(result.exit == exit && result.output.contains("error: ") && result.output.contains(error), "\(result)")
      #expect(!result.output.contains("listening on"))
      guard let hint else { continue }
      let said = result.output.split(separator: "\n").last { $0.hasPrefix("hint: ") } ?? ""
      #expect(hint.split(separator: "|").contains { said.contains($0) }, "\(result.output)")
    }
  }

  /// Ending at once while the event loop is still being set up aborts nothing.
  @Test func aStartThatFailsEndsInOrderEveryTime() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    mkdir(folder + "/data", 0o700)
    try Data("no database".utf8).write(to: URL(fileURLWithPath: folder + "/data/relay.db"))
    for _ in 0..<25 {
      let result = try await Self.run("--data data --listen 127.0.0.1:0", in: folder)
      #expect(result.exit == 3, "\(result.output)")
    }
  }

  @Test func fewOpenFilesAreSaidAndNeverATrap() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for limit in [14, 20, 40, 64] {
      let result = try await Self.run(
        "--data data --listen 127.0.0.1:0 --loops 1", before: "ulimit -n \(limit)", in: folder)
      #expect(result.exit == 3 && result.output.contains("too few open files are allowed"), "\(limit): \(result)")
      #expect(result.output.contains("hint: raise LimitNOFILE"))
    }
  }

  /// With more clients than files the rest are told so, and the relay's own doors stay open.
  @Test func theLastFilesAreTheRelaysOwn() async throws {
    let metrics = "127.0.0.1:\(try Loopback.lastingPort())"
    try await RelayProgram.run(
      ["--loops", "1", "--metrics-listen", metrics, "--connections-per-address", "10000"], before: "ulimit -n 200"
    ) { relay in
      let port = relay.fixture.port
      let sockets = (0..<300).map { _ in Self.connect(port) }
      defer { for socket in sockets where socket >= 0 { close(socket) } }
      let page = try await Peer.run(["curl", "-s", "http://\(metrics)/metrics"], seconds: 10)
      #expect(page.output.contains("process_open_fds"), "\(page)")
      let data = relay.fixture.folder + "/data"
      let listed = try await Peer.run([RelayProgram.path, "admin", "users", "list", "--data", data], seconds: 10)
      #expect(listed.exit == 0, "\(listed)")
      let copied = try await Peer.run(
        [RelayProgram.path, "backup", "--to", relay.fixture.folder + "/copy", "--data", data], seconds: 20)
      #expect(copied.exit == 0, "\(copied)")
      let refused = try await Peer.run(["curl", "-s", "-i", "http://127.0.0.1:\(port)/livez"], seconds: 10)
      #expect(refused.output.isEmpty || refused.output.contains("503"), "\(refused)")
      #expect(try relay.log().contains("open files bound the connections"))
    }
  }

  private static func connect(_ port: UInt16) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return descriptor
  }

  /// A full disk: no send is acknowledged that is not there, reading goes on, and with room again all goes on.
  @Test func aFullDiskStopsSendsAndNothingElse() async throws {
    try await RelayProgram.run(["--shed-free-disk-mib", "0"], before: "ulimit -S -f 2048") { relay in
      let alice = try await relay.fixture.person("alice")
      let room = try await alice.createRoom()
      let text = String(repeating: "x", count: 40_000)
      var acknowledged: UInt64 = 0
      await #expect(throws: Refusal(code: "unavailable")) {
        for _ in 0..<200 { acknowledged = try await alice.send(text, to: room).position.sequence }
      }
      #expect(acknowledged > 5)
      for _ in 0..<3 {
        await #expect(throws: Refusal(code: "unavailable")) { try await alice.send(text, to: room) }
      }
      #expect(try await alice.log(of: room, after: acknowledged - 1).last.sequence == acknowledged)
      #expect(try await relay.fixture.call(.live).status == 200)
      #expect(try relay.log().contains("level=warning room=store msg=\"database failed\""))
      #expect(!(try relay.log()).contains("level=error"), "a full disk is no bug of ours")

      let more = try await Peer.run(["prlimit", "--pid", "\(relay.pid)", "--fsize=unlimited"], seconds: 10)
      #expect(more.exit == 0, "\(more)")
      #expect(try await alice.send(text, to: room).position.sequence == acknowledged + 1)
    }
  }
}
