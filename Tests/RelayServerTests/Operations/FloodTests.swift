import CryptoPrimitives
import Networking
import RelayProtocol
import Synchronization
import Testing
import WireCodec

@testable import RelayServer

/// More than the disk takes: what is promised to those who are here holds, and nobody new is taken on.
struct FloodTests {
  private static let flooders = 6
  private static let messages = 250
  private static let size = 16 << 10

  /// Sends as fast as the relay lets it, and again what was refused, until all is stored.
  private static func flood(_ person: Person, _ room: RoomID) async throws -> (stored: Int, refused: Int) {
    let socket = try await person.socket()
    let content = [UInt8](repeating: 7, count: size)
    let names = (0..<messages).map { _ in SendID.random() }
    var waiting = Array(names.indices)[...]
    var (stored, refused) = (0, 0)
    func sendNext() async throws {
      guard let index = waiting.popFirst() else { return }
      let request = SendRequest(sendID: names[index], epoch: 0, message: content)
      try await socket.send(.send(requestID: UInt32(index), room: room, request))
    }
    for _ in 0..<200 { try await sendNext() }
    while stored < messages {
      switch try await socket.next(within: .seconds(60)) {
      case .sent: stored += 1
      case .refused(let index, let code, _):
        try #require(code == RelayCode.unavailable.number, "\(code)")
        refused += 1
        waiting.append(Int(index))
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
      "--shed-queue-percent", "2", "--frame-burst", "1000000", "--frames-per-second", "1000000",
      "--visitor-attempt-burst", "1000000", "--visitor-attempts-per-minute", "1000000", "--shed-free-memory-mib", "0",
      "--shed-free-disk-mib", "0", "--shed-store-latency", "1h",
    ]) { relay in
      let fixture = relay.fixture
      let (alice, bob) = (try await fixture.person("alice"), try await fixture.person("bob"))
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
      let flood = Task { [rooms] in
        try await withThrowingTaskGroup(of: (stored: Int, refused: Int).self) { group in
          for (person, room) in rooms { group.addTask { try await Self.flood(person, room) } }
          return try await group.reduce(into: (0, 0)) { $0 = ($0.0 + $1.stored, $0.1 + $1.refused) }
        }
      }
      let isOver = Mutex(false)
      let ending = Task {
        defer { isOver.withLock { $0 = true } }
        return try await flood.value
      }

      // Meanwhile two people talk, and others come to the door.
      var (turnedAway, joinsTurnedAway, said, most) = (0, 0, 0, before)
      while !isOver.withLock({ $0 }) {
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
        most = max(most, relay.residentMiB)
      }
      let (stored, refused) = try await ending.value
      print("flood: \(stored) stored, \(refused) sends refused, \(said) messages beside it, \(turnedAway) turned away,")
      print("flood: memory \(before) MiB before, \(most) MiB at most")
      #expect(stored == Self.flooders * Self.messages)
      #expect(said > 1 && turnedAway > 0 && joinsTurnedAway > 0)
      // The queue of writes holds 64 MiB; a batch and what the kernel has not taken come beside it.
      #expect(most - before < 320)

      // Everything that was acknowledged is there, once.
      for (person, room) in rooms {
        let log = try await person.log(of: room, after: UInt64(Self.messages - 1))
        #expect(log.last.sequence == UInt64(Self.messages) && log.entries.count == 1)
      }
      // And the door opens again by itself.
      let opens = try await eventually(.seconds(20)) {
        try await fixture.call(.createRoom, token: bob.token, CreateRoomRequest(room: .random())).status == 201
      }
      #expect(opens)
      _ = try await fixture.person("afterwards")
    }
  }
}
