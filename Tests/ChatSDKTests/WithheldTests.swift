import ChatTestKit
import E2ECrypto
import FoundationEssentials
import RelayProtocol
import Synchronization
import Testing

@testable import ChatSDK

/// A relay that keeps entries from some and lets no gap be seen (docs/threat-model.md, classes 17 and 18): whoever is
/// cheated, or somebody else, notices as soon as they talk.
@Suite struct WithheldTests {
  /// Attack 17: one entry, all of a sender's, or the last of all.
  @Test(arguments: ["one", "all of a sender", "last"])
  func whatOneMemberIsNotShownIsFoundOut(_ what: String) async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let names: [(name: String, isHidden: Bool)] =
      switch what {
      case "one": [("carol", false), ("alice", true), ("carol", false)]
      case "all of a sender": [("carol", true), ("carol", true), ("carol", true)]
      default: [("alice", false), ("carol", false), ("carol", true)]
      }
    let first = try await story.room("bob").cursor.position.sequence + 1
    let hidden = Set(names.indices.filter { names[$0].isHidden }.map { first + UInt64($0) })
    try await world.censor("bob", in: story.id) { hidden.contains($0.sequence) }
    for (name, _) in names { try await story.says(name, "said").everybody(syncs: ["alice", "carol"]) }
    try await story.everybody(syncs: ["bob"])
    let bob = try await world.client("bob")
    #expect(try await story.room("bob").history().count == names.count - hidden.count)
    if what == "last" { #expect(try await bob.diagnose().isEmpty) }
    // Somebody who saw it says anything at all.
    try await story.says("alice", "anything").everybody(syncs: ["bob"])
    #expect(try await bob.diagnose().map(\.code).contains(.orderDiffers))
    let heard = try await world.member("bob").events
    #expect(
      heard.contains { if case .relayMismatch(let finding) = $0 { finding.code == .orderDiffers } else { false } })
    // Those who were shown everything have nothing to complain of.
    try await story.everybody(syncs: ["alice", "carol"])
    for name in ["alice", "carol"] { #expect(try await world.client(name).diagnose().isEmpty) }
    await world.end()
  }

  /// Whoever was shown less and talks is found out by those who were shown all.
  @Test func whoWasShownLessIsFoundOutByWhatItSays() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let bob = try await story.room("bob")
    let next = await bob.cursor.position.sequence + 1
    try await world.censor("bob", in: story.id) { $0.sequence == next }
    try await story.says("carol", "hidden").says("carol", "shown")
    try await story.everybody(syncs: ["alice", "bob", "carol"])
    #expect(try await bob.history().map(\.text) == ["shown"])
    try await story.says("bob", "is nobody here?").everybody(syncs: ["alice", "carol"])
    for name in ["alice", "carol"] {
      #expect(try await world.client(name).diagnose().map(\.code) == [.orderDiffers])
    }
    await world.end()
  }

  /// Attack 17: the relay says yes to a message and lets nobody see it, its writer neither.
  @Test(arguments: ["displaced", "last"])
  func acknowledgedAndThrownAwayIsNoticed(_ what: String) async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let next = try await story.room("alice").cursor.position.sequence + 1
    for name in ["alice", "bob"] { try await world.censor(name, in: story.id) { $0.sequence == next } }
    let message = try await story.room("alice").send("gone")
    #expect(message.state == .sent && message.sequence == next)
    if what == "displaced" { try await story.says("bob", "in its place") }
    try await story.everybody(syncs: ["alice"])
    #expect(try await world.client("alice").diagnose().contains { $0.code == .withheld && $0.sequence == next })
    // It does not look sent any more.
    let kept = try #require(try await story.room("alice").history().first { $0.text == "gone" })
    #expect(kept.state == .failed && kept.sequence == nil)
    #expect(await (try story.room("alice")).stored.promises.isEmpty)
    await world.end()
  }

  /// Attack 17: the relay says that a message stands where the log was read already.
  @Test func acknowledgementOfThePastIsNoticed() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("alice", "before").everybody(syncs: ["alice"])
    let position = try await story.room("alice").cursor.position
    try await world.tamper("alice", path: "/\(story.id)/messages") { (answer: SendResponse) in
      SendResponse(position: position, time: answer.time)
    }
    try await story.says("alice", "never sent")
    #expect(try await world.client("alice").diagnose().map(\.code) == [.withheld])
    #expect(try await story.room("alice").history().map(\.state) == [.sent, .failed])
    await world.end()
  }

  /// Attack 17: a hole in the log. It is said, and nothing behind the hole is taken for the next.
  @Test func holeInTheLogIsToldOnce() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let bob = try await story.room("bob")
    let next = await bob.cursor.position.sequence + 1
    try await world.tamper("bob", path: "/\(story.id)/log") { (answer: LogResponse) in
      LogResponse(entries: answer.entries.filter { $0.sequence != next }, last: answer.last, epoch: answer.epoch)
    }
    try await story.says("alice", "one").says("alice", "two")
    for _ in 0..<3 { await #expect(throws: ChatError(.protocolViolation)) { try await bob.pull() } }
    #expect(try await bob.history().isEmpty)
    #expect(try await world.client("bob").diagnose().map(\.code) == [.withheld])
    try await world.member("bob").wire?.setTamper(nil)
    try await story.deliverAll().agrees()
    #expect(try await bob.history().map(\.text) == ["one", "two"])
    await world.end()
  }

  // MARK: Forks

  /// Attack 18: two commits for one epoch, each shown to one half of the room.
  @Test func forkIsToldByBothHalvesAndNotMerged() async throws {
    let world = try await World("alice", "bob", "carol", "dave")
    let story = try await world.room("alice").invites("bob", "carol", "dave").deliverAll()
    try await story.room("alice").setRole(.admin, of: "bob")
    try await story.deliverAll()
    let fork = Fork(room: story.id, epoch: try await story.room("alice").epoch)
    for name in ["bob", "dave"] {
      try await world.member(name).wire?.setTamper { call, answer in fork.tamper(call, answer) }
    }
    try await story.room("alice").rename(to: "Orchard")
    try await story.room("bob").rename(to: "Meadow")
    try await story.everybody(syncs: ["alice", "bob", "carol", "dave"])
    for name in ["alice", "carol"] { #expect(try await story.room(name).name == "Orchard") }
    for name in ["bob", "dave"] { #expect(try await story.room(name).name == "Meadow") }
    for name in ["alice", "bob", "carol", "dave"] { #expect(try await world.client(name).diagnose().isEmpty) }
    // They talk: nobody reads the other half's words, and everybody says that something is wrong.
    try await story.says("alice", "to all").says("bob", "to everybody")
    try await story.everybody(syncs: ["alice", "bob", "carol", "dave"])
    for (name, text) in [("carol", "to all"), ("dave", "to everybody")] {
      #expect(try await story.room(name).history().map(\.text) == [text])
    }
    for name in ["alice", "bob", "carol", "dave"] {
      let found = try await world.client(name).diagnose().map(\.code)
      #expect(found == [.undecryptable], "\(name)")
    }
    let names = try await (story.room("carol").name, story.room("dave").name)
    #expect(names == ("Orchard", "Meadow"))
    await world.end()
  }

  /// Attack 18: the other half's commit, shown after one's own half has followed another.
  @Test func secondCommitForAnEpochIsTold() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.room("alice").setRole(.admin, of: "bob")
    try await story.deliverAll()
    let (epoch, bob) = (try await story.room("alice").epoch, try await story.room("bob"))
    let other = try await bob.commitThatIsNotSent()
    try await story.room("alice").updateKeys()
    try await story.everybody(syncs: ["carol"])
    let log = try await world.client("alice").context.api.log(
      of: story.id, after: StreamPosition(incarnation: bob.cursor.position.incarnation, sequence: 0))
    let followed = try #require(log.entries.last { $0.kind == .commit && $0.epoch == epoch }).message
    // Once more the same commit, then another of the same epoch, each at the log's next place.
    for shown in [followed, Base64URL(other)] {
      try await story.says("alice", "to be replaced")
      try await world.tamper("carol", path: "/\(story.id)/log") { (answer: LogResponse) in
        var entries = answer.entries
        guard let index = entries.firstIndex(where: { $0.kind == .application }) else { return answer }
        (entries[index].kind, entries[index].epoch, entries[index].message) = (.commit, epoch, shown)
        return LogResponse(entries: entries, last: answer.last, epoch: answer.epoch)
      }
      try await story.everybody(syncs: ["carol"])
    }
    let carol = try await story.room("carol")
    #expect(try await world.client("carol").diagnose().map(\.code) == [.forked, .replayed])
    #expect(await carol.epoch == epoch + 1)
    #expect(await carol.health == .good)
    await world.end()
  }
}

/// Shows two members a commit of their own where the room's log has another one.
private final class Fork: Sendable {
  private let room: RoomID
  private let epoch: UInt64
  private let commit = Mutex<Base64URL?>(nil)

  init(room: RoomID, epoch: UInt64) { (self.room, self.epoch) = (room, epoch) }

  func tamper(_ call: RelayCall, _ answer: RelayAnswer) -> RelayAnswer {
    if call.path.hasSuffix("/\(room)/commits"), commit.withLock({ $0 }) == nil,
      let request = try? JSONDecoder().decode(CommitRequest.self, from: Data(call.body))
    {
      commit.withLock { $0 = request.message }
      let position = StreamPosition(incarnation: 1, sequence: 1)
      return Self.answer(SendResponse(position: position, time: 1)) ?? answer
    }
    guard call.path.hasSuffix("/\(room)/log"),
      var page = try? JSONDecoder().decode(LogResponse.self, from: Data(answer.body)),
      let index = page.entries.firstIndex(where: { $0.kind == .commit && $0.epoch == epoch })
    else { return answer }
    if let commit = commit.withLock({ $0 }) {
      page.entries[index].message = commit
      return Self.answer(page) ?? answer
    }
    let before = StreamPosition(incarnation: page.last.incarnation, sequence: page.entries[index].sequence - 1)
    return Self.answer(LogResponse(entries: Array(page.entries[..<index]), last: before, epoch: epoch)) ?? answer
  }

  private static func answer(_ value: some Encodable) -> RelayAnswer? {
    (try? JSONEncoder().encode(value)).map { RelayAnswer(status: 200, body: Array($0)) }
  }
}

/// Which entry stands behind which number that somebody is shown.
private final class Censor: Sendable {
  private struct State {
    /// Up to here nothing is hidden.
    var base: UInt64?
    /// The real sequences behind the numbers after that.
    var shown: [UInt64] = []
  }

  private let hides: @Sendable (LogEntry) -> Bool
  private let state = Mutex(State())

  init(_ hides: @escaping @Sendable (LogEntry) -> Bool) { self.hides = hides }

  /// What is shown of the real log to somebody who asks for what comes after a number.
  func censored(_ answer: LogResponse, after number: UInt64) -> LogResponse {
    state.withLock { state in
      let base = state.base ?? number
      state.base = base
      let known = Int(min(number - min(number, base), UInt64(state.shown.count)))
      let real = known > 0 ? state.shown[known - 1] : base
      state.shown.removeSubrange(known...)
      var entries = answer.entries.filter { $0.sequence > real && !hides($0) }
      state.shown += entries.map(\.sequence)
      for index in entries.indices { entries[index].sequence = number + UInt64(index) + 1 }
      let last = StreamPosition(incarnation: answer.last.incarnation, sequence: number + UInt64(entries.count))
      return LogResponse(entries: entries, last: last, epoch: answer.epoch)
    }
  }
}

extension World {
  /// Hides entries of a room's log from one client, and closes the gaps.
  fileprivate func censor(_ name: String, in room: RoomID, _ hides: @escaping @Sendable (LogEntry) -> Bool)
    async throws
  {
    let censor = Censor(hides)
    try await member(name).wire?.setTamper { call, answer in
      guard call.path.hasSuffix("/\(room)/log"),
        let after = call.query.first(where: { $0.name == "after" }).flatMap({ UInt64($0.value) }),
        let page = try? JSONDecoder().decode(LogResponse.self, from: Data(answer.body)),
        let body = try? JSONEncoder().encode(censor.censored(page, after: after))
      else { return answer }
      return RelayAnswer(status: 200, body: Array(body))
    }
  }
}

extension Story {
  /// These look at the relay, one after the other.
  @discardableResult
  func everybody(syncs names: [String]) async throws -> Story {
    for name in names { try await world.client(name).sync() }
    return self
  }
}

extension Room {
  /// Another commit of the present epoch, which this client itself forgets.
  fileprivate func commitThatIsNotSent() async throws -> [UInt8] {
    let box = try group()
    let commit = try box.group.commit([], now: context.timestamp)
    let message = commit.message
    self.box = nil
    return message
  }
}
