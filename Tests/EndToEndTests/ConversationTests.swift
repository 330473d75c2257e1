import Foundation
import Glibc
import Testing

/// The first conversation, with real processes on loopback.
@Suite(.serialized) struct ConversationTests {
  private func garden(_ names: String...) async throws -> (RelayProcess, [Person]) {
    let relay = try await RelayProcess()
    var people: [Person] = []
    for name in names { people.append(try await Person(name, at: relay)) }
    try await people[0].must("room", "create", "Garden")
    for name in names.dropFirst() { try await people[0].must("room", "invite", "Garden", name) }
    for person in people { try await person.must("rooms") }
    return (relay, people)
  }

  /// Everyone has the same messages at the same places, each of `texts` once.
  private func agree(_ people: [Person], on texts: [String]) async throws {
    let first = try await people[0].history("Garden")
    #expect(first.map(\.text).sorted() == texts.sorted())
    #expect(zip(first, first.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
    for person in people.dropFirst() {
      let other = try await person.history("Garden")
      #expect(other.map(\.text) == first.map(\.text), "\(person.name) disagrees")
      #expect(other.map(\.sequence) == first.map(\.sequence))
      #expect(other.map(\.sender) == first.map(\.sender))
    }
  }

  @Test func threeSendersAtOnceArriveOnceAndInOneOrder() async throws {
    let (relay, people) = try await garden("alice", "bob", "carol")
    let texts = Dictionary(
      uniqueKeysWithValues: people.enumerated().map { index, person in
        (person.name, (0..<(index == 0 ? 334 : 333)).map { "plain words of \(person.name), number \($0)" })
      })
    let all = texts.values.flatMap { $0 }
    #expect(all.count == 1_000)
    let running = try people.map { try $0.start(["chat", "Garden", "--json"]) }
    for (person, process) in zip(people, running) {
      process.write((texts[person.name] ?? []).map { $0 + "\n" }.joined())
    }
    for process in running {
      try await wait(for: "1,000 messages", seconds: 150) {
        process.text.split(separator: "\n").count { $0.contains("\"type\":\"message\"") } >= all.count
      }
    }
    for process in running {
      process.closeInput()
      let result = try await process.result()
      #expect(result.exit == 0, "\(result.errors)")
      let seen = try result.objects.filter { $0["type"] as? String == "message" }.compactMap { $0["text"] as? String }
      #expect(seen.count == all.count && Set(seen) == Set(all))
    }
    try await agree(people, on: all)

    // The relay holds none of it: not in its database, its log, or what it maps into memory.
    let secrets = ["plain words of", "Garden"] + people.map(\.password)
    let files = try relay.everything()
    #expect(files.count >= 3)
    for (path, data) in files {
      for secret in secrets { #expect(data.range(of: Data(secret.utf8)) == nil, "\(secret) is in \(path)") }
    }
    // Nor do the clients' stores hold it in the clear.
    for person in people {
      for name in try FileManager.default.contentsOfDirectory(atPath: person.folder.path("data")) {
        let data = try Data(contentsOf: URL(fileURLWithPath: person.folder.path("data/" + name)))
        for secret in secrets { #expect(data.range(of: Data(secret.utf8)) == nil, "\(secret) is in \(name)") }
      }
    }
  }

  @Test func aRelayKilledInTheMiddleLosesAndDoublesNothing() async throws {
    let (relay, people) = try await garden("alice", "bob")
    let texts = (0..<120).map { "line \($0)" }
    let sender = try people[0].start(["chat", "Garden", "--json"])
    let reader = try people[1].start(["chat", "Garden", "--json"])
    for (index, text) in texts.enumerated() {
      sender.write(text + "\n")
      try await Task.sleep(for: .milliseconds(10))
      if index == 40 || index == 80 {
        relay.kill(SIGKILL)
        try await Task.sleep(for: .milliseconds(300))
        try await relay.start()
      }
    }
    for process in [sender, reader] {
      try await wait(for: "all lines after the restarts", seconds: 60) {
        process.text.split(separator: "\n").count { $0.contains("\"type\":\"message\"") } >= texts.count
      }
      process.closeInput()
      #expect(try await process.result().exit == 0)
    }
    try await agree(people, on: texts)
    #expect(try await people[1].history("Garden").map(\.text) == texts)
  }

  @Test func twoCommitsAtOneInstantBothCount() async throws {
    let (relay, people) = try await garden("alice", "bob")
    try await people[0].must("room", "role", "Garden", "bob", "admin")
    for round in 0..<3 {
      let (dave, erin) = (
        try await Person("dave\(round)", at: relay), try await Person("erin\(round)", at: relay)
      )
      let first = try people[0].start(["room", "invite", "Garden", dave.name])
      let second = try people[1].start(["room", "invite", "Garden", erin.name])
      for process in [first, second] {
        let result = try await process.result()
        #expect(result.exit == 0, "\(result.errors)")
      }
      try await dave.must("send", "Garden", "dave\(round) is in")
      try await erin.must("send", "Garden", "erin\(round) is in")
      for person in people + [dave, erin] {
        let members = try await person.must("room", "members", "Garden", "--json").objects
        let names = Set(members.compactMap { $0["username"] as? String })
        #expect(names.isSuperset(of: ["alice", "bob", dave.name, erin.name]), "\(person.name) sees \(names)")
        #expect(try await person.history("Garden").map(\.text).contains("erin\(round) is in"))
      }
    }
  }

  @Test func aClientKilledFiftyTimesReusesNoKeyAndLosesNothing() async throws {
    let (relay, people) = try await garden("alice", "bob")
    // The relay ends with its value, and nothing below names it.
    defer { withExtendedLifetime(relay) {} }
    var confirmed: Set<String> = []
    var tried: Set<String> = []
    // Grows where starting takes longer than that: under a sanitizer, say.
    var longest = 400
    for round in 0..<50 {
      let process = try people[0].start(["send", "Garden", "-", "--lines", "--json"])
      let texts = (0..<20).map { "round \(round) line \($0)" }
      process.write(texts.map { $0 + "\n" }.joined())
      tried.formUnion(texts)
      try await Task.sleep(for: .milliseconds(Int.random(in: 30...longest)))
      process.kill(SIGKILL)
      _ = try await process.result()
      // What it printed before it died was on its disk, and is owed to the room.
      let lines = process.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      for object in try Person.objects(lines.joined(separator: "\n")) {
        if let text = object["text"] as? String { confirmed.insert(text) }
      }
      if confirmed.count <= round { longest = min(longest + 200, 4000) }
    }
    try await people[0].must("send", "Garden", "the end")
    try await people[0].must("rooms")
    let texts = try await people[1].history("Garden").map(\.text)
    #expect(texts.count == Set(texts).count, "a message was doubled")
    #expect(texts.last == "the end")
    #expect(confirmed.isSubset(of: texts), "lost: \(confirmed.subtracting(texts))")
    #expect(Set(texts).isSubset(of: tried.union(["the end"])))
    #expect(confirmed.count > 20, "the kills came before anything was sent")
    // A reused generation would have been refused as a replay, and would stand among the findings.
    let doctor = try await people[1].run("doctor")
    #expect(doctor.exit == 0, "\(doctor.output)")
    try await agree(people, on: texts)
  }
}
