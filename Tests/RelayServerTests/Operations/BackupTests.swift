import FoundationEssentials
import Glibc
import RelayProtocol
import Storage
import Synchronization
import Testing

@testable import RelayServer

struct BackupTests {
  /// A verb as the command line gives it: what it printed, or why it refused.
  static func run(_ arguments: [String]) async throws -> (exit: Int32, output: String, complaint: String) {
    let output = Mutex("")
    let complaint = Mutex("")
    guard
      case .perform(let subcommand, let given) = try RelayCommand.parse(
        arguments, environment: [:], readFile: { _ in nil })
    else { throw Refusal(code: "no verb") }
    let call = given.writing { text in output.withLock { $0 += text } }
    let exit = await subcommand.run(call) { text in complaint.withLock { $0 += text } }
    return (exit, output.withLock { $0 }, complaint.withLock { $0 })
  }

  static func contents(_ output: String) -> [String: String] {
    output.split(separator: "\n").reduce(into: [:]) { all, line in
      let words = line.split(separator: " ")
      if words.count == 2 { all[String(words[0])] = String(words[1]) }
    }
  }

  @Test func copiesAServingRelayAndPutsItBack() async throws {
    try await RelayFixture.run { fixture in
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let room = try await alice.createRoom()
      try await alice.commit(room, epoch: 0, add: [bob])
      // It is being written to all the while.
      let sending = Task {
        var count = 0
        while !Task.isCancelled {
          try await alice.send("message \(count)", to: room, epoch: 1)
          count += 1
        }
        return count
      }
      try await Task.sleep(for: .milliseconds(200))
      let data = fixture.folder + "/data"
      let copy = fixture.folder + "/backup.db"
      let made = try await Self.run(["backup", "--data", data, "--to", copy])
      sending.cancel()
      let sent = try? await sending.value
      #expect(made.exit == 0 && made.complaint.isEmpty, "\(made.complaint)")
      let contents = Self.contents(made.output)
      #expect(contents["accounts"] == "2" && contents["devices"] == "2" && contents["rooms"] == "1")
      let entries = try #require(contents["entries"].flatMap { Int($0) })
      #expect(entries > 1 && sent.map { entries <= $0 + 1 } ?? true, "\(entries) of \(sent ?? -1)")
      #expect(contents["token-keys"] == "left-out")
      var status = stat()
      #expect(stat(copy, &status) == 0 && status.st_mode & 0o777 == 0o600)
      let names = try FileManager.default.contentsOfDirectory(atPath: fixture.folder)
      #expect(Set(names) == ["data", "backup.db"])

      // Never over another file, and never under a relay that runs.
      #expect(try await Self.run(["backup", "--data", data, "--to", copy]).exit == 5)
      #expect(try await Self.run(["restore", "--data", data, "--from", copy]).exit == 5)

      let verified = try await Self.run(["restore", "--verify", "--from", copy])
      #expect(verified.exit == 0 && made.output.hasPrefix(verified.output))
      let elsewhere = fixture.folder + "/elsewhere"
      let restored = try await Self.run(["restore", "--data", elsewhere, "--from", copy])
      #expect(restored.exit == 0, "\(restored.complaint)")
      let after = Self.contents(restored.output)
      #expect(after["entries"] == contents["entries"] && after["incarnation"] != contents["incarnation"])
      #expect(try await Self.run(["restore", "--data", elsewhere, "--from", copy]).exit == 5, "it has a database")

      let store = try SQLiteStore(path: elsewhere + "/relay.db")
      #expect("\(store.incarnation)" == after["incarnation"])
      let log = try await store.entries(of: room, after: 0, limit: 500, bytes: 1 << 20, for: bob.user)
      #expect(log.entries.first?.sequence == 1 && log.last.sequence == UInt64(entries))
      await store.close()
      // The copy itself has stayed as it was.
      #expect(try await Self.run(["restore", "--verify", "--from", copy]).output == verified.output)
    }
  }

  @Test func refusesWhatIsNoGoodCopy() async throws {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let sound = folder + "/sound.db"
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let room = try await alice.createRoom()
      for index in 0..<200 { try await alice.send(String(repeating: "x\(index)", count: 200), to: room) }
      #expect(try await Self.run(["backup", "--data", fixture.folder + "/data", "--to", sound]).exit == 0)
    }
    func refusal(_ name: String, _ change: (String) throws -> Void) async throws -> String {
      let path = folder + "/\(name).db"
      try FileManager.default.copyItem(atPath: sound, toPath: path)
      try change(path)
      let result = try await Self.run(["restore", "--data", folder + "/\(name)", "--from", path])
      #expect(result.exit == 5 && result.output.isEmpty, "\(name): \(result)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/\(name)/relay.db"), "\(name) left something")
      #expect(try await Self.run(["restore", "--verify", "--from", path]).exit == 5)
      return result.complaint
    }
    let damaged = try await refusal("damaged") { path in
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      var changed = bytes
      for index in stride(from: 20_480, to: bytes.count, by: 97) { changed[index] ^= 0x55 }
      try changed.write(to: URL(fileURLWithPath: path))
    }
    #expect(damaged.contains("damaged"))
    _ = try await refusal("short") { path in
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
    }
    _ = try await refusal("gap") { try SQLiteDatabase(path: $0).execute("DELETE FROM entry WHERE sequence = 100") }
    _ = try await refusal("end") { try SQLiteDatabase(path: $0).execute("DELETE FROM entry WHERE sequence = 200") }
    _ = try await refusal("moved") {
      try SQLiteDatabase(path: $0).execute("UPDATE entry SET sequence = 0 WHERE sequence = 100")
    }
    _ = try await refusal("reference") { path in
      let database = try SQLiteDatabase(path: path)
      try database.executeScript("PRAGMA foreign_keys = OFF; DELETE FROM account")
    }
    let newer = try await refusal("newer") { try SQLiteDatabase(path: $0).executeScript("PRAGMA user_version = 999") }
    #expect(newer.contains("newer"))
    let foreign = try await refusal("foreign") {
      try SQLiteDatabase(path: $0).executeScript("PRAGMA application_id = 7")
    }
    #expect(foreign.contains("another program"))
    _ = try await refusal("text") { try Data("not a database at all".utf8).write(to: URL(fileURLWithPath: $0)) }
    _ = try await refusal("empty") { try Data().write(to: URL(fileURLWithPath: $0)) }

    #expect(try await Self.run(["restore", "--data", folder + "/x", "--from", folder + "/none"]).exit == 3)
    #expect(try await Self.run(["backup", "--data", folder + "/none", "--to", folder + "/y"]).exit == 3)
    #expect(try await Self.run(["backup", "--data", folder + "/x"]).exit == 1)
    #expect(try await Self.run(["restore", "--data", folder + "/good", "--from", sound]).exit == 0)
  }

  @Test func readsItsCommandLine() throws {
    func error(_ arguments: [String]) -> String {
      do {
        _ = try RelayCommand.parse(arguments, environment: [:], readFile: { _ in nil })
        return "none"
      } catch { return "\(error)" }
    }
    #expect(error(["backup", "--to", "x", "--data", "y"]) == "none")
    #expect(error(["bakcup"]) == "unknown command bakcup (did you mean backup?)")
    #expect(error(["restore", "--form", "x"]) == "unknown flag --form (did you mean --from?)")
    #expect(error(["restore", "--verify=yes"]) == "--verify takes no value")
    #expect(error(["backup", "here"]).hasPrefix("unexpected argument"))
    #expect(error(["backup", "--check-config"]).hasPrefix("unknown flag"))
    guard case .help(let text) = try RelayCommand.parse(["restore", "-h"], environment: [:], readFile: { _ in nil })
    else {
      Issue.record("no help")
      return
    }
    for option in Subcommand.restore.options { #expect(text.contains("--\(option.name)")) }
    for subcommand in Subcommand.all { #expect(RelayCommand.helpText.contains("  \(subcommand.name)\n")) }
  }
}
