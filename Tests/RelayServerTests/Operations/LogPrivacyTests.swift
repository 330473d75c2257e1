import Foundation
import Glibc
import Networking
import Observability
import RelayProtocol
import Testing

@testable import RelayServer

/// Everything that a relay writes down about a whole conversation, and nobody in it (attack 55).
struct LogPrivacyTests {
  @Test(arguments: LogFormat.allCases) func namesNobody(_ format: LogFormat) async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let descriptor = open(folder + "/log", O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = folder + "/data"
    configuration.shutdownTimeout = .seconds(1)
    let relay = Relay(
      configuration: configuration, log: LogSink(descriptor: descriptor, level: .debug, format: format))
    try await relay.start()
    let fixture = RelayFixture(relay: relay, folder: folder)
    var secrets = ["127.0.0.1", Person.password, "alice", "bob.of.nowhere"]
    do {
      let alice = try await fixture.person("alice.of.wonder")
      let bob = try await fixture.person("bob.of.nowhere")
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      let socket = try await bob.socket()
      let incarnation = try await bob.log(of: room).last.incarnation
      _ = try await socket.following(room, after: 1, incarnation: incarnation)
      try await alice.send("a secret between two", to: room, epoch: 1)
      try await socket.expectEntry(2)
      // Each kind of refusal, and of end.
      await #expect(throws: Refusal(code: "epoch_conflict")) { try await bob.commit(room, epoch: 0) }
      _ = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice.of.wonder", password: "no", device: bob.device))
      _ = try await fixture.raw("POST", "/v1/accounts", body: Array("{\"username\":\"alice.of.wonder\"".utf8))
      _ = try await fixture.raw("GET", "/v1/rooms/\(room)?token=\(alice.token)")
      // The second time is forgiven, the third ends the session.
      for _ in 1...3 {
        _ = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: bob.session.refreshToken))
      }
      _ = try await socket.closeCode()
      let other = try await alice.socket()
      try await other.stream.send(binary: [0xff, 0x01])
      _ = try await other.closeCode()
      _ = try await alice.socket()
      secrets += [
        "\(alice.user)", "\(bob.user)", "\(alice.device)", "\(bob.device)", "\(room)", "a secret between two",
      ]
      secrets += [alice.token, bob.token, alice.session.refreshToken, bob.session.refreshToken]
      secrets += secrets.compactMap { UUID(uuidString: $0)?.uuidString.replacing("-", with: "") }
    }
    await relay.shutdown()
    let text = try String(contentsOfFile: folder + "/log", encoding: .utf8)
    let lines = text.split(separator: "\n")
    #expect(lines.count >= 4, "\(text)")
    for secret in secrets { #expect(!text.lowercased().contains(secret.lowercased()), "\(secret)") }
    for line in lines {
      if format == .json {
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["time"] is String && object?["level"] is String && object?["msg"] is String, "\(line)")
      } else {
        #expect(line.hasPrefix("time=") && line.contains(" level=") && line.contains(" msg="), "\(line)")
      }
      #expect(!line.contains("level=error") && !line.contains("\"level\":\"error\""), "an error is a bug: \(line)")
    }
  }
}
