import Foundation
import Networking
import Observability
import RelayProtocol
import Testing

@testable import RelayServer

/// The page of metrics as Prometheus' own reader sees it, beside a relay that was used.
struct MetricsPageTests {
  struct Sample: Decodable {
    var family: String
    var type: String
    var name: String
    var labels: [String: String]
    var value: Double
  }

  static func read(_ text: String) async throws -> [Sample] {
    let script = Peer.root.appending(path: "Tests/RelayServerTests/Peers/read_metrics.py").path
    let result = try await Peer.run([Peer.python, script], input: text)
    try #require(result.exit == 0, "\(result.output)")
    return try JSONDecoder().decode([Sample].self, from: Data(result.output.utf8))
  }

  private static func page(_ fixture: RelayFixture, _ path: String = "/metrics") async throws -> HTTPResponse {
    try await fixture.client.send(
      HTTPClientRequest(.get, try WebURL("http://127.0.0.1:\(fixture.relay.metricsPort)\(path)")))
  }

  @Test func saysWhatHappened() async throws {
    try await RelayFixture.run {
      $0.metricsAddress = ListenAddress(host: "127.0.0.1", port: 0)
      $0.visitorAttemptsPerMinute = 1
      $0.visitorAttemptBurst = 3
      $0.watchInterval = .milliseconds(20)
    } _: { fixture in
      let alice = try await fixture.person("alice.of.wonder")
      let bob = try await fixture.person("bob.of.nowhere")
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      await #expect(throws: Refusal(code: "epoch_conflict")) { try await bob.commit(room, epoch: 0) }
      let socket = try await bob.socket()
      let incarnation = try await bob.log(of: room).last.incarnation
      _ = try await socket.following(room, after: 1, incarnation: incarnation)
      for index in 0..<5 { try await alice.send("hello \(index)", to: room, epoch: 1) }
      for sequence in 2...6 { try await socket.expectEntry(UInt64(sequence)) }
      let login = LoginRequest(login: "nobody", password: "wrong password", device: bob.device)
      #expect(try await fixture.call(.logIn, nil, login).status == 401)
      #expect(try await fixture.call(.logIn, nil, login).status == 429)
      let counted = try await eventually {
        let response = try await Self.page(fixture)
        return String(decoding: response.body, as: UTF8.self).contains("\nkin_devices_low_on_key_packages 2\n")
      }
      #expect(counted, "both devices have published nothing")

      let response = try await Self.page(fixture)
      #expect(response.headers["Content-Type"] == Metrics.contentType)
      let text = String(decoding: response.body, as: UTF8.self)
      let samples = try await Self.read(text)
      func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples.first { $0.name == name && $0.labels == labels }?.value
      }
      #expect(value("kin_sockets") == 1)
      #expect((value("kin_connections") ?? 0) >= 1)
      #expect(value("kin_deliveries_total") == 5)
      #expect(value("kin_delivery_lag_seconds_count") == 5)
      #expect((value("kin_delivery_lag_seconds_sum") ?? 99) < 5)
      #expect(value("kin_commits_total") == 1)
      #expect(value("kin_commit_conflicts_total") == 1)
      #expect(value("kin_errors_total", ["code": "epoch_conflict"]) == 1)
      #expect(value("kin_rate_limited_total", ["kind": "visits"]) == 1)
      #expect(value("kin_errors_total", ["code": "rate_limited"]) == 1)
      #expect(value("kin_store_seconds_count", ["work": "append"]) == 5)
      #expect((value("kin_store_seconds_count", ["work": "commit"]) ?? 0) >= 1)
      #expect((value("kin_store_seconds_count", ["work": "probe"]) ?? 0) >= 1)
      #expect((value("kin_bus_seconds_count") ?? 0) >= 6)
      #expect(value("kin_queue_bytes") == 0)
      #expect(value("kin_strain", ["of": "disk"]) == 0)
      #expect((value("process_resident_memory_bytes") ?? 0) > 1_000_000)
      #expect((value("process_cpu_seconds_total") ?? 0) > 0)
      #expect((value("process_open_fds") ?? 0) > 3 && (value("process_max_fds") ?? 0) > 3)
      #expect(abs((value("process_start_time_seconds") ?? 0) - Date().timeIntervalSince1970) < 86_400)

      // Nobody can be found on the page: every label is a word of a closed set.
      let names: Set = ["reason", "outcome", "of", "code", "kind", "work", "le"]
      for sample in samples {
        #expect(names.isSuperset(of: sample.labels.keys), "\(sample.name) has the labels \(sample.labels)")
        for (name, label) in sample.labels where name != "le" {
          #expect(label.wholeMatch(of: /[a-z_]{3,30}/) != nil, "\(sample.name): \(label)")
        }
      }
      for secret in [
        "alice", "wonder", "\(alice.user)", "\(bob.device)", "\(room)", "127.0.0.1", alice.token, "hello",
      ] { #expect(!text.contains(secret), "\(secret)") }
    }
  }

  @Test func isOnAnAddressOfItsOwn() async throws {
    try await RelayFixture.run {
      $0.metricsAddress = ListenAddress(host: "127.0.0.1", port: 0)
    } _: { fixture in
      #expect(try await fixture.raw("GET", "/metrics").status == 404)
      for path in ["/", "/livez", "/v1/rooms", "/v1/socket", "/metrics/x"] {
        #expect(try await Self.page(fixture, path).status == 404, "\(path)")
      }
      let response = try await fixture.client.send(
        HTTPClientRequest(.post, try WebURL("http://127.0.0.1:\(fixture.relay.metricsPort)/metrics")))
      #expect(response.status == 405)
    }
    try await RelayFixture.run { fixture in #expect(fixture.relay.metricsPort == 0) }
    // An address that cannot be had stops the start, like that of the relay itself.
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = RelayFixture.cheap
    configuration.dataDirectory = folder + "/data"
    configuration.metricsAddress = ListenAddress(host: "203.0.113.7", port: 0)
    let relay = Relay(configuration: configuration, log: LogSink(descriptor: 2, level: .off))
    await #expect(throws: RelayError(.unavailable, "")) { try await relay.start() }
  }
}
