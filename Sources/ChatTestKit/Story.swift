public import ChatSDK

/// What happens in one room, told step by step.
public struct Story: Sendable {
  public let world: World
  public let id: RoomID
  /// Who does what no name is given for.
  public let teller: String

  /// A member's view of the room.
  public func room(_ name: String) async throws -> Room { try await world.client(name).room(id) }

  @discardableResult
  public func invites(_ names: String...) async throws -> Story {
    try await room(teller).invite(names)
    return self
  }

  @discardableResult
  public func removes(_ names: String...) async throws -> Story {
    try await room(teller).remove(names)
    return self
  }

  @discardableResult
  public func says(_ name: String, _ text: String) async throws -> Story {
    try await room(name).send(text)
    return self
  }

  @discardableResult
  public func leaves(_ name: String) async throws -> Story {
    try await room(name).leave()
    return self
  }

  /// Goes on when everything has reached everybody.
  @discardableResult
  public func deliverAll(within limit: Duration = .seconds(20)) async throws -> Story {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    var quietRounds = 0
    while true {
      try await world.syncAll()
      let states = try await world.states(of: id).map(\.state)
      let isQuiet = states.allSatisfy { $0.waiting == 0 && $0.sequence == states.first?.sequence }
      quietRounds = isQuiet && Set(states.map(\.epoch)).count <= 1 ? quietRounds + 1 : 0
      // What the last of a round sent, the first of it has not seen.
      if quietRounds == 2 { return self }
      guard clock.now < deadline else { throw WorldError("not everything arrived in time (seed \(world.seed))") }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Checks that all members are in the same state of the group and have read the same messages in the same order.
  @discardableResult
  public func agrees() async throws -> Story {
    let states = try await world.states(of: id)
    guard let first = states.first else { return self }
    for (name, state) in states {
      func require(_ isSame: Bool, _ what: String) throws {
        guard isSame else { throw WorldError("\(first.name) and \(name) differ in \(what) (seed \(world.seed))") }
      }
      try require(state.health == .good, "health")
      try require(state.epoch == first.state.epoch, "the epoch")
      try require(state.authenticator == first.state.authenticator, "the group's state")
      try require(state.members == first.state.members, "the members")
      try require(state.name == first.state.name, "the room's name")
      // Whoever came later has the end of what the others have.
      let (short, long) = [state.messages, first.state.messages].sorted { $0.count < $1.count }.pair
      try require(Array(long.suffix(short.count)) == short, "the messages")
    }
    return self
  }
}

extension [[String]] {
  fileprivate var pair: ([String], [String]) { (self[0], self[1]) }
}
