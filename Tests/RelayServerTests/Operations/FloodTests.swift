import CryptoPrimitives
import Foundation
import Networking
import RelayProtocol
import Storage
import Synchronization
import Testing
import WireCodec

@testable import RelayServer

/// More than the disk takes: what is promised to those who are here holds, and nobody new is taken on.
struct FloodTests {
  private final class Stage: Sendable {
    private let enough = Atomic(false)
    private let over = Atomic(false)

    var isEnough: Bool {
      get { enough.load(ordering: .relaxed) }
      set { enough.store(newValue, ordering: .relaxed) }
    }
    var isOver: Bool {
      get { over.load(ordering: .relaxed) }
      set { over.store(newValue, ordering: .relaxed) }
    }
  }

  private static let flooders = 6
  private static let window = 200
  /// For a disk that is not impressed.
  private static let most = 5000
  private static let size = 16 << 10

  /// Sends as fast as the relay lets it, and again what was refused, until it is told that it is enough.
  ///
  /// - Returns: how many messages are stored, each of them acknowledged, and how often one was refused before.
  private static func flood(
    _ person: Person, _ room: RoomID, until isEnough: @Sendable () -> Bool
  ) async throws -> (stored: Int, refused: Int) {
    let socket = try await person.socket()
    let content = [UInt8](repeating: 7, count: size)
    var names: [SendID] = []
    var again: [Int] = []
    var (stored, refused) = (0, 0)
    func send(_ index: Int) async throws {
      let request = SendRequest(sendID: names[index], epoch: 0, message: content)
      try await socket.send(.send(requestID: UInt32(index), room: room, request))
    }
    func sendNext() async throws {
      if let index = again.popLast() { return try await send(index) }
      guard names.count < window || (names.count < most && !isEnough()) else { return }
      names.append(.random())
      try await send(names.count - 1)
    }
    for _ in 0..<window { try await sendNext() }
    while stored < names.count {
      switch try await socket.next(within: .seconds(60)) {
      case .sent: stored += 1
      case .refused(let index, let code, _):
        try #require(code == RelayCode.unavailable.number, "\(code)")
        refused += 1
        again.append(Int(index))
      case nil: throw Refusal(code: "closed with \(socket.stream.closeCode?.rawValue ?? 0)")
      default: break
      }
      try await sendNext()
    }
    socket.stream.close()
    return (stored, refused)
  }

  @Test func aFloodedRelayDeliversAndTakesOnNobody() async throws {
    try await RelayProgram.run([
      "--shed-queue-percent", "1", "--frame-burst", "1000000", "--frames-per-second", "1000000",
      "--visitor-attempt-burst", "1000000", "--visitor-attempts-per-minute", "1000000", "--shed-free-memory-mib", "0",
      "--shed-free-disk-mib", "0", "--shed-store-latency", "1h",
    ]) { relay in
      let fixture = relay.fixture
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
      let carol = try await fixture.person("carol")
      let garden = try await alice.createRoom()
      try await alice.commit(garden, epoch: 0, add: [bob])
      let incarnation = try await bob.log(of: garden).last.incarnation
      let follower = try await bob.socket()
      _ = try await follower.following(garden, after: 1, incarnation: incarnation)
      var rooms: [(Person, RoomID)] = []
      for index in 0..<Self.flooders {
        let person = try await fixture.person("flooder\(index)")
        rooms.append((person, try await person.createRoom()))
      }
      let before = relay.residentMiB
      let stage = Stage()
      // A disk that stands still again and again: the store's lock is held by somebody else.
      let path = fixture.folder + "/data/relay.db"
      Thread.detachNewThread {
        guard let database = try? SQLiteDatabase(path: path) else { return }
        while !stage.isOver {
          _ = try? database.transaction { usleep(500_000) }
          usleep(300_000)
        }
      }
      let flood = Task { [rooms] in
        defer { stage.isOver = true }
        return try await withThrowingTaskGroup(of: (room: RoomID, stored: Int, refused: Int).self) { group in
          for (person, room) in rooms {
            group.addTask {
              let (stored, refused) = try await Self.flood(person, room) { stage.isEnough }
              return (room, stored, refused)
            }
          }
          return try await group.reduce(into: [:]) { $0[$1.room] = ($1.stored, $1.refused) }
        }
      }

      // Meanwhile two people talk, and others come to the door.
      var (turnedAway, joinsTurnedAway, linksTurnedAway, said, most) = (0, 0, 0, 0, before)
      let begun = ContinuousClock.now
      while !stage.isOver {
        said += 1
        try await alice.send("still here \(said)", to: garden, epoch: 1)
        try await follower.expectEntry(UInt64(said + 1))
        let list = try Person.newList(accountKey: .generate())
        let answer = try await fixture.call(
          .register, nil,
          RegisterRequest(username: "late\(said)", password: Person.password, deviceList: list.encoded))
        if answer.status == 503 {
          #expect(try answer.problem() == "unavailable")
          #expect(answer.headers["Retry-After"] == "30")
          turnedAway += 1
        }
        let room = try await fixture.call(
          .createRoom, token: bob.token, CreateRoomRequest(room: .random()))
        if room.status == 503 { joinsTurnedAway += 1 }
        // Nor by a link, whether it is good or not.
        let knock = try await fixture.call(
          .join, Route.join.path("\(garden)"), token: carol.token,
          JoinRequest(sendID: .random(), epoch: 1, message: [1], invite: .random(), groupInfo: nil))
        if knock.status == 503 { linksTurnedAway += 1 }
        most = max(most, relay.residentMiB)
        let hasSeenAll = said >= 5 && turnedAway > 0 && joinsTurnedAway > 0 && linksTurnedAway > 0
        if hasSeenAll || ContinuousClock.now - begun > .seconds(20) { stage.isEnough = true }
      }
      let results: [RoomID: (Int, Int)] = try await flood.value
      let (stored, refused) = results.values.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
      print("flood: \(stored) stored, \(refused) sends refused, \(said) messages beside it, \(turnedAway) turned away,")
      print("flood: memory \(before) MiB before, \(most) MiB at most")
      #expect(said > 1 && turnedAway > 0 && joinsTurnedAway > 0 && linksTurnedAway > 0)
      // The queue of writes holds 64 MiB; a batch and what the kernel has not taken come beside it.
      #expect(most - before < 320)

      // Everything that was acknowledged is there, once.
      for (person, room) in rooms {
        let acknowledged = UInt64(try #require(results[room]).0)
        #expect(try await person.log(of: room, after: acknowledged - 1).last.sequence == acknowledged)
      }
      // And the door opens again by itself.
      let opens = try await eventually {
        try await fixture.call(.createRoom, token: bob.token, CreateRoomRequest(room: .random())).status == 201
      }
      #expect(opens)
      _ = try await fixture.person("afterwards")
    }
  }
}
