import RelayProtocol

// How a connection begins to follow rooms: join their feeds, ask the store where the rooms stand, read what each cursor
// lacks, one room at a time and not while the connection is slow, and answer when all are done.
extension HubMachine {
  struct Follow {
    /// `nil` where the hub itself repairs a gap.
    let requestID: UInt32?
    let cursors: [RoomCursor]
    var index = 0
    var statuses: [FollowStatus] = []
    /// The rooms as surveyed; `nil` until then.
    var rooms: [RoomID: RoomResponse]?
    var ticket: UInt64 = 0
    var isReading = false

    init(requestID: UInt32?, cursors: [RoomCursor]) { (self.requestID, self.cursors) = (requestID, cursors) }
  }

  mutating func follow(_ connection: Connection, _ requestID: UInt32, _ cursors: [RoomCursor]) {
    guard let peer = peers[connection] else { return }
    let rooms = Set(cursors.map(\.room))
    guard cursors.count <= Limits.cursorsPerFollow, rooms.count == cursors.count else {
      return refuse(connection, requestID, .invalidRequest)
    }
    guard peer.rooms.union(rooms).count <= bounds.followedRooms else {
      return refuse(connection, requestID, .tooLarge)
    }
    guard peer.follows.count < bounds.waitingFollows else {
      return refuse(connection, requestID, .rateLimited, after: 1000)
    }
    enqueue(connection, Follow(requestID: requestID, cursors: cursors))
  }

  /// Followers of a room read the store again from where they are, because an entry did not come.
  mutating func rejoin(_ room: RoomID) {
    for (connection, _, sequence) in feeds[room]?.resynchronise() ?? [] {
      let position = StreamPosition(incarnation: 0, sequence: sequence)
      enqueue(connection, Follow(requestID: nil, cursors: [RoomCursor(room: room, position: position)]))
    }
  }

  private mutating func enqueue(_ connection: Connection, _ follow: Follow) {
    peers[connection]?.follows.append(follow)
    if peers[connection]?.follows.count == 1 { begin(connection) }
  }

  private mutating func begin(_ connection: Connection) {
    guard let peer = peers[connection], let caller = peer.caller, let follow = peer.follows.first else { return }
    for cursor in follow.cursors {
      feeds[cursor.room, default: RoomFeed()].join(connection, user: caller.user)
      peers[connection]?.rooms.insert(cursor.room)
    }
    lastTicket += 1
    peers[connection]?.follows[0].ticket = lastTicket
    actions.append(.survey(connection, ticket: lastTicket, caller))
  }

  mutating func surveyed(
    _ connection: Connection, _ ticket: UInt64, _ result: Result<[RoomResponse], RelayError>
  ) {
    guard peers[connection]?.follows.first?.ticket == ticket else { return }
    switch result {
    case .success(let rooms):
      let byRoom = Dictionary(rooms.map { ($0.room, $0) }, uniquingKeysWith: { first, _ in first })
      peers[connection]?.follows[0].rooms = byRoom
      advance(connection)
    case .failure(let error): fail(connection, error)
    }
  }

  /// The cursor that a connection's current `follow` has come to, and what is to be known about it.
  private struct Place {
    /// None once all cursors have had their turn.
    var cursor: RoomCursor?
    var room: RoomResponse?
    var requestID: UInt32?
    var ticket: UInt64
    var caller: Caller?
    var isSlow: Bool
  }

  /// By value, so that nothing refers to a peer's lists while they grow: each change would copy them.
  private func place(of connection: Connection) -> Place? {
    guard let peer = peers[connection], let follow = peer.follows.first, let rooms = follow.rooms, !follow.isReading
    else { return nil }
    let cursor = follow.index < follow.cursors.count ? follow.cursors[follow.index] : nil
    return Place(
      cursor: cursor, room: cursor.flatMap { rooms[$0.room] }, requestID: follow.requestID, ticket: follow.ticket,
      caller: peer.caller, isSlow: peer.slowSince != nil)
  }

  private func currentRoom(_ connection: Connection) -> RoomID? {
    guard let follow = peers[connection]?.follows.first, follow.index < follow.cursors.count else { return nil }
    return follow.cursors[follow.index].room
  }

  /// Goes on with the current `follow`, unless it waits for the store or for the connection.
  mutating func advance(_ connection: Connection) {
    while let place = place(of: connection) {
      guard let cursor = place.cursor else {
        if let requestID = place.requestID {
          let statuses = peers[connection]?.follows.first?.statuses ?? []
          actions.append(.send(.following(requestID: requestID, statuses), to: connection))
        }
        return next(connection)
      }
      guard let room = place.room else {
        settle(connection, .gone, last: cursor.position, epoch: 0)
        continue
      }
      let isOfThisLog = place.requestID == nil || cursor.position.incarnation == room.position.incarnation
      guard isOfThisLog, cursor.position.sequence <= room.position.sequence else {
        settle(connection, .incarnationChanged, last: room.position, epoch: room.epoch)
        continue
      }
      if cursor.position.sequence == room.position.sequence {
        join(connection, at: room.position, epoch: room.epoch)
      } else {
        guard !place.isSlow, let caller = place.caller else { return }
        peers[connection]?.follows[0].isReading = true
        actions.append(.read(connection, ticket: place.ticket, cursor, caller))
      }
    }
  }

  mutating func read(_ connection: Connection, _ ticket: UInt64, _ result: Result<LogResponse, RelayError>) {
    guard let follow = peers[connection]?.follows.first, follow.ticket == ticket, follow.isReading else { return }
    peers[connection]?.follows[0].isReading = false
    let cursor = follow.cursors[follow.index]
    switch result {
    case .success(let page):
      if !page.entries.isEmpty { actions.append(.push(page.entries.map { StoredEntry($0) }, to: connection)) }
      if page.entries.last?.sequence ?? cursor.position.sequence < page.last.sequence {
        // Too much for a push. What follows is pushed all the same: the client sees the gap and pulls.
        actions.append(.send(.behind(room: cursor.room, last: page.last), to: connection))
      }
      join(connection, at: page.last, epoch: page.epoch)
    case .failure(let error) where error.code == .roomNotFound:
      settle(connection, .gone, last: cursor.position, epoch: 0)
    case .failure(let error): return fail(connection, error)
    }
    advance(connection)
  }

  /// The current cursor's read is done.
  private mutating func join(_ connection: Connection, at position: StreamPosition, epoch: UInt64) {
    guard let room = currentRoom(connection) else { return }
    var output: [RoomFeed.Output] = []
    let isMember = feeds[room]?.finish(connection, at: position.sequence, into: &output) ?? false
    take(output)
    lookFor(room, last: 0)
    settle(connection, isMember ? .live : .gone, last: position, epoch: epoch)
  }

  private mutating func settle(
    _ connection: Connection, _ outcome: FollowStatus.Outcome, last: StreamPosition, epoch: UInt64
  ) {
    guard let room = currentRoom(connection) else { return }
    if outcome != .live {
      leave(room, connection)
      peers[connection]?.rooms.remove(room)
    }
    peers[connection]?.follows[0].statuses.append(
      FollowStatus(room: room, outcome: outcome, last: last, epoch: epoch))
    peers[connection]?.follows[0].index += 1
  }

  private mutating func fail(_ connection: Connection, _ error: RelayError) {
    guard let follow = peers[connection]?.follows.first else { return }
    // A repair that fails leaves the client without a push that it was promised.
    guard let requestID = follow.requestID else { return close(connection, .goingAway) }
    for cursor in follow.cursors[follow.index...] {
      leave(cursor.room, connection)
      peers[connection]?.rooms.remove(cursor.room)
    }
    refuse(connection, requestID, error.code, after: 1000)
    next(connection)
  }

  private mutating func next(_ connection: Connection) {
    peers[connection]?.follows.removeFirst()
    begin(connection)
  }
}
