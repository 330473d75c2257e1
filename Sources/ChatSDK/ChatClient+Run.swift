import RelayProtocol

// Staying in touch with the relay: by socket, by long polls, or once.
extension ChatClient {
  /// Fetches what is new, answers it, sends what waits in the outbox, and returns.
  public func sync() async throws {
    try await chatErrors {
      try await catchUp()
      try await refillKeyPackages()
      try await refreshContacts()
      try await refreshProfiles()
      await tendRooms()
    }
  }

  /// Has rooms take out what a newer device list has revoked.
  func tendRooms() async {
    for room in Array(roomsByID.values) {
      if context.configuration.connection == .manual {
        // Whoever asked for something else is not told of this; the next look tries it again.
        try? await room.commitReceived()
      } else {
        await room.scheduleCommit()
      }
    }
  }

  /// Keeps the connection to the relay until the task is cancelled or the client closed.
  public func run() async throws {
    guard context.configuration.connection != .manual else { return }
    var backoff = Backoff()
    var polls = context.configuration.connection == .longPollOnly
    while !Task.isCancelled, !isClosed {
      guard await context.session.isAlive else {
        tell(.loggedOut)
        for await _ in nudges { break }
        continue
      }
      let started = context.now
      var least: Duration?
      do {
        tell(.connecting)
        if polls { try await pollOnce() } else { try await socketOnce() }
      } catch {
        let error = ChatError(wrapping: error)
        least = error.retryAfter
        if error == ChatError(.webSocketRefused), context.configuration.connection == .automatic {
          polls = true
          continue
        }
        if error.family == .login { try? await context.session.end() }
      }
      if Task.isCancelled || isClosed { break }
      tell(.offline)
      // A connection that held for a while was a good one.
      if context.now > started + 30_000 {
        backoff.reset()
        polls = context.configuration.connection == .longPollOnly
      }
      try? await context.environment.sleep(backoff.next(random: context.environment.random(), atLeast: least))
    }
  }

  private func tell(_ state: ConnectionState) { context.hub.tell([.connection(state)]) }

  // MARK: Catching up

  /// Welcomes, then every room whose log is ahead, then what waits here.
  func catchUp() async throws {
    try await takeWelcomes()
    // Taken before the question, so that a room made in between is not missed in the answer.
    let mine = Array(roomsByID.values)
    try await resumeJoins()
    let known = try await context.api.rooms()
    let byID = Dictionary(known.rooms.map { ($0.room, $0) }) { first, _ in first }
    for deleted in known.deleted ?? [] { try await takeDeletion(deleted) }
    var failure: ChatError?
    for room in mine where roomsByID[room.id] != nil {
      let health = await room.health
      guard let theirs = byID[room.id] else {
        if health != .left { try await room.lostMembership() }
        continue
      }
      do { try await room.catchUp(theirs) } catch let error as ChatError {
        let isOfAll = error.family == .network || error.family == .login || error.family == .rateLimited
        guard !isOfAll || error == ChatError(.protocolViolation) else { throw error }
        // What stands still in one room stands still there alone.
        if failure == nil { failure = error }
      }
    }
    // What others ask is answered as well as it goes, and again at the next look.
    try? await answerRequests()
    if let failure { throw failure }
  }

  /// Follows a room on the open socket, or has the long poll begin again with it.
  func follow(_ room: Room) async {
    poll?.cancel()
    guard let link = context.link else { return }
    try? await link.follow([await room.cursor])
  }

  // MARK: Socket

  private func socketOnce() async throws {
    let link = SocketLink(try await openSocket())
    defer { context.link = nil }
    do {
      try await withTaskCancellationHandler {
        try await live(on: link)
      } onCancel: {
        Task { await link.end() }
      }
      await link.end()
    } catch {
      await link.end()
      throw error
    }
    switch link.closeCode.map(CloseCode.remedy(for:)) ?? .reconnect {
    case .reconnect: throw ChatError(.relayUnreachable)
    case .refreshToken: await context.session.expire()
    case .logIn: throw ChatError(.sessionEnded)
    case .giveUp: throw ChatError(.protocolViolation)
    }
  }

  private func openSocket() async throws -> any RelaySocket {
    do { return try await context.api.openSocket() } catch let error as ChatError {
      guard error == ChatError(.webSocketRefused), error.socketStatus == 401 else { throw error }
      // The token, not the way: with a fresh one it may open.
      await context.session.expire()
      return try await context.api.openSocket()
    }
  }

  private func live(on link: SocketLink) async throws {
    guard case .ready? = try await link.next() else { throw ChatError(.relayUnreachable) }
    try await catchUp()
    context.link = link
    var cursors: [RoomCursor] = []
    for room in roomsByID.values where await room.health == .good { cursors.append(await room.cursor) }
    if !cursors.isEmpty { try await link.follow(cursors) }
    tell(.live)
    let upkeep = Task { try await self.upkeep() }
    let renewal = Task { try await self.renewToken(of: link) }
    defer {
      upkeep.cancel()
      renewal.cancel()
    }
    while let frame = try await link.next() { try await take(frame, link) }
  }

  /// What waits here goes out once the connection stands, beside what comes in.
  private func upkeep() async throws {
    for room in roomsByID.values { await room.flushOutbox() }
    try await refillKeyPackages()
    try await refreshContacts()
    try await refreshProfiles()
    await tendRooms()
  }

  /// Gives the socket a fresh token while the old one is good, so that the connection outlives it.
  private func renewToken(of link: SocketLink) async throws {
    while !Task.isCancelled {
      let remaining = await context.session.remaining
      try await context.environment.sleep(max(remaining / 2, .milliseconds(500)))
      await context.session.expire()
      try await link.authenticate(try await context.session.token(using: context.api))
    }
  }

  private func take(_ frame: RelayFrame, _ link: SocketLink) async throws {
    switch frame {
    case .entry(let entry):
      await roomsByID[entry.room]?.push(entry)
    case .following(_, let statuses):
      for status in statuses { await take(status, link) }
    case .behind(let room, _):
      guard let room = roomsByID[room] else { return }
      follow(room, from: link)
    case .look(.welcomes): run(.welcomes) { try await self.takeWelcomes() }
    case .look(.keyPackages): run(.keyPackages) { try await self.refillKeyPackages() }
    case .look(.rooms): run(.rooms) { try await self.catchUp() }
    case .look(.contacts): run(.contacts) { try await self.refreshContacts() }
    case .presence(let news): try take(news)
    case .profile(let user):
      run(.profile(user)) { [context] in
        _ = try? await Trust(context: context).fetch(user: user)
        await self.tendRooms()
      }
    case .refused(_, let code, _):
      // A follow was refused: without it nothing would come.
      throw ChatError(.relayUnreachable, detail: "frame refused with code \(code)")
    case .ready, .sent: break
    }
  }

  private func take(_ status: FollowStatus, _ link: SocketLink) async {
    guard let room = roomsByID[status.room] else { return }
    switch status.outcome {
    case .gone: try? await room.lostMembership()
    case .live:
      if await room.cursor.position.sequence < status.last.sequence { run(.log(room.id)) { try await room.pull() } }
    case .incarnationChanged: follow(room, from: link)
    }
  }

  /// Reads what the socket has not brought, and goes on with the socket from there: beside the frames of other rooms, which
  /// must not wait for it.
  private func follow(_ room: Room, from link: SocketLink) {
    run(.log(room.id)) {
      try? await room.pull()
      try await link.follow([await room.cursor])
    }
  }

  // MARK: Long polls

  private func pollOnce() async throws {
    try await catchUp()
    tell(.polling)
    for room in roomsByID.values { await room.flushOutbox() }
    try await refillKeyPackages()
    while !Task.isCancelled, !isClosed {
      var cursors: [RoomCursor] = []
      for room in roomsByID.values where await room.health == .good { cursors.append(await room.cursor) }
      let asked = cursors
      let seen = newestRequest
      let task = Task { try await context.api.poll(asked, wait: Limits.longPollSeconds - 5, requests: seen) }
      poll = task
      let answer: PollResponse
      do {
        answer = try await withTaskCancellationHandler {
          try await task.value
        } onCancel: {
          task.cancel()
        }
      } catch {
        // Cancelled because the rooms changed: ask again with the new ones.
        if task.isCancelled, !Task.isCancelled, !isClosed { continue }
        throw error
      }
      // A room may be gone because it was deleted: its list says which.
      if !answer.gone.isEmpty { try await catchUp() }
      for theirs in answer.ahead { try await roomsByID[theirs.room]?.catchUp(theirs) }
      if answer.welcomes > 0 { try await takeWelcomes() }
      if answer.requests ?? 0 > seen { try? await answerRequests() }
      // Polls are woken by rooms; whom one knows changes seldom, and is looked at with each.
      try await refreshContacts()
      try await refreshProfiles()
      await tendRooms()
    }
  }
}
