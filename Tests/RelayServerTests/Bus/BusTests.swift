import RelayProtocol
import Testing

@testable import RelayServer

/// What every bus does.
struct BusTests {
  @Test(arguments: BusKind.allCases) func tellsEveryNodeOfEntries(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      let (room, other) = (RoomID.random(), RoomID.random())
      world.near.publish([.stored(BusWorld.entry(1, in: room)), .stored(BusWorld.entry(7, in: other))])
      #expect(
        try await eventually { world.farEar.heights(of: room) == [1] && world.farEar.heights(of: other) == [7] })
      // On the node itself the entry rides along, and is heard once.
      let own = world.nearEar.all.filter { wake in
        switch wake {
        case .stored: true
        case .grown(let grown, _): grown == room || grown == other
        default: false
        }
      }
      #expect(own.count == 2)
      #expect(own.allSatisfy { if case .stored = $0 { true } else { false } })
    }
  }

  @Test(arguments: BusKind.allCases) func neverSaysThatARoomShrank(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      let room = RoomID.random()
      for sequence in 1...2000 as ClosedRange<UInt64> {
        world.near.publish([.stored(BusWorld.entry(sequence, in: room))])
      }
      #expect(try await eventually { world.farEar.heights(of: room).last == 2000 })
      let heights = world.farEar.heights(of: room)
      #expect(heights == heights.sorted())
      #expect(world.nearEar.heights(of: room) == Array(1...2000))
    }
  }

  @Test(arguments: BusKind.allCases) func tellsOfEndingsAndWelcomes(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      let devices = [DeviceID.random(), DeviceID.random()]
      world.near.publish([.sessionEnded(77), .devicesGone(devices), .look(.welcomes, [devices[0]])])
      #expect(
        try await eventually {
          world.farEar.ended == Doubt(sessions: [77], devices: Set(devices)) && world.farEar.looks == [devices[0]]
        })
    }
  }

  @Test(arguments: BusKind.allCases) func tellsOfPeopleAndAsksForThem(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      // More than one message of a bus on Redis holds.
      let news = (0..<1500).flatMap { _ in [PersonNews.presence(.random()), .profile(.random())] }
      world.near.publish([.changed(news)])
      #expect(try await eventually { world.farEar.news == Set(news) })
      #expect(!world.farEar.isAsked)
      world.near.publish([.asks])
      #expect(try await eventually { world.farEar.isAsked })
      #expect(!world.farEar.isToldToLookAtAll)
    }
  }

  /// What goes to those who are connected here is nobody else's.
  @Test(arguments: BusKind.allCases) func keepsFramesToItself(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      let (user, room) = (UserID.random(), RoomID.random())
      world.near.publish([.tell(.profile(user), [user]), .stored(BusWorld.entry(1, in: room))])
      #expect(try await eventually { !world.farEar.heights(of: room).isEmpty })
      func tells(_ ear: Ear) -> Int { ear.all.count { if case .tell = $0 { true } else { false } } }
      #expect(tells(world.nearEar) == 1)
      // Where both are one node it is one's own.
      #expect(tells(world.farEar) == (kind == .local ? 1 : 0))
    }
  }

  @Test(arguments: BusKind.allCases) func takesManyPublishersAtOnce(_ kind: BusKind) async throws {
    try await BusWorld.run(kind) { (world) async throws in
      let rooms = (0..<2000).map { _ in RoomID.random() }
      await withTaskGroup(of: Void.self) { group in
        for part in 0..<4 {
          group.addTask {
            for round in 1...5 as ClosedRange<UInt64> {
              for index in stride(from: part, to: rooms.count, by: 4) {
                world.near.publish([.stored(BusWorld.entry(round, in: rooms[index]))])
              }
            }
          }
        }
      }
      let last = rooms.last!
      #expect(try await eventually { world.farEar.heights(of: last).last == 5 })
      var heights: [RoomID: UInt64] = [:]
      #expect(
        try await eventually {
          heights = [:]
          for wake in world.farEar.all {
            switch wake {
            case .stored(let stored): heights[stored.entry.room] = stored.entry.sequence
            case .grown(let room, let height): heights[room] = height
            default: break
            }
          }
          return rooms.allSatisfy { heights[$0] == 5 }
        })
      #expect(!world.farEar.isToldToLookAtAll)
    }
  }
}
