import Foundation
import Networking
import Testing

/// What an operator does to a relay that people use: real processes throughout.
@Suite(.serialized) struct OperationsTests {
  private func get(_ relay: RelayProcess, _ path: String) async throws -> Int {
    try await HTTPClient().send(HTTPClientRequest(.get, try WebURL(relay.url + path), timeout: .seconds(5))).status
  }

  /// The disk is lost after a backup: what was said since is gone from the relay, everything else goes on.
  @Test func aRelayIsLostAndItsBackupPutBack() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    let reader = try bob.start(["chat", "Garden", "--json"])
    for index in 0..<5 { try await alice.must("send", "Garden", "before \(index)") }
    let copy = relay.folder.path("backup.db")
    let made = try await relay.perform("backup", "--to", copy)
    #expect(made.exit == 0, "\(made.output)")
    #expect(made.output.contains("accounts 2\n") && made.output.contains("rooms 1\n"))
    try await alice.must("send", "Garden", "after the backup")
    try await wait(for: "bob to read what will be lost") { reader.text.contains("after the backup") }

    relay.kill(SIGKILL)
    try FileManager.default.removeItem(atPath: relay.dataPath)
    let restored = try await relay.perform("restore", "--from", copy)
    #expect(restored.exit == 0, "\(restored.output)")
    #expect(restored.output.contains("incarnation "))
    #expect(!made.output.hasPrefix(restored.output), "the incarnation is a new one")
    try await relay.start()

    // Those who were connected and those who were not go on without doing anything, and nothing is doubled.
    try await alice.must("send", "Garden", "good that we had a backup")
    try await wait(for: "bob to hear again") { reader.text.contains("good that we had a backup") }
    reader.write("indeed\n")
    try await wait(for: "alice to hear bob") { try await alice.history("Garden").contains { $0.text == "indeed" } }
    reader.closeInput()
    #expect(try await reader.result().exit == 0)
    let expected = (0..<5).map { "before \($0)" } + ["after the backup", "good that we had a backup", "indeed"]
    for person in [alice, bob] { #expect(try await person.history("Garden").map(\.text) == expected, "\(person.name)") }
    // Whoever comes now finds a relay like any other.
    let carol = try await Person("carol", at: relay)
    try await alice.must("room", "invite", "Garden", "carol")
    try await carol.must("send", "Garden", "hello from carol")
    for person in [alice, bob] {
      #expect(try await person.history("Garden").map(\.text) == expected + ["hello from carol"], "\(person.name)")
    }
    #expect(try await relay.perform("backup", "--to", relay.folder.path("second.db")).exit == 0)
  }

  @Test func aRelayThatIsToEndDrainsFirst() async throws {
    let relay = try await RelayProcess(["--drain-delay", "6s"])
    #expect(try await get(relay, "/readyz") == 200)
    let socket = try await WebSocketClient().connect(
      try WebURL(relay.url.replacing("http", with: "ws") + "/v1/socket"), subprotocol: "kin.v1")
    let begun = ContinuousClock.now
    relay.signal(SIGTERM)
    try await wait(for: "/readyz to say so", seconds: 5) { try await get(relay, "/readyz") == 503 }
    // Whoever is here is served on, and the process lives.
    #expect(try await get(relay, "/livez") == 200)
    let person = try await Person("alice", at: relay)
    try await person.must("room", "create", "Garden")
    #expect(socket.closeCode == nil)
    #expect(try await relay.ended() == 0)
    #expect(ContinuousClock.now - begun >= .seconds(6))
    for await _ in socket {}
    #expect(socket.closeCode?.rawValue == 1001)
    // A rolling restart: the same data, nothing to mend.
    try await relay.start()
    try await person.must("send", "Garden", "still here")
    #expect(try await get(relay, "/readyz") == 200)
  }

  @Test func aSecondSignalEndsTheWait() async throws {
    let relay = try await RelayProcess(["--drain-delay", "30s"])
    let begun = ContinuousClock.now
    relay.signal(SIGTERM)
    try await wait(for: "/readyz to say so", seconds: 20) { try await get(relay, "/readyz") == 503 }
    relay.signal(SIGTERM)
    #expect(try await relay.ended() == 0)
    #expect(ContinuousClock.now - begun < .seconds(25))
  }
}
