import Foundation
import Glibc
import PostgresFixture
import Testing

/// What a room or an operator wants forgotten is gone from the relay's files: from `chat-cli` to the bytes on disk.
@Suite(.serialized) struct RetentionTests {
  /// Pieces of sealed messages as the relay keeps them, each long enough to be found only there.
  private static func pieces(_ rows: String) -> [Data] {
    rows.split(separator: "\n").compactMap { line in
      let digits = Array(line.utf8)
      guard digits.count >= 96 else { return nil }
      return Data(
        stride(from: 32, to: 96, by: 2).compactMap {
          UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
      )
    }
  }

  private static func sqlite(_ path: String, _ statement: String) throws -> String {
    let script =
      "import sqlite3,sys\nfor r in sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True).execute(sys.argv[2]): print(r[0])"
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = ["-c", script, path, statement]
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return output
  }

  /// How many of the pieces stand in any file of the folder, write-ahead logs included.
  private static func found(_ pieces: [Data], in folder: String) throws -> Int {
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder).compactMap {
      try? Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0))
    }
    return pieces.count { piece in files.contains { $0.range(of: piece) != nil } }
  }

  private static let sealed = "SELECT hex(message) FROM entry WHERE kind = 1"

  @Test func aRoomsOwnRetentionEmptiesTheFiles() async throws {
    let relay = try await RelayProcess(["--retention-interval", "1s"])
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    for room in ["Garden", "Archive"] {
      try await alice.must("room", "create", room)
      try await alice.must("room", "invite", room, "bob")
      for number in 0..<3 { try await alice.must("send", room, "\(room) \(number)") }
    }
    let database = relay.dataPath + "/relay.db"
    let before = Self.pieces(try Self.sqlite(database, Self.sealed))
    #expect(before.count == 6)
    #expect(try Self.found(before, in: relay.dataPath) == 6)
    #expect(try await bob.history("Garden").count == 3)

    try await alice.must("room", "set", "Garden", "retention", "2")
    try await wait(for: "three messages to be gone from every file", seconds: 30) {
      try Self.found(before, in: relay.dataPath) == 3
    }
    #expect(Self.pieces(try Self.sqlite(database, Self.sealed)).count == 3, "the other room's stay")
    // Who had read them keeps them, and the room goes on: also for somebody who comes anew and for a restart.
    #expect(try await bob.history("Garden").map(\.text) == (0..<3).map { "Garden \($0)" })
    #expect(try await bob.history("Archive").map(\.text) == (0..<3).map { "Archive \($0)" })
    try await alice.must("send", "Garden", "still here")
    #expect(try await bob.history("Garden").last?.text == "still here")
    relay.kill(SIGTERM)
    #expect(try Self.found(Array(before), in: relay.dataPath) == 3)
  }

  @Test func theOperatorsRetentionEmptiesPostgreSQL() async throws {
    let server = try PostgresServer()
    let address = try server.makeDatabase()
    let folder = try TemporaryFolder()
    let file = folder.path("database")
    try address.write(toFile: file, atomically: true, encoding: .utf8)
    chmod(file, 0o600)
    let relay = try await RelayProcess([
      "--store", "postgres", "--postgres-url-file", file, "--retention", "3s", "--retention-interval", "1s",
    ])
    let alice = try await Person("alice", at: relay)
    try await alice.must("room", "create", "Garden")
    for number in 0..<3 { try await alice.must("send", "Garden", "Garden \(number)") }
    let rows = try server.run("SELECT encode(message, 'hex') FROM entry WHERE kind = 1 ORDER BY sequence", in: address)
    let before = Self.pieces(rows.compactMap { $0[0] }.joined(separator: "\n"))
    #expect(!before.isEmpty)
    try server.run("CREATE EXTENSION pgstattuple", in: address)
    func count(of rows: String) throws -> Int {
      Int(try server.run("SELECT \(rows)", in: address)[0][0] ?? "") ?? -1
    }
    // Neither to be read nor dead and still to be found: their place in the pages is free.
    try await wait(for: "the messages to be gone", seconds: 30) {
      try count(of: "count(*) FROM entry WHERE kind = 1") == 0
        && count(of: "dead_tuple_count FROM pgstattuple('entry')") == 0
    }
    // What docs/operations.md says for those who cannot wait until the place is used again.
    try server.run("VACUUM FULL entry", in: address)
    try server.run("CHECKPOINT")
    #expect(try Self.found(before, in: server.folder + "/data/base") == 0)
    #expect(try await alice.history("Garden").map(\.text) == (0..<3).map { "Garden \($0)" })
  }
}
