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
