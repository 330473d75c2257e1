import RelayProtocol
import Testing

@testable import RelayServer

/// The hub's decisions, without sockets or store: events in, actions out.
struct HubMachineTests {
  static let caller = Caller(
    user: UserID(high: 0, low: 1), device: DeviceID(high: 0, low: 1), session: 1, expires: 100_000)
  static let room = RoomID(high: 9, low: 9)
  static let incarnation: UInt64 = 77

  /// Short names for what the table compares.
  static func names(_ actions: [HubMachine.Action]) -> [String] {
    actions.map { action in
      switch action {
      case .send(.ready, let connection): "\(connection) ready"
      case .send(.refused(_, let code, _), let connection):
        "\(connection) refused \(RelayCode(number: code)?.text ?? "?")"
      case .send(.following(_, let statuses), let connection):
        "\(connection) following \(statuses.map { "\($0.outcome) \($0.last.sequence)" }.joined(separator: ","))"
      case .send(.sent, let connection): "\(connection) sent"
      case .send(.behind, let connection): "\(connection) behind"
      case .send(.look, let connection): "\(connection) look"
      case .send(.presence, let connection): "\(connection) presence"
      case .send(.profile, let connection): "\(connection) profile"
      case .send(.entry, let connection): "\(connection) entry"
      case .broadcast(let entries, let connections):
        "\(connections) broadcast \(entries.map { "\($0.entry.sequence)" }.joined(separator: " "))"
      case .push(let entries, let connection): "\(connection) push \(entries.map(\.entry.sequence))"
      case .authenticate(let connection, _): "\(connection) authenticate"
      case .survey(let connection, _, _): "\(connection) survey"
      case .read(let connection, _, let cursor, _): "\(connection) read \(cursor.position.sequence)"
      case .append(let connection, _, _): "\(connection) append"
      case .fetch(_, let sequence): "fetch \(sequence)"
      case .pause(let connection): "\(connection) pause"
      case .resume(let connection): "\(connection) resume"
      case .close(let connection, let code): "\(connection) close \(code.number)"
      }
    }
  }

  static func send(_ requestID: UInt32 = 1, kind: EntryKind = .application) -> ClientFrame {
    .send(
      requestID: requestID, room: room,
      SendRequest(sendID: SendID(high: 1, low: UInt64(requestID)), kind: kind, epoch: 0, message: [1]))
  }

  static func follow(_ sequences: UInt64...) -> ClientFrame {
    .follow(
      requestID: 1,
      cursors: sequences.enumerated().map { offset, sequence in
        RoomCursor(
          room: RoomID(high: 9, low: 9 + UInt64(offset)),
          position: StreamPosition(incarnation: incarnation, sequence: sequence))
      })
  }

  static func standing(_ sequence: UInt64, room: RoomID = room, incarnation: UInt64 = incarnation) -> RoomResponse {
    RoomResponse(
      room: room, epoch: 0, position: StreamPosition(incarnation: incarnation, sequence: sequence), members: 1)
  }

  static func page(_ sequences: ClosedRange<UInt64>, last: UInt64) -> LogResponse {
    LogResponse(
      entries: sequences.map { RoomFeedTests.entry($0).entry },
      last: StreamPosition(incarnation: incarnation, sequence: last), epoch: 0)
  }

  static func stored(_ sequence: UInt64, removed: [UserID] = []) -> HubMachine.Event {
    .wake(
      .stored(
        StoredEntry(
          LogEntry(room: room, sequence: sequence, kind: .application, epoch: 0, time: 0, message: [1]),
          removed: removed)))
  }

  /// A machine with connection 1 of `caller`.
  static func ready(_ bounds: HubMachine.Bounds = .init()) -> HubMachine {
    var machine = HubMachine(bounds: bounds)
    _ = machine.handle(.opened(1), now: 0)
    #expect(names(machine.handle(.authenticated(1, .success(caller)), now: 0)) == ["1 ready"])
    return machine
  }

  static func live() -> HubMachine {
    var machine = ready()
    _ = machine.handle(.frame(1, follow(0)), now: 0)
    #expect(names(machine.handle(.surveyed(1, ticket: 1, .success([standing(0)])), now: 0)) == ["1 following live 0"])
    return machine
  }

  struct Step: Sendable {
    let event: HubMachine.Event
    let now: UInt64
    let actions: [String]
    init(_ event: HubMachine.Event, at now: UInt64 = 0, _ actions: [String]) {
      (self.event, self.now, self.actions) = (event, now, actions)
    }
  }

  func run(_ machine: consuming HubMachine, _ steps: [Step]) {
    for (index, step) in steps.enumerated() {
      #expect(Self.names(machine.handle(step.event, now: step.now)) == step.actions, "step \(index)")
    }
  }

  @Test func authenticatesFirst() {
    run(
      HubMachine(),
      [
        Step(.opened(1), []), Step(.frame(1, Self.send()), ["1 close 4000"]), Step(.opened(2), []),
        Step(.frame(2, .authenticate(token: "x")), ["2 pause", "2 authenticate"]),
        Step(.authenticated(2, .failure(RelayError(.unauthenticated, ""))), ["2 resume", "2 close 4001"]),
        Step(.opened(3), []), Step(.tick, at: 9_999, []), Step(.tick, at: 10_000, ["3 close 4001"]),
        Step(.opened(4), []), Step(.authenticated(4, .failure(RelayError(.tokenExpired, ""))), ["4 close 4002"]),
        Step(.opened(5), []), Step(.authenticated(5, .failure(RelayError(.sessionEnded, ""))), ["5 close 4003"]),
        Step(.opened(6), []), Step(.authenticated(6, .failure(RelayError(.rateLimited, ""))), ["6 close 4005"]),
        Step(.opened(7), []), Step(.authenticated(7, .failure(RelayError(.unavailable, ""))), ["7 close 1001"]),
        Step(.opened(8), []), Step(.garbage(8), ["8 close 4000"]),
        Step(.frame(8, Self.send()), []), Step(.closed(8), []),
      ])
  }

  /// One frame names thousands of rooms: what each costs must not grow with their number, or a few bytes hold up a loop.
  @Test func costOfFollowingGrowsWithTheRoomsOnly() {
    func time(_ count: UInt64) -> Duration {
      let cursors = (0..<count).map {
        RoomCursor(room: RoomID(high: 3, low: $0), position: StreamPosition(incarnation: Self.incarnation, sequence: 0))
      }
      var machine = Self.ready()
      _ = machine.handle(.frame(1, .follow(requestID: 1, cursors: cursors)), now: 0)
      return ContinuousClock().measure { _ = machine.handle(.surveyed(1, ticket: 1, .success([])), now: 0) }
    }
    // The least that was ever seen: a busy machine only adds to it.
    var (few, many) = (Duration.seconds(60), Duration.seconds(60))
    for _ in 0..<100 where many > few * 32 || few == .seconds(60) {
      (few, many) = (min(few, time(256)), min(many, time(4096)))
    }
    #expect(many <= few * 32, "16 times as many rooms take \(many) instead of \(few)")
  }

  @Test func expiresUnlessRenewed() {
    var later = Self.caller
    later.expires = 200_000
    var other = Self.caller
    other.user = UserID(high: 5, low: 5)
    run(Self.ready(), [Step(.tick, at: 99_999, []), Step(.tick, at: 100_000, ["1 close 4002"])])
    run(
      Self.ready(),
      [
        Step(.frame(1, .authenticate(token: "new")), ["1 pause", "1 authenticate"]),
        Step(.authenticated(1, .success(later)), ["1 resume", "1 ready"]), Step(.tick, at: 150_000, []),
        Step(.tick, at: 200_000, ["1 close 4002"]),
      ])
    run(
      Self.ready(),
      [
        Step(.frame(1, .authenticate(token: "new")), ["1 pause", "1 authenticate"]),
        Step(.authenticated(1, .success(other)), ["1 resume", "1 close 4001"]),
      ])
  }

  @Test func endsWithTheSessionOrTheDevice() {
    run(Self.ready(), [Step(.wake(.sessionEnded(2)), []), Step(.wake(.sessionEnded(1)), ["1 close 4003"])])
    run(Self.ready(), [Step(.wake(.devicesGone([Self.caller.device])), ["1 close 4003"])])
    // Ended while the token was being checked.
    run(
      HubMachine(),
      [
        Step(.opened(1), []), Step(.frame(1, .authenticate(token: "x")), ["1 pause", "1 authenticate"]),
        Step(.wake(.sessionEnded(1)), []),
        Step(.authenticated(1, .success(Self.caller)), ["1 resume", "1 close 4003"]),
      ])
  }

  @Test func followsFromTheCursor() {
    run(
      Self.ready(),
      [
        Step(.frame(1, Self.follow(2)), ["1 survey"]),
        Step(.surveyed(1, ticket: 1, .success([Self.standing(4)])), ["1 read 2"]), Step(Self.stored(5), []),
        Step(.surveyed(1, ticket: 9, .success([])), []),
        Step(
          .page(1, ticket: 1, .success(Self.page(3...4, last: 4))),
          ["1 push [3, 4]", "1 push [5]", "1 following live 4"]),
        Step(Self.stored(6), ["[1] broadcast 6"]),
        // Followed anew from elsewhere: the old way ends.
        Step(.frame(1, Self.follow(6)), ["1 survey"]), Step(Self.stored(7), []),
        Step(.surveyed(1, ticket: 2, .success([Self.standing(6)])), ["1 push [7]", "1 following live 6"]),
        Step(.closed(1), []), Step(Self.stored(8), []),
      ])
  }

  @Test func tellsWhereItCannotFollow() {
    run(
      Self.ready(),
      [
        Step(.frame(1, Self.follow(2)), ["1 survey"]),
        Step(.surveyed(1, ticket: 1, .success([])), ["1 following gone 2"]), Step(Self.stored(3), []),
        Step(.frame(1, Self.follow(2)), ["1 survey"]),
        Step(
          .surveyed(1, ticket: 2, .success([Self.standing(9, incarnation: 1)])),
          ["1 following incarnationChanged 9"]),
        Step(.frame(1, Self.follow(20)), ["1 survey"]),
        Step(.surveyed(1, ticket: 3, .success([Self.standing(9)])), ["1 following incarnationChanged 9"]),
        // Removed between the survey and the read.
        Step(.frame(1, Self.follow(2)), ["1 survey"]),
        Step(.surveyed(1, ticket: 4, .success([Self.standing(9)])), ["1 read 2"]),
        Step(.page(1, ticket: 4, .failure(RelayError(.roomNotFound, ""))), ["1 following gone 2"]),
        Step(.frame(1, Self.follow(2)), ["1 survey"]),
        Step(.surveyed(1, ticket: 5, .failure(RelayError(.unavailable, ""))), ["1 refused unavailable"]),
        Step(Self.stored(10), []),
      ])
  }

  @Test func saysBehindAndWaitsForTheSlow() {
    let second = RoomID(high: 9, low: 10)
    run(
      Self.ready(),
      [
        Step(.frame(1, Self.follow(0, 0)), ["1 survey"]), Step(.slow(1), []),
        Step(.surveyed(1, ticket: 1, .success([Self.standing(900), Self.standing(0, room: second)])), []),
        Step(.drained(1), ["1 read 0"]),
        Step(
          .page(1, ticket: 1, .success(Self.page(1...2, last: 900))),
          ["1 push [1, 2]", "1 behind", "1 following live 900,live 0"]), Step(Self.stored(901), ["[1] broadcast 901"]),
        Step(.slow(1), at: 1000, []), Step(.tick, at: 15_999, []), Step(.tick, at: 16_000, ["1 close 4004"]),
      ])
    run(Self.live(), [Step(.overrun(1), ["1 close 4004"]), Step(Self.stored(1), [])])
  }

  @Test func stopsPushingToTheRemoved() {
    run(
      Self.live(),
      [
        Step(Self.stored(1), ["[1] broadcast 1"]), Step(Self.stored(3), []),
        Step(Self.stored(2, removed: [Self.caller.user]), ["[1] broadcast 2"]), Step(Self.stored(4), []),
      ])
  }

  @Test func joinsWhatComesAtOnce() {
    var machine = Self.live()
    _ = machine.handle(.opened(2), now: 0)
    var other = Self.caller
    (other.user, other.device, other.session) = (UserID(high: 0, low: 2), DeviceID(high: 0, low: 2), 2)
    _ = machine.handle(.authenticated(2, .success(other)), now: 0)
    _ = machine.handle(.frame(2, Self.follow(0)), now: 0)
    _ = machine.handle(.surveyed(2, ticket: 2, .success([Self.standing(0)])), now: 0)
    func stored(_ sequence: UInt64, removed: [UserID] = []) -> Wake {
      .stored(RoomFeedTests.entry(sequence, in: Self.room, removed: removed))
    }
    run(
      machine,
      [
        Step(.wakes([stored(1), stored(3), stored(2)]), ["[1, 2] broadcast 1 2 3"]),
        // Whoever is removed gets the piece up to its removal and nothing of the next.
        Step(
          .wakes([stored(4), stored(5, removed: [other.user]), stored(6)]), ["[1, 2] broadcast 4 5", "[1] broadcast 6"]),
        Step(.wakes([stored(7), .sessionEnded(1), stored(8)]), ["1 close 4003"]),
      ])
  }

  @Test func repairsAGap() {
    run(
      Self.live(),
      [
        Step(Self.stored(2), at: 0, []), Step(.tick, at: 499, []), Step(.tick, at: 500, ["1 survey"]),
        Step(.surveyed(1, ticket: 2, .success([Self.standing(2)])), ["1 read 0"]),
        Step(.page(1, ticket: 2, .success(Self.page(1...2, last: 2))), ["1 push [1, 2]"]),
        Step(Self.stored(1), []), Step(Self.stored(3), ["[1] broadcast 3"]),
      ])
  }

  @Test func boundsWhatOneConnectionAsks() {
    var bounds = HubMachine.Bounds()
    (bounds.frameBurst, bounds.framesPerSecond) = (2, 1)
    run(
      Self.ready(bounds),
      [
        Step(.frame(1, Self.send()), ["1 append"]), Step(.frame(1, Self.send()), ["1 append"]),
        Step(.frame(1, Self.send()), ["1 refused rate_limited"]), Step(.frame(1, Self.send()), at: 1000, ["1 append"]),
      ])
    bounds = HubMachine.Bounds()
    bounds.sendsInFlight = 2
    let yes = Appended(
      response: SendResponse(position: StreamPosition(incarnation: 0, sequence: 1), time: 0), entry: nil)
    run(
      Self.ready(bounds),
      [
        Step(.frame(1, Self.send()), ["1 append"]), Step(.frame(1, Self.send()), ["1 append", "1 pause"]),
        Step(.appended(1, requestID: 1, .success(yes)), ["1 resume", "1 sent"]),
        Step(.appended(1, requestID: 2, .failure(RelayError(.epochStale, ""))), ["1 refused epoch_stale"]),
        Step(.frame(1, Self.send(3, kind: .commit)), ["1 refused invalid_request"]),
      ])
    bounds = HubMachine.Bounds()
    (bounds.followedRooms, bounds.waitingFollows) = (1, 1)
    run(
      Self.ready(bounds),
      [
        Step(.frame(1, Self.follow(1, 2)), ["1 refused too_large"]), Step(.frame(1, Self.follow(1)), ["1 survey"]),
        Step(.frame(1, Self.follow(1)), ["1 refused rate_limited"]),
      ])
    let twice = RoomCursor(room: Self.room, position: StreamPosition(incarnation: 0, sequence: 0))
    run(
      Self.ready(), [Step(.frame(1, .follow(requestID: 1, cursors: [twice, twice])), ["1 refused invalid_request"])])
  }

  @Test func looksForItsDevice() {
    run(
      Self.ready(),
      [
        Step(.wake(.look(.welcomes, [Self.caller.device])), ["1 look"]),
        Step(.wake(.look(.welcomes, [DeviceID(high: 8, low: 8)])), []),
      ])
  }
}

extension HubMachine.Event {
  static func wake(_ wake: Wake) -> Self { .wakes([wake]) }
}
