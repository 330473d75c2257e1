import Foundation
import Networking
import RelayProtocol
import Testing

@testable import RelayServer

/// Somebody else's reader of the document, which invents requests and holds every answer against it.
struct SchemathesisTests {
  private static let checks = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "missing_required_header", "ignored_auth",
  ].joined(separator: ",")

  @Test func findsNothingThatTheDocumentDoesNotSay() async throws {
    try await RelayFixture.run {
      $0.requestsPerSecond = 100_000
      $0.visitorAttemptsPerMinute = 1_000_000
      ($0.requestBurst, $0.visitorAttemptBurst) = (1_000_000, 1_000_000)
    } _: { fixture in
      let person = try await fixture.person("alice")
      let other = try await fixture.person("bob")
      let room = try await person.createRoom()
      try await person.commit(room, epoch: 0, add: [other])
      // What it finds to ask about exists, so that more than refusals are seen.
      let all = try await run(person.token, at: fixture, ["--exclude-path-regex", "^/v1/(socket|sessions.*)$"])
      #expect(all.exit == 0, "\(all.output.suffix(6000))")
      // These end the session or the connection, so they come last and with a session that nobody needs.
      let rest = try await run(other.token, at: fixture, ["--include-path-regex", "^/v1/(socket|sessions.*)$"])
      #expect(rest.exit == 0, "\(rest.output.suffix(6000))")
      _ = try await person.log(of: room)
    }
  }

  private func run(_ token: String, at fixture: RelayFixture, _ selection: [String]) async throws -> Peer.Result {
    let module = Peer.root.appending(path: "Tests/RelayServerTests/Peers/schemathesis_hooks.py").path
    return try await Peer.run(
      [
        Peer.python, "-m", "schemathesis.cli", "run", try fixture.url(Route.openAPI.path).description, "--seed", "1",
        "--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--checks", Self.checks,
        "--header", "Authorization: Bearer \(token)", "--suppress-health-check", "all", "--warnings", "off",
        "--no-shrink", "--continue-on-failure", "--request-timeout", "10", "--no-color",
      ] + selection,
      environment: ["SCHEMATHESIS_HOOKS": module, "PYTHONDONTWRITEBYTECODE": "1"], seconds: 240)
  }
}
