import RelayProtocol
import Testing

@testable import RelayServer

struct RoomFeedTests {
  static let room = RoomID(high: 1, low: 1)
  static let alice = UserID(high: 0, low: 1)
  static let bob = UserID(high: 0, low: 2)

  static func entry(_ sequence: UInt64, in room: RoomID = room, removed: [UserID] = []) -> StoredEntry {
    StoredEntry(
      LogEntry(room: room, sequence: sequence, kind: .application, epoch: 0, time: 0, message: [1]), removed: removed)
  }

  /// What each connection was sent, in order.
  struct Deliveries {
    var byConnection: [Int: [UInt64]] = [:]
    mutating func note(_ output: [RoomFeed.Output]) {
      for item in output {
        switch item {
        case .broadcast(let entries, let connections):
          for connection in connections { byConnection[connection, default: []] += entries.map(\.entry.sequence) }
        case .push(let entries, let connection):
          byConnection[connection, default: []] += entries.map(\.entry.sequence)
        }
      }
    }
  }

  /// Every order in which entries 1…4 can be stored, read, published and joined by two followers. Whatever the order,
  /// each follower gets each entry after what its read saw exactly once and in order.
  @Test func joinsWithoutGapOrDuplicateInEveryInterleaving() {
    var tried = 0
    let publications: [[UInt64]] = [
      [1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2],
    ]
    for publication in publications {
      // A publication comes after its entry was stored; entries are stored in order.
      for joinA in 0...4 {
        for finishA in joinA...4 {
          for joinB in 0...4 {
            for finishB in joinB...4 {
              for lead in 0...2 {
                for gathers in [false, true] {
                  tried += 1
                  check(publication, joinA, finishA, joinB, finishB, lead: lead, gathers: gathers)
                }
              }
            }
          }
        }
      }
    }
    #expect(tried == 6 * 15 * 15 * 3 * 2)
  }

  /// `lead`: how many entries the store is ahead of what was published when it is read. `gathers`: what live followers
  /// get is put out at the very end, not after each entry.
  private func check(
    _ publication: [UInt64], _ joinA: Int, _ finishA: Int, _ joinB: Int, _ finishB: Int, lead: Int, gathers: Bool
  ) {
    var feed = RoomFeed()
    var deliveries = Deliveries()
    var readTo: [Int: UInt64] = [:]
    for step in 0...4 {
      // Whatever was published is on disk, and with it all that precedes it.
      let stored = max(publication.prefix(step).max() ?? 0, min(4, UInt64(step + lead)))
      for (connection, join) in [(1, joinA), (2, joinB)] where join == step {
        feed.join(connection, user: Self.alice)
      }
      for (connection, finish) in [(1, finishA), (2, finishB)] where finish == step {
        var output: [RoomFeed.Output] = []
        readTo[connection] = stored
        #expect(feed.finish(connection, at: stored, into: &output))
        deliveries.note(output)
      }
      if step < 4 {
        var output: [RoomFeed.Output] = []
        _ = feed.add(Self.entry(publication[step]), now: 0, into: &output)
        if !gathers { feed.flush(into: &output) }
        deliveries.note(output)
      }
    }
    var output: [RoomFeed.Output] = []
    feed.flush(into: &output)
    deliveries.note(output)
    for connection in [1, 2] {
      let read = readTo[connection] ?? 0
      let expected = read < 4 ? Array((read + 1)...4) : []
      #expect(
        deliveries.byConnection[connection, default: []] == expected,
        "\(publication) \(joinA) \(finishA) \(joinB) \(finishB) lead \(lead)")
    }
  }

  @Test func stopsAtTheRemoval() {
    var feed = RoomFeed()
    var deliveries = Deliveries()
    var output: [RoomFeed.Output] = []
    feed.join(1, user: Self.alice)
    feed.join(2, user: Self.bob)
    feed.join(3, user: Self.bob)
    #expect(feed.finish(1, at: 0, into: &output))
    #expect(feed.finish(2, at: 0, into: &output))
    // Out of order: what follows the removal comes first, and must wait for it.
    for stored in [Self.entry(3), Self.entry(1), Self.entry(2, removed: [Self.bob]), Self.entry(4)] {
      _ = feed.add(stored, now: 0, into: &output)
    }
    feed.flush(into: &output)
    // Still reading when it was removed.
    #expect(!feed.finish(3, at: 0, into: &output))
    deliveries.note(output)
    #expect(deliveries.byConnection == [1: [1, 2, 3, 4], 2: [1, 2], 3: [1, 2]])
    #expect(feed.followers == [1])
  }

  @Test func readsAgainAfterAGap() {
    var feed = RoomFeed()
    var output: [RoomFeed.Output] = []
    feed.join(1, user: Self.alice)
    #expect(feed.finish(1, at: 5, into: &output))
    _ = feed.add(Self.entry(7), now: 1000, into: &output)
    #expect(feed.gapSince == 1000)
    let again = feed.resynchronise()
    #expect(again.map(\.after) == [5] && again.map(\.connection) == [1])
    #expect(feed.finish(1, at: 7, into: &output))
    _ = feed.add(Self.entry(8), now: 0, into: &output)
    feed.flush(into: &output)
    var deliveries = Deliveries()
    deliveries.note(output)
    #expect(deliveries.byConnection == [1: [8]])
    // The one that was late after all.
    output = []
    _ = feed.add(Self.entry(6), now: 0, into: &output)
    feed.flush(into: &output)
    #expect(output.isEmpty)
  }
}
