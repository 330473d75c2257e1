import Foundation
import Glibc
import PostgresFixture
import Testing

/// The relay on PostgreSQL, with real processes.
@Suite(.serialized) struct PostgresTests {
  /// A relay on a database of its own, whose address stands in a file.
  private func relay(on server: PostgresServer, _ folder: TemporaryFolder) async throws -> RelayProcess {
    let file = folder.path("database")
    try server.makeDatabase().write(toFile: file, atomically: true, encoding: .utf8)
    // The relay takes no secret that anybody could read.
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    return try await RelayProcess(["--store", "postgres", "--postgres-url-file", file])
  }

  @Test func aConversationIsKeptInPostgreSQL() async throws {
    let folder = try TemporaryFolder()
    let relay = try await relay(on: try PostgresServer.shared(), folder)
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    try await bob.must("rooms")
    for number in 1...5 {
      try await alice.must("send", "Garden", "from alice \(number)")
      try await bob.must("send", "Garden", "from bob \(number)")
    }
    let expected = (1...5).flatMap { ["from alice \($0)", "from bob \($0)"] }
    #expect(try await alice.history("Garden").map(\.text) == expected)
    // Nothing is kept but in the database: another life of the relay has it all.
    relay.kill(SIGKILL)
    try await relay.start()
    #expect(try await bob.history("Garden").map(\.text) == expected)
    let files = try FileManager.default.contentsOfDirectory(atPath: relay.dataPath)
    #expect(!files.contains { $0.hasPrefix("relay.db") }, "\(files)")
  }

  @Test func aServerThatRestartsLosesNothing() async throws {
    let server = try PostgresServer()
    let folder = try TemporaryFolder()
    let relay = try await relay(on: server, folder)
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    try await bob.must("rooms")
    let texts = (0..<60).map { "number \($0)" }
    let chat = try alice.start(["chat", "Garden", "--json"])
    for (number, text) in texts.enumerated() {
      chat.write(text + "\n")
      if number == 20 { try server.stop(.crash) }
      if number == 25 { try server.start() }
      if number == 40 {
        try server.stop(.restart)
        try server.start()
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    try await wait(for: "all to be sent", seconds: 90) {
      chat.text.split(separator: "\n").count { $0.contains("\"type\":\"message\"") } >= texts.count
    }
    chat.closeInput()
    _ = try await chat.result()
    #expect(try await bob.history("Garden").map(\.text) == texts)
    #expect(try await alice.history("Garden").map(\.text) == texts)
  }
}
