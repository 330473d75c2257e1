import ChatSDK
import ChatTestKit
import Testing

/// People talk through a real relay, each with a real store.
@Suite struct StoryTests {
  @Test func threeTalk() async throws {
    let world = try await World("alice", "bob", "carol")
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await story.says("alice", "Hello").says("alice", "who is there?").deliverAll()
    try await story.says("bob", "bob").deliverAll()
    try await story.says("carol", "and carol").deliverAll().agrees()
    let texts = try await story.room("carol").history().map(\.text)
    #expect(texts == ["Hello", "who is there?", "bob", "and carol"])
    let seen = try await story.room("bob").history()
    #expect(seen.map(\.sender.username) == ["alice", "alice", "bob", "carol"])
    #expect(seen.map(\.state) == [.received, .received, .sent, .received])
    await world.end()
  }
}

/// The same with clients that stay connected.
@Suite(.serialized) struct LiveTests {
  @Test(arguments: [Configuration.Connection.automatic, .longPollOnly])
  func newsComesByItself(_ connection: Configuration.Connection) async throws {
    let world = try await World("alice", "bob", connection: connection)
    let alice = try await world.room("alice").room("alice")
    let bob = try await world.member("bob")
    try await alice.invite("bob")
    try await eventually { await bob.events.contains { if case .joined = $0 { true } else { false } } }
    try await alice.send("Hello")
    try await eventually { await bob.texts == ["Hello"] }
    try await bob.client.room(alice.id).send("Hello yourself")
    try await eventually { try await alice.history().map(\.text) == ["Hello", "Hello yourself"] }
    await world.end()
  }

  @Test func manySendAtOnceAndAllReadTheSame() async throws {
    let world = try await World("alice", "bob", "carol", connection: .automatic)
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    let count = 60
    try await withThrowingTaskGroup(of: Void.self) { group in
      for name in ["alice", "bob", "carol"] {
        let room = try await story.room(name)
        group.addTask { for number in 0..<count { try await room.send("\(name) \(number)") } }
      }
      try await group.waitForAll()
    }
    try await story.deliverAll().agrees()
    let texts = try await story.room("alice").history(limit: 1000).map(\.text)
    #expect(texts.count == 3 * count)
    for name in ["alice", "bob", "carol"] {
      #expect(texts.filter { $0.hasPrefix(name) } == (0..<count).map { "\(name) \($0)" })
    }
    await world.end()
  }

  @Test func relayComesBackAndNothingIsLostOrDoubled() async throws {
    let world = try await World("alice", "bob", connection: .automatic)
    let story = try await world.room("alice").invites("bob").deliverAll()
    let alice = try await story.room("alice")
    try await story.says("alice", "before")
    await world.relay.stop()
    let message = try await alice.send("while it was away")
    #expect(message.state == .pending)
    try await world.relay.start()
    try await eventually {
      try await story.room("bob").history().map(\.text) == ["before", "while it was away"]
    }
    try await story.deliverAll().agrees()
    #expect(try await alice.history().map(\.state) == [.sent, .sent])
    await world.end()
  }

  /// The access token runs out several times over; the connection does not.
  @Test func connectionOutlivesItsToken() async throws {
    let world = try await World("alice", "bob", connection: .automatic, accessTokenLifetime: .seconds(2))
    let story = try await world.room("alice").invites("bob")
    try await eventually { await (try world.member("bob")).isLive }
    try await Task.sleep(for: .seconds(5))
    try await story.says("alice", "still connected")
    try await eventually { try await world.member("bob").texts == ["still connected"] }
    for name in ["alice", "bob"] {
      let connects = try await world.member(name).events.count {
        if case .connection(.connecting) = $0 { true } else { false }
      }
      #expect(connects == 1)
    }
    await world.end()
  }

  @Test func fallsBackToLongPolls() async throws {
    let world = try await World("alice", connection: .automatic)
    let bob = try await world.add("bob", connection: .manual)
    await bob.stop()
    var faults = Faults()
    faults.refusesSockets = true
    let carol = try await world.add("carol", connection: .automatic)
    await carol.setFaults(faults)
    try await carol.restart()
    let story = try await world.room("alice").invites("carol")
    try await eventually { await carol.events.contains { if case .connection(.polling) = $0 { true } else { false } } }
    try await story.says("alice", "by poll")
    try await eventually { await carol.texts == ["by poll"] }
    await world.end()
  }
}

extension Member {
  var isLive: Bool { events.contains { if case .connection(.live) = $0 { true } else { false } } }

  var texts: [String] {
    events.compactMap { if case .message(let message) = $0 { message.text } else { nil } }
  }
}

/// Waits until something holds, or fails.
func eventually(
  within limit: Duration = .seconds(60), _ condition: () async throws -> Bool,
  sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let clock = ContinuousClock()
  let deadline = clock.now + limit
  while clock.now < deadline {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(20))
  }
  Issue.record("it did not come to hold in time", sourceLocation: sourceLocation)
}
