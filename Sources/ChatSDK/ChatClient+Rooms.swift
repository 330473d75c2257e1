import CryptoPrimitives
import E2ECrypto
import RelayProtocol

// Making rooms, entering them, and the key packages that let others ask this device in.
extension ChatClient {
  func makeRoom(_ settings: RoomSettings) async throws -> Room {
    let identity = try context.identity()
    let state = RoomState(settings: settings, roles: [identity.user: .owner])
    let (id, box) = try makeGroup(state, identity)
    let request = CreateRoomRequest(room: id, joinRule: settings.joinPolicy.mirror)
    let response = try await context.api.createRoom(request)
    return try store(newRecord(id, name: settings.name, response.position, box), box)
  }

  private func makeGroup(_ state: RoomState, _ identity: Identity) throws -> (RoomID, GroupBox) {
    let id = RoomID(high: Random.uint64(), low: Random.uint64())
    let group = try Group.create(
      groupID: GroupID(id.bytes), suite: context.suite, identity: identity.client,
      capabilities: ClientContext.capabilities, extensions: state.extensions, lifetime: context.lifetime,
      policy: context.groupPolicy)
    return (id, GroupBox(group))
  }

  private func newRecord(_ id: RoomID, name: String, _ position: StreamPosition, _ box: GroupBox) -> RoomRecord {
    RoomRecord(
      room: id, name: name, memberCount: 1, epoch: 0, position: position,
      authenticator: box.group.epochAuthenticator.withBytes { Array($0) }, now: context.now)
  }

  // MARK: Rooms of two

  /// The room of this account and another: the one that there is, or a new one.
  ///
  /// - Throws: as ``Room/invite(_:)``; `roomBusy` if the other makes it at this moment: try again.
  public func directRoom(with username: String) async throws -> Room {
    try await chatErrors {
      let identity = try context.identity()
      let pin = try await Trust(context: context).fetch(username: username)
      guard pin.candidate == nil else { throw ChatError(.identityChanged, detail: pin.username) }
      guard pin.user != identity.user else { throw ChatError(.ownAccount) }
      if let known = await directRoom(with: pin.user) {
        // Its maker may have died before the other was in.
        try await known.perform(.invite([pin]))
        return known
      }
      let pair = RoomPair(identity.user, pin.user)
      let state = RoomState(
        settings: RoomSettings(name: ""), roles: [identity.user: .owner, pin.user: .owner], pair: pair)
      let (id, box) = try makeGroup(state, identity)
      let response = try await context.api.createRoom(CreateRoomRequest(room: id, direct: pin.user))
      guard response.room == id else { return try await awaitRoom(response.room, with: pin) }
      let room = try store(newRecord(id, name: pin.username, response.position, box), box)
      roomsByID[room.id] = room
      await follow(room)
      try await room.perform(.invite([pin]))
      return room
    }
  }

  private func directRoom(with user: UserID) async -> Room? {
    for room in roomsByID.values where await room.isDirect(with: user) { return room }
    return nil
  }

  /// The other was first: its Welcome is on the way.
  private func awaitRoom(_ id: RoomID, with pin: Pin) async throws -> Room {
    for attempt in 0..<20 {
      try await takeWelcomes()
      if let room = roomsByID[id], await room.health == .good { return room }
      try await context.environment.sleep(.milliseconds(50 * (attempt + 1)))
    }
    throw ChatError(.roomBusy, detail: "\(pin.username) has made the room and not brought this device in yet")
  }

  /// Puts a new room and its group on disk.
  func store(
    _ record: RoomRecord, _ box: GroupBox, also: (any StoreTransaction) throws -> Void = { _ in }
  ) throws -> Room {
    let saved = box.group.encodeState()
    try context.store.write { store in
      try store.save(record)
      try store.set(.groupEpoch, record.room.bytes, to: saved.epochPart.withBytes { Array($0) })
      try store.set(.groupMessage, record.room.bytes, to: saved.messagePart.withBytes { Array($0) })
      try store.remove(.pendingCommit, record.room.bytes)
      try also(store)
    }
    return try Room(record, context: context, box: nil)
  }

  // MARK: Welcomes

  /// Takes in the Welcomes that wait, each once.
  func takeWelcomes() async throws {
    await gate.enter()
    defer { gate.leave() }
    for waiting in try await context.api.welcomes() {
      do {
        if let room = try await join(waiting) {
          roomsByID[room.id] = room
          await follow(room)
          // What came after the Welcome.
          try? await room.pull()
        }
      } catch let error as ChatError {
        // A relay that does not answer says nothing about the Welcome: it is tried again.
        guard !error.isRetryable, error.family != .network, error.family != .login else { throw error }
        let finding = context.finding(.invalidWelcome, room: waiting.room, error.description)
        try context.store.write { try $0.add(finding) }
        context.hub.tell([.refused(finding)])
      }
      try await context.api.deleteWelcome(waiting.id)
    }
  }

  private func join(_ waiting: WelcomesResponse.Waiting) async throws -> Room? {
    let known = roomsByID[waiting.room]
    if let known {
      // Taken in before, and only the relay was not told.
      if await known.hasPassed(waiting.position) { return nil }
      // This device was removed since, and may not know it yet: what it can still read comes first.
      try? await known.pull()
    }
    let identity = try context.identity()
    let (bundle, found) = try opened(waiting.welcome.bytes, identity)
    // The key of last resort stays for a while, and would open the same Welcome to the same old keys again.
    guard !found.hasOpened(waiting.welcome.bytes) else {
      throw ChatError(.identityInvalid, detail: "a Welcome that was taken in before")
    }
    let pending: PendingJoin
    do {
      pending = try Group.join(
        welcome: waiting.welcome.bytes, keyPackage: bundle, identity: identity.client, policy: context.groupPolicy)
    } catch { throw ChatError(.identityInvalid, detail: "the Welcome breaks a rule: \(error.code)", underlying: error) }
    let effects = pending.effects
    guard effects.groupID.bytes == waiting.room.bytes else {
      throw ChatError(.identityInvalid, detail: "a Welcome for another room")
    }
    guard let state = RoomState.of(effects.extensions), state.extensions == effects.extensions else {
      throw ChatError(.identityInvalid, detail: "a room whose settings cannot be read")
    }
    let users = try await checkMembers(effects.members)
    guard let sender = LeafCheck.credential(of: effects.sender), state.mayInvite(sender.user, identity.user) else {
      throw ChatError(.identityInvalid, detail: "a Welcome from somebody who may not invite")
    }
    // Nobody from outside may put another group in the place of a room that works. Where this account was removed, it
    // was told so, and is told now who asks it back.
    guard await known?.wouldFollow(sender.user) ?? true else {
      throw ChatError(.identityInvalid, detail: "a Welcome to a known room from somebody who was not in it")
    }
    // Epochs only grow: older ones would bring back keys that are used up.
    if let known, effects.epoch.rawValue <= (await known.epoch) {
      throw ChatError(.identityInvalid, detail: "a Welcome to a known room's past")
    }
    let box = GroupBox(pending.adopt())
    var opener = found
    opener.open(waiting.welcome.bytes, now: context.now)
    let used = opener
    let record = RoomRecord(
      room: waiting.room, name: try name(of: state), memberCount: users.count, epoch: effects.epoch.rawValue,
      position: waiting.position, authenticator: box.group.epochAuthenticator.withBytes { Array($0) },
      now: context.now)
    let room = try store(record, box) { store in
      // Whoever has this key later must not read what the Welcome holds.
      if used.isLastResort { try store.save(used) } else { try store.remove(.keyPackage, used.reference) }
    }
    let by = try Trust(context: context).pin(of: sender.user)?.person
    context.hub.tell([.joined(RoomChange(room: room.id, name: record.name, by: by))])
    return room
  }

  /// The key package that a Welcome is for.
  private func opened(_ welcome: [UInt8], _ identity: Identity) throws -> (KeyPackageBundle, KeyPackageRecord) {
    for record in try context.store.read({ try $0.all(KeyPackageRecord.self) }) {
      let bundle = try KeyPackageBundle(restoring: Secret(copying: record.bundle))
      do {
        _ = try Group.join(welcome: welcome, keyPackage: bundle, identity: identity.client).effects.epoch
        return (bundle, record)
      } catch {
        if error.code == .notForUs { continue }
        // It is for this one: what is wrong with it is said by the caller.
        return (bundle, record)
      }
    }
    throw ChatError(.identityInvalid, detail: "a Welcome for no key package of this device")
  }

  /// Checks that each leaf is a device of its account (design, section 2), after asking the relay who they are.
  func checkMembers(_ members: [Member]) async throws -> Set<UserID> {
    let identity = try context.identity()
    let trust = Trust(context: context)
    let credentials = members.compactMap { LeafCheck.credential(of: $0) }
    guard credentials.count == members.count, LeafCheck.hasNoDoubles(credentials) else {
      throw ChatError(.identityInvalid, detail: "a room with a leaf that is no device of its account")
    }
    let users = Set(credentials.map(\.user))
    var pins: [UserID: Pin] = [:]
    // Of this account only if it has further devices there.
    let hasOthers = credentials.contains { $0.user == identity.user && $0.entry.device != identity.device.device }
    for user in users where user != identity.user || hasOthers { pins[user] = try await trust.fetch(user: user) }
    for member in members {
      guard let credential = LeafCheck.credential(of: member) else { continue }
      if credential.user == identity.user, credential.entry.device == identity.device.device {
        guard credential.entry == identity.device, credential.accountKey == identity.accountKey.publicKey else {
          throw ChatError(.identityInvalid, detail: "a device of this account that is not its own")
        }
        continue
      }
      guard LeafCheck.mayStand(member, pins: { pins[$0] }) else {
        throw ChatError(.identityInvalid, detail: "a room with a device that its account does not list")
      }
    }
    return users
  }

  /// What a room is called here: a room of two by the other's name.
  func name(of state: RoomState) throws -> String {
    guard let pair = state.pair, state.name.isEmpty else { return state.name }
    let other = pair.other(than: try context.identity().user)
    return try Trust(context: context).pin(of: other)?.username ?? "\(other)"
  }
}

extension RoomState {
  /// Whether a Welcome from this member is one that the room's rules allow.
  func mayInvite(_ sender: UserID, _ invited: UserID) -> Bool {
    guard pair.map({ $0.contains(sender) && $0.contains(invited) }) ?? true, !banned.contains(invited) else {
      return false
    }
    return role(of: sender) >= .admin || settings.joinPolicy == .open || sender == invited
  }
}
