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

  /// Entries that wait for somebody whose read takes for ever are bounded, by their number and by their bytes.
  @Test func boundsWhatItKeepsForThoseWhoJoin() {
    let large = [UInt8](repeating: 1, count: 1 << 20)
    for (message, most) in [([UInt8](), 20_000), (large, 40)] {
      var feed = RoomFeed()
      var output: [RoomFeed.Output] = []
      feed.join(1, user: Self.alice)
      feed.join(2, user: Self.bob)
      var sequence: UInt64 = 0
      var gone: Set<Int> = []
      while gone.isEmpty, sequence <= UInt64(most) {
        sequence += 1
        let entry = LogEntry(
          room: Self.room, sequence: sequence, kind: .application, epoch: 0, time: 0, message: message)
        gone.formUnion(feed.add(StoredEntry(entry), now: 0, into: &output))
      }
      #expect(gone == [1, 2], "after \(sequence)")
      for connection in gone { feed.leave(connection) }
      #expect(feed.isEmpty && output.isEmpty)
    }
  }

  /// One who joins after another has waited for long is not given up with it; and those who keep coming keep nothing alive.
  @Test func keepsNoMoreThanTheOldestNeeds() {
    var feed = RoomFeed()
    var deliveries = Deliveries()
    var output: [RoomFeed.Output] = []
    feed.join(1, user: Self.alice)
    var gone: [Int] = []
    for sequence in UInt64(1)...20_100 {
      // Each begins before the one before it has ended.
      if sequence == 15_000 { feed.join(2, user: Self.bob) }
      gone += feed.add(Self.entry(sequence), now: 0, into: &output)
      for connection in gone { feed.leave(connection) }
    }
    #expect(gone == [1])
    // Its read saw the log up to 15,100; the rest was kept.
    #expect(feed.finish(2, at: 15_100, into: &output))
    _ = feed.add(Self.entry(20_101), now: 0, into: &output)
    feed.flush(into: &output)
    deliveries.note(output)
    #expect(deliveries.byConnection == [2: Array(15_101...20_101)])
  }

  /// What came too early is bounded as well: those who wait read it from the store.
  @Test func boundsWhatCameEarly() {
    var feed = RoomFeed()
    var output: [RoomFeed.Output] = []
    feed.join(1, user: Self.alice)
    #expect(feed.finish(1, at: 0, into: &output))
    let message = [UInt8](repeating: 1, count: 1 << 20)
    for sequence in UInt64(2)...41 {
      let entry = LogEntry(
        room: Self.room, sequence: sequence, kind: .application, epoch: 0, time: 0, message: message)
      _ = feed.add(StoredEntry(entry), now: 7, into: &output)
    }
    #expect(feed.earlyBytes <= RoomFeed.maxKeptBytes)
    // The gap closes, but what was let go is still to be had: somebody has to look.
    _ = feed.add(Self.entry(1), now: 8, into: &output)
    #expect(feed.gapSince == 7)
    feed.flush(into: &output)
    var deliveries = Deliveries()
    deliveries.note(output)
    let delivered = deliveries.byConnection[1] ?? []
    #expect(delivered == Array(1...UInt64(delivered.count)))
    #expect(feed.resynchronise().map(\.after) == [UInt64(delivered.count)])
    #expect(feed.finish(1, at: 41, into: &output))
    #expect(feed.gapSince == nil || feed.earlyBytes == 0)
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

/// Feeds of two nodes on one log: each stores some of the entries, and hears of the others' by looks.
struct RoomFeedNodesTests {
  /// One follower's node: what it fetched and did not get yet, and what it heard and did not take in yet.
  private struct Node {
    var feed = RoomFeed()
    var heard: [Event] = []
    var deliveries = RoomFeedTests.Deliveries()
    var joined = false
    var snapshot: UInt64?

    enum Event {
      case stored(UInt64)
      case grown(UInt64)
    }
  }

  /// Random interleavings of storing, hearing late and in any order, losing looks, fetching and joining: whoever follows gets each
  /// entry once and in order, if looks come again as they do in rounds.
  @Test(arguments: 0..<40) func deliversOnceAndInOrder(_ seed: UInt64) {
    var random = Seeded(state: seed)
    for _ in 0..<50 {
      var last: UInt64 = 0
      var nodes = [Node(), Node()]
      for step in 0..<60 {
        let index = Int.random(in: 0...1, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where last < 20, 1 where last < 20:
          last += 1
          nodes[index].heard.append(.stored(last))
          // A look may be lost.
          if Bool.random(using: &random) { nodes[1 - index].heard.append(.grown(last)) }
        case 2 where !nodes[index].joined:
          nodes[index].feed.join(1, user: RoomFeedTests.alice)
          nodes[index].joined = true
          nodes[index].snapshot = nil
        case 3 where nodes[index].joined && nodes[index].snapshot == nil: finish(&nodes[index], last)
        default: if !nodes[index].heard.isEmpty { hear(&nodes[index], last, UInt64(step), &random) }
        }
      }
      for index in nodes.indices {
        if !nodes[index].joined { nodes[index].feed.join(1, user: RoomFeedTests.alice) }
        if nodes[index].snapshot == nil { finish(&nodes[index], last) }
        // The round: everyone is told where the log ends.
        nodes[index].heard.append(.grown(last))
        while !nodes[index].heard.isEmpty { hear(&nodes[index], last, 99, &random) }
        let start = nodes[index].snapshot ?? 0
        #expect(
          nodes[index].deliveries.byConnection[1, default: []] == (start < last ? Array(start + 1...last) : []),
          "seed \(seed)")
      }
    }
  }

  private func finish(_ node: inout Node, _ last: UInt64) {
    var output: [RoomFeed.Output] = []
    node.snapshot = last
    #expect(node.feed.finish(1, at: last, into: &output))
    if let after = node.feed.look(0, now: 0) { fetched(&node, after, last) }
    node.deliveries.note(output)
  }

  private func hear(_ node: inout Node, _ last: UInt64, _ now: UInt64, _ random: inout Seeded) {
    var output: [RoomFeed.Output] = []
    var after: UInt64?
    switch node.heard.remove(at: Int.random(in: 0..<min(3, node.heard.count), using: &random)) {
    case .stored(let sequence):
      _ = node.feed.add(RoomFeedTests.entry(sequence), now: now, into: &output)
      node.feed.flush(into: &output)
      after = node.feed.look(sequence - 1, now: now)
    case .grown(let sequence): after = node.feed.look(sequence, now: now)
    }
    node.deliveries.note(output)
    if let after { fetched(&node, after, last) }
  }

  /// A fetch reads the store as it is then; what it finds is heard like all else.
  private func fetched(_ node: inout Node, _ after: UInt64, _ last: UInt64) {
    guard after < last else { return }
    node.heard += (after + 1...last).map { .stored($0) }
  }

  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
      return mixed ^ (mixed >> 31)
    }
  }
}
