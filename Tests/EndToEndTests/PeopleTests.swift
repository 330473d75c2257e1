import Foundation
import Testing

/// People and administration over real processes: the relay, its administrator, and chat-cli.
@Suite struct PeopleTests {
  /// Runs `relay-server admin` beside the running relay and returns its exit code.
  private func admin(_ relay: RelayProcess, _ words: String...) async throws -> Int32 {
    let files = (relay.folder.path("admin.out"), relay.folder.path("admin.err"))
    let pid = try Spawned.start(
      Programs.url("relay-server").path, ["admin"] + words + ["--data", relay.dataPath], output: files.0,
      errors: files.1)
    return try await Running(pid: pid, input: -1, output: files.0, errors: files.1).result().exit
  }

  @Test func contactsProfilesAndPresenceGoFromTerminalToTerminal() async throws {
    let relay = try await RelayProcess()
    let (alice, bob) = (try await Person("alice", at: relay), try await Person("bob", at: relay))
    try await bob.must("profile", "set", "--display-name", "Bob the Builder")
    try await alice.must("contacts", "request", "bob")
    #expect(try await bob.must("contacts", "--json").output.contains("\"state\":\"received\""))
    try await bob.must("contacts", "accept", "alice")
    let listed = try await alice.must("contacts", "--json")
    #expect(listed.output.contains("\"state\":\"accepted\"") && listed.output.contains("Bob the Builder"))
    #expect(try await alice.must("contacts").output == "Bob the Builder (bob) (accepted)\n")
    let watching = try bob.start(["watch", "--json"])
    try await wait(for: "bob to be there") {
      try await alice.must("presence", "--json").output.contains("\"status\":\"online\"")
    }
    watching.kill(SIGTERM)
    _ = try await watching.result()
    #expect(try await bob.must("contacts", "--json", "--state", "accepted").objects.count == 1)
    try await bob.must("contacts", "block", "alice")
    #expect(try await alice.run("contacts", "request", "bob").exit == 1)
    #expect(try await alice.run("verify", "bob").exit == 1)
    #expect(try await alice.must("presence", "--json").output == "")
    let typo = try await alice.run("contacts", "acept", "bob")
    #expect(typo.exit == 1)
  }

  @Test func theAdministratorDisablesAndRestores() async throws {
    let relay = try await RelayProcess()
    let bob = try await Person("bob", at: relay)
    #expect(try await bob.must("sessions", "--json").objects.count == 1)
    #expect(try await admin(relay, "users", "disable", "bob") == 0)
    #expect(try await bob.run("sessions").exit == 6)
    let password = bob.folder.path("password")
    #expect(try await bob.run("login", "--password-file", password).exit == 5)
    #expect(try await admin(relay, "users", "enable", "bob") == 0)
    try await bob.must("login", "--password-file", password)
    #expect(try await admin(relay, "keys", "rotate") == 0)
    try await bob.must("profile")
    try await bob.must("sessions", "logout", "--all")
    #expect(try await bob.run("profile").exit == 6)
    #expect(try await admin(relay, "users", "lisst") == 1)
  }
}
