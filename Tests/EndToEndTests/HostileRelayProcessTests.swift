import Foundation
import Glibc
import Storage
import Testing

/// A relay whose operator edits its database.
@Suite(.serialized) struct HostileRelayProcessTests {
  /// Edits the relay's database while the relay is down, and starts it again.
  private func tamper(_ relay: RelayProcess, _ edit: (SQLiteDatabase) throws -> Void) async throws {
    relay.kill(SIGTERM)
    let name = try #require(
      FileManager.default.contentsOfDirectory(atPath: relay.dataPath).first { $0.hasSuffix(".db") })
    do {
      let database = try SQLiteDatabase(path: relay.dataPath + "/" + name)
      try edit(database)
    }
    try await relay.start()
  }

  @Test func aRemovedMemberCannotDecryptWhatTheRelayGivesItAllTheSame() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    let carol = try await Person("carol", at: relay)
    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob", "carol")
    try await alice.must("send", "Garden", "for all three")
    #expect(try await carol.history("Garden").map(\.text) == ["for all three"])
    // What a thief of carol's device keeps: her whole state from while she was a member.
    let before = carol.folder.path("before")
    try FileManager.default.copyItem(atPath: carol.folder.path("data"), toPath: before)

    try await alice.must("room", "remove", "Garden", "carol")
    try await alice.must("send", "Garden", "not for carol")
    try await bob.must("send", "Garden", "nor this")
    #expect(try await bob.history("Garden").map(\.text) == ["for all three", "not for carol", "nor this"])

    try await tamper(relay) { database in
      // The relay makes carol a member again in its own list, from the beginning of the log.
      try database.execute(
        "INSERT INTO member (room, account, joined) SELECT room.key, account.key, 0 FROM room, account WHERE username = 'carol'"
      )
    }
    for data in [carol.folder.path("data"), before] {
      let listing = try await carol.run("rooms", "--json", data: data)
      #expect(listing.exit == 0, "\(listing.errors)")
      let history = try await carol.run("history", "Garden", "--json", "--limit", "1000", data: data)
      #expect(history.output.contains("for all three"))
      #expect(!history.output.contains("carol\"},\"text\":\"not") && !history.output.contains("not for carol"))
      #expect(!history.output.contains("nor this"))
      // She cannot speak either: the group has no leaf of hers.
      #expect(try await carol.run("send", "Garden", "let me in", data: data).exit != 0)
    }
    // Nobody else is fooled by the relay's list: the tree counts.
    let members = try await bob.must("room", "members", "Garden", "--json").objects.compactMap {
      $0["username"] as? String
    }
    #expect(members.sorted() == ["alice", "bob"])
    #expect(try await bob.history("Garden").map(\.text) == ["for all three", "not for carol", "nor this"])
  }

  @Test func aDamagedEntryIsFoundAndStopsNothing() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    try await alice.must("room", "create", "Garden")
    try await alice.must("room", "invite", "Garden", "bob")
    try await bob.must("rooms")
    for text in ["one", "two", "three"] { try await alice.must("send", "Garden", text) }
    try await tamper(relay) { database in
      // One bit of the second message.
      try database.execute(
        """
        UPDATE entry SET message = CAST(substr(message, 1, length(message) - 1) || x'00' AS BLOB)
        WHERE sequence = (SELECT max(sequence) - 1 FROM entry)
        """)
    }
    #expect(try await bob.history("Garden").map(\.text) == ["one", "three"])
    let doctor = try await bob.run("doctor", "--json")
    #expect(doctor.exit == 8, "\(doctor.output)")
    #expect(try doctor.objects.contains { $0["code"] as? String == "undecryptable" }, "\(doctor.output)")
    // The room goes on.
    try await bob.must("send", "Garden", "four")
    #expect(try await alice.history("Garden").map(\.text) == ["one", "two", "three", "four"])
  }

  @Test func escapesInMessagesAndNamesNeverReachATerminal() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    let room = "Gar\u{1b}]0;owned\u{7}den\u{202e}"
    let text = "hi\u{1b}[2J\u{9b}31m\r\nbob: forged\u{8}"
    try await alice.must("room", "create", room)
    try await alice.must("room", "invite", room, "bob")
    try await alice.must("send", room, text)
    let listing = try await bob.must("rooms")
    let id = try #require(listing.output.split(separator: " ").last.map { $0.trimmingCharacters(in: .newlines) })
    let outputs = [
      listing.output, try await bob.must("history", id).output, try await bob.must("rooms", "--json").output,
    ]
    for output in outputs {
      #expect(output.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
      #expect(!output.unicodeScalars.contains("\u{202e}"))
    }
    // A line of another's text never begins where a sender's name would stand.
    #expect(!outputs[1].split(separator: "\n").contains { $0.hasPrefix("bob:") })
    // Programs get the text exactly.
    let exact = try await bob.must("history", id, "--json").objects.first?["text"] as? String
    #expect(exact == text)
  }
}
