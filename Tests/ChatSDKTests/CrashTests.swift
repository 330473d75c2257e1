import ChatTestKit
import RelayProtocol
import Synchronization
import Testing

@testable import ChatSDK

/// A client that dies between any two writes, and answers that never come (attack 40, and E1 of the features).
@Suite(.serialized) struct CrashTests {
  /// Lets a number of writes through, and none after that: as a process that was killed.
  private final class Fuse: Sendable {
    private let left = Mutex<Int?>(nil)
    private let burnt = Mutex(false)

    func set(_ count: Int?) {
      left.withLock { $0 = count }
      burnt.withLock { $0 = false }
    }

    var hasBurnt: Bool { burnt.withLock { $0 } }

    func write() throws {
      let mayWrite = left.withLock { left in
        guard let count = left else { return true }
        left = max(0, count - 1)
        return count > 0
      }
      guard !mayWrite else { return }
      burnt.withLock { $0 = true }
      throw ChatError(.storeFailed)
    }
  }

  @Test func deathAtAnyWriteLosesAndRepeatsNothing() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.room("alice").setRole(.admin, of: "bob")
    try await story.deliverAll()
    let (fuse, bob) = (Fuse(), try await world.member("bob"))
    await bob.setBeforeWrite { try fuse.write() }
    try await bob.restart()
    var hashes: Set<[UInt8]> = []
    var count = 0
    while true {
      try await story.says("alice", "to read \(count)")
      let room = try await story.room("bob")
      fuse.set(count)
      // Each step may die; the process would be gone, so what follows is of no matter.
      _ = try? await room.send("first \(count)")
      _ = try? await room.pull()
      _ = try? await room.rename(to: "Name \(count)")
      _ = try? await room.send("second \(count)")
      let hasDied = fuse.hasBurnt
      await bob.stop()
      fuse.set(nil)
      try await bob.start()
      try await story.deliverAll().agrees()
      // Whatever left this device is of a key of its own.
      for call in await bob.wire?.calls ?? [] where call.call.path.hasSuffix("/messages") {
        hashes.insert(ClientContext.hash(call.call.body))
      }
      count += 1
      guard hasDied, count < 80 else { break }
    }
    #expect(count > 10)
    let seen = try await story.room("alice").history(limit: 10_000).map(\.text)
    #expect(Set(seen).count == seen.count)
    #expect(seen.contains("first \(count - 1)") && seen.contains("second \(count - 1)"))
    // A key that was used twice would have been refused by alice as a replay.
    #expect(try await world.client("alice").diagnose().isEmpty)
    #expect(try await world.client("bob").diagnose().isEmpty)
    await world.end()
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func lostAnswersAndRequestsStillMeanExactlyOnce(_ seed: UInt64) async throws {
    let world = try await World("alice", "bob", "carol", seed: seed)
    let story = try await world.room("alice").invites("bob").deliverAll()
    var faults = Faults()
    (faults.losesRequests, faults.losesAnswers, faults.repeatsRequests) = (0.15, 0.25, 0.2)
    for name in ["alice", "bob"] { try await world.member(name).setFaults(faults) }
    for number in 0..<15 {
      for name in ["alice", "bob"] { try await story.room(name).send("\(name) \(number)") }
    }
    // A change that nobody knows the fate of is settled before the next one.
    for _ in 0..<40 { if (try? await story.room("alice").invite("carol")) != nil { break } }
    for name in ["alice", "bob"] { try await world.member(name).setFaults(Faults()) }
    try await story.deliverAll().agrees()
    let texts = try await story.room("bob").history(limit: 1000).map(\.text)
    #expect(texts.count == 30 && Set(texts).count == 30)
    for name in ["alice", "bob"] {
      #expect(texts.filter { $0.hasPrefix(name) } == (0..<15).map { "\(name) \($0)" })
    }
    #expect(try await story.room("alice").members().count == 3)
    #expect(try await world.client("alice").diagnose().isEmpty)
    await world.end()
  }

  @Test func storeSurvivesWithoutTheRelay() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    var offline = Faults()
    offline.isOffline = true
    let alice = try await world.member("alice")
    await alice.setFaults(offline)
    for number in 0..<3 { #expect(try await story.room("alice").send("offline \(number)").state == .pending) }
    try await alice.restart()
    #expect(try await story.room("alice").history().map(\.state) == [.pending, .pending, .pending])
    await alice.setFaults(Faults())
    try await story.deliverAll().agrees()
    #expect(try await story.room("bob").history().map(\.text) == (0..<3).map { "offline \($0)" })
    await world.end()
  }

  /// While a message waits, the room goes on by more epochs than the relay keeps: it is sealed anew, and sent once.
  @Test func messageThatWaitedTooLongIsSealedAnew() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    var offline = Faults()
    offline.isOffline = true
    let bob = try await world.member("bob")
    await bob.setFaults(offline)
    let message = try await story.room("bob").send("late")
    for _ in 0..<6 { try await story.room("alice").updateKeys() }
    await bob.setFaults(Faults())
    try await story.deliverAll().agrees()
    let seen = try await story.room("alice").history()
    #expect(try await world.client("alice").diagnose() == [])
    #expect(try await world.client("bob").diagnose() == [])
    #expect(seen.map(\.text) == ["late"])
    #expect(seen.map(\.id) == [message.id])
    await world.end()
  }
}
