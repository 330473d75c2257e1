import RelayProtocol

/// What the sockets of one loop are told, decided purely: events in, actions out. ``Hub`` obeys.
struct HubMachine {
  struct Peer {
    var caller: Caller?
    var opened: UInt64
    var bucket: TokenBucket
    var isAuthenticating = false
    var rooms: Set<RoomID> = []
    /// The first one is being worked on.
    var follows: [Follow] = []
    var sendsInFlight = 0
    var isHeldBack = false
    var slowSince: UInt64?
  }

  let bounds: Bounds
  /// Milliseconds since 1970, as of the event in work.
  var now: UInt64 = 0
  var peers: [Connection: Peer] = [:]
  var feeds: [RoomID: RoomFeed] = [:]
  var lastTicket: UInt64 = 0
  var actions: [Action] = []
  /// What feeds put out in one event; kept for its memory.
  private var output: [RoomFeed.Output] = []
  private var grown: [RoomID] = []
  private var byDevice: [DeviceID: Set<Connection>] = [:]
  private var byUser: [UserID: Set<Connection>] = [:]
  /// What ended lately: a token that was checked just before must not open a socket just after.
  private var endedSessions: [UInt64: UInt64] = [:]
  private var goneDevices: [DeviceID: UInt64] = [:]

  init(bounds: Bounds = Bounds()) { self.bounds = bounds }

  /// The rooms that are followed and the sessions that are connected.
  var served: Served {
    let callers = peers.values.compactMap(\.caller)
    return Served(
      rooms: Set(feeds.keys),
      sessions: Dictionary(callers.map { ($0.session, $0.device) }) { first, _ in first })
  }

  mutating func handle(_ event: Event, now: UInt64) -> [Action] {
    var actions: [Action] = []
    handle(event, now: now, into: &actions)
    return actions
  }

  /// Appends what is to be done to `list`, whose memory the caller may use again and again.
  mutating func handle(_ event: Event, now: UInt64, into list: inout [Action]) {
    self.now = now
    swap(&actions, &list)
    defer { swap(&actions, &list) }
    switch event {
    case .opened(let connection):
      let bucket = TokenBucket(
        capacity: bounds.frameBurst, perSecond: Double(bounds.framesPerSecond), now: now)
      peers[connection] = Peer(opened: now, bucket: bucket)
    case .authenticated(let connection, let result): authenticated(connection, result)
    case .frame(let connection, let frame): received(frame, from: connection)
    case .garbage(let connection), .overrun(let connection):
      if case .garbage = event { close(connection, .protocolViolation) } else { close(connection, .tooSlow) }
    case .surveyed(let connection, let ticket, let result): surveyed(connection, ticket, result)
    case .page(let connection, let ticket, let result): read(connection, ticket, result)
    case .appended(let connection, let requestID, let result): appended(connection, requestID, result)
    case .wakes(let wakes): woken(wakes)
    case .slow(let connection): peers[connection]?.slowSince = now
    case .drained(let connection):
      peers[connection]?.slowSince = nil
      advance(connection)
    case .closed(let connection): forget(connection)
    case .tick: tick()
    }
  }

  // MARK: Authentication

  private mutating func authenticated(_ connection: Connection, _ result: Result<Caller, RelayError>) {
    guard let peer = peers[connection] else { return }
    if peer.isAuthenticating {
      peers[connection]?.isAuthenticating = false
      actions.append(.resume(connection))
    }
    switch result {
    case .failure(let error): close(connection, Self.closeCode(for: error.code))
    case .success(let caller):
      guard endedSessions[caller.session] == nil, goneDevices[caller.device] == nil else {
        return close(connection, .sessionEnded)
      }
      // A socket stays with whom it began.
      if let before = peer.caller, before.user != caller.user || before.device != caller.device {
        return close(connection, .tokenRejected)
      }
      peers[connection]?.caller = caller
      byDevice[caller.device, default: []].insert(connection)
      byUser[caller.user, default: []].insert(connection)
      actions.append(.send(.ready(device: caller.device, time: now), to: connection))
    }
  }

  private static func closeCode(for code: RelayCode) -> CloseCode {
    switch code {
    case .tokenExpired: .tokenExpired
    case .sessionEnded: .sessionEnded
    case .rateLimited: .tooManyConnections
    case .unavailable, .internalError: .goingAway
    default: .tokenRejected
    }
  }

  // MARK: Frames

  private mutating func received(_ frame: ClientFrame, from connection: Connection) {
    guard let peer = peers[connection] else { return }
    let wait = peers[connection]?.bucket.take(now: now)
    if case .authenticate(let token) = frame {
      guard !peer.isAuthenticating, wait == nil else { return close(connection, .protocolViolation) }
      peers[connection]?.isAuthenticating = true
      actions.append(.pause(connection))
      actions.append(.authenticate(connection, token: token))
      return
    }
    guard let caller = peer.caller else { return close(connection, .protocolViolation) }
    switch frame {
    case .authenticate: break
    case .follow(let requestID, let cursors):
      if let wait { return refuse(connection, requestID, .rateLimited, after: wait) }
      follow(connection, requestID, cursors)
    case .send(let requestID, let room, let request):
      if let wait { return refuse(connection, requestID, .rateLimited, after: wait) }
      guard request.kind.isSent, !request.message.bytes.isEmpty else {
        return refuse(connection, requestID, .invalidRequest)
      }
      let message = NewMessage(
        room: room, sender: caller.user, device: caller.device, request: request, now: now)
      actions.append(.append(connection, requestID: requestID, message))
      peers[connection]?.sendsInFlight += 1
      if peer.sendsInFlight + 1 >= bounds.sendsInFlight, !peer.isHeldBack {
        peers[connection]?.isHeldBack = true
        actions.append(.pause(connection))
      }
    }
  }

  private mutating func appended(
    _ connection: Connection, _ requestID: UInt32, _ result: Result<Appended, RelayError>
  ) {
    guard let peer = peers[connection] else { return }
    peers[connection]?.sendsInFlight -= 1
    if peer.isHeldBack, peer.sendsInFlight - 1 <= bounds.sendsInFlight / 2 {
      peers[connection]?.isHeldBack = false
      actions.append(.resume(connection))
    }
    switch result {
    case .success(let appended):
      actions.append(.send(.sent(requestID: requestID, appended.response), to: connection))
    case .failure(let error):
      refuse(connection, requestID, error.code, after: error.retryAfter.map { UInt64($0 * 1000) } ?? 0)
    }
  }

  mutating func refuse(_ connection: Connection, _ requestID: UInt32, _ code: RelayCode, after wait: UInt64 = 0) {
    let frame = RelayFrame.refused(
      requestID: requestID, code: code.number, retryAfterMilliseconds: UInt32(clamping: wait))
    actions.append(.send(frame, to: connection))
  }

  // MARK: Wakes and time

  private mutating func woken(_ wakes: [Wake]) {
    for wake in wakes { woken(wake) }
    // Everything that a room got in this event goes to its followers in one piece.
    for room in grown {
      feeds[room]?.flush(into: &output)
      if feeds[room]?.isEmpty == true { feeds[room] = nil }
    }
    grown.removeAll(keepingCapacity: true)
    take(output)
    output.removeAll(keepingCapacity: true)
  }

  private mutating func woken(_ wake: Wake) {
    switch wake {
    case .stored(let stored):
      let room = stored.entry.room
      guard let overflowing = feeds[room]?.add(stored, now: now, into: &output) else { return }
      if grown.last != room { grown.append(room) }
      for connection in overflowing { close(connection, .tooSlow) }
      // What comes too early shows that another node stored what precedes it.
      if bounds.isShared { lookFor(room, last: max(1, stored.entry.sequence) - 1) }
    case .grown(let room, let last): lookFor(room, last: last)
    case .doubted, .everything, .changed, .rumoured, .asks, .asked: break
    case .look(let subject, let devices):
      for device in devices {
        for connection in byDevice[device] ?? [] { actions.append(.send(.look(subject), to: connection)) }
      }
    case .tell(let frame, let users):
      for user in users {
        for connection in byUser[user] ?? [] { actions.append(.send(frame, to: connection)) }
      }
    case .sessionEnded(let session):
      endedSessions[session] = now
      for (connection, peer) in peers where peer.caller?.session == session { close(connection, .sessionEnded) }
    case .devicesGone(let devices):
      for device in devices {
        goneDevices[device] = now
        for connection in byDevice[device] ?? [] { close(connection, .sessionEnded) }
      }
    }
  }

  /// Has fetched what the room's log is known to hold and has not come.
  mutating func lookFor(_ room: RoomID, last: UInt64) {
    if let after = feeds[room]?.look(last, now: now) { actions.append(.fetch(room, after: after)) }
  }

  private mutating func tick() {
    for (connection, peer) in peers {
      if let caller = peer.caller {
        if caller.expires <= now { close(connection, .tokenExpired) }
      } else if peer.opened + bounds.authenticationTimeout <= now {
        close(connection, .tokenRejected)
      }
      if let since = peer.slowSince, since + bounds.slowness <= now { close(connection, .tooSlow) }
    }
    for (room, feed) in feeds {
      guard feed.next != nil, let since = feed.gapSince, since + bounds.gap <= now else { continue }
      if bounds.isShared, since + bounds.lostGap > now {
        if let after = feeds[room]?.lookAgain() { actions.append(.fetch(room, after: after)) }
      } else {
        rejoin(room)
      }
    }
    endedSessions = endedSessions.filter { $0.value + 60_000 > now }
    goneDevices = goneDevices.filter { $0.value + 60_000 > now }
  }

  // MARK: Ends

  mutating func close(_ connection: Connection, _ code: CloseCode) {
    guard peers[connection] != nil else { return }
    forget(connection)
    actions.append(.close(connection, code))
  }

  private mutating func forget(_ connection: Connection) {
    guard let peer = peers.removeValue(forKey: connection) else { return }
    for room in peer.rooms { leave(room, connection) }
    guard let caller = peer.caller else { return }
    byDevice[caller.device]?.remove(connection)
    if byDevice[caller.device]?.isEmpty == true { byDevice[caller.device] = nil }
    byUser[caller.user]?.remove(connection)
    if byUser[caller.user]?.isEmpty == true { byUser[caller.user] = nil }
  }

  mutating func leave(_ room: RoomID, _ connection: Connection) {
    feeds[room]?.leave(connection)
    if feeds[room]?.isEmpty == true { feeds[room] = nil }
  }

  mutating func take(_ output: [RoomFeed.Output]) {
    for item in output {
      switch item {
      case .broadcast(let entries, let connections): actions.append(.broadcast(entries, to: connections))
      case .push(let entries, let connection): actions.append(.push(entries, to: connection))
      }
    }
  }
}
