import ChatSDK
import ChatTestKit
import Testing

/// What an integrator can reach with plain imports.
@Suite struct QuickStartTests {
  @Test func worldReadsAsAStory() async throws {
    let world = try await World("alice", "bob")
    try await world.room("alice").invites("bob").deliverAll().says("bob", "Hello").deliverAll().agrees()
    await world.end()
  }
}
