import Foundation
import Testing

/// Ways into rooms and out of them, with real processes on loopback.
@Suite(.serialized) struct RoomWaysTests {
  @Test func byLinkByCodeBannedAndDeleted() async throws {
    let relay = try await RelayProcess()
    let (alice, bob, carol) = (
      try await Person("alice", at: relay), try await Person("bob", at: relay), try await Person("carol", at: relay)
    )
    try await alice.must("room", "create", "Garden", "--policy", "ask", "--topic", "apples")
    // A link lets in at once, with nobody else online.
    let link = try #require(
      try await alice.must("room", "link", "Garden", "new", "--json").objects[0]["link"] as? String)
    let file = bob.folder.path("link")
    try link.write(toFile: file, atomically: true, encoding: .utf8)
    try await bob.must("join", "--link-file", file)
    try await bob.must("send", "Garden", "here by a link")
    #expect(try await alice.history("Garden").map(\.text) == ["here by a link"])
    // A code only asks.
    let code = try #require(
      try await alice.must("room", "code", "Garden", "new", "--json").objects[0]["code"] as? String)
    try await carol.must("join", code)
    try await carol.must("join", "ZZZZZZ")
    #expect(try await carol.must("rooms").output.isEmpty)
    #expect(try await alice.must("room", "requests", "Garden").output.hasPrefix("carol since"))
    try await alice.must("room", "admit", "Garden", "carol")
    try await carol.must("send", "Garden", "admitted")
    // Who is banned is out, and the link is of no use to it.
    try await alice.must("room", "ban", "Garden", "bob")
    #expect(try await bob.run("send", "Garden", "still here?").exit == 5)
    #expect(try await bob.run("join", "--link-file", file).exit == 5)
    // Two people have one room of two.
    try await alice.must("room", "create", "--direct", "carol")
    try await carol.must("room", "create", "--direct", "alice")
    try await carol.must("send", "alice", "psst")
    #expect(try await alice.history("carol").map(\.text) == ["psst"])
    // Only the owner ends a room; then it is gone for everybody.
    #expect(try await carol.run("room", "delete", "Garden", "--yes").exit == 5)
    try await alice.must("room", "delete", "Garden", "--yes")
    #expect(try await carol.run("history", "Garden").exit == 1)
    for (path, data) in try relay.everything() {
      for secret in ["apples", "psst", link.split(separator: "#").last.map(String.init) ?? link] {
        #expect(data.range(of: Data(secret.utf8)) == nil, "\(secret) is in \(path)")
      }
    }
  }
}
