import CryptoPrimitives
import E2ECrypto
public import RelayProtocol
import WireCodec

// Coming into rooms from outside, and letting others in who ask.
extension ChatClient {
  /// Joins the room that a link leads to, at once, whoever of it is online.
  ///
  /// - Throws: `inviteInvalid` if the link is not good, or not any more; `identityInvalid` if what the relay gives for it
  ///   does not hold together.
  public func join(_ link: InviteLink) async throws -> Room {
    try await chatErrors {
      for attempt in 0..<10 {
        let info = try await context.api.groupInfo(invite: link.secret.id)
        if let known = roomsByID[info.room] {
          // It may not know yet that this account was removed.
          do { try await known.pull() } catch let error as ChatError {
            guard error == ChatError(.notAMember) else { throw error }
          }
          if await known.health == .good { return known }
        }
        if let room = try await join(info, link.secret) { return room }
        // Others came first.
        try await context.environment.sleep(.milliseconds(20 * (attempt + 1)) * context.environment.random())
      }
      throw ChatError(.roomBusy)
    }
  }

  private func join(_ info: GroupInfoResponse, _ secret: InviteSecret) async throws -> Room? {
    let door = try Self.door(info)
    let inside = try door.open(secret, room: info.room, epoch: info.epoch)
    let entry = ExternalEntry(context: context, info: info, inside: inside)
    let (group, state) = try entry.read()
    let mine = state.invites[secret.id]
    guard mine?.verifying == secret.signingKey.publicKey, mine?.sealing == secret.sealingKey.publicKey else {
      throw ChatError(.inviteInvalid)
    }
    _ = try await checkMembers(group.members)
    let record = try entry.make(group, state, name: try name(of: state), invite: secret.id) { leaf throws in
      try JoinAuthority.invite(secret, leaf, room: info.room, epoch: info.epoch)
    }
    try context.store.write { try $0.save(record) }
    return try await finish(record)
  }

  static func door(_ info: GroupInfoResponse) throws -> Door {
    do { return try Door(decoding: info.groupInfo.bytes) } catch {
      throw ChatError(.identityInvalid, detail: "the room's state cannot be read", underlying: error)
    }
  }

  /// Sends an external commit that is on disk, and enters the room when the relay has it.
  ///
  /// - Returns: `nil` if another commit came first: nothing of this one remains then.
  private func finish(_ pending: PendingJoinRecord) async throws -> Room? {
    let request = try pending.decodedRequest()
    let response: SendResponse
    do { response = try await context.api.join(request, pending.room) } catch let error as ChatError {
      // Without an answer the same is sent again later, under the same id.
      guard error.relayCode != nil, !error.isRetryable else { throw error }
      try context.store.write { try $0.remove(.pendingJoin, pending.room.bytes) }
      if error.relayCode == .epochConflict { return nil }
      throw error
    }
    let record = try ExternalEntry.record(pending, context, at: response.position)
    let room = try Room(record.room, context: context)
    try context.store.write { try ExternalEntry.adopt(pending, record.room, in: $0) }
    roomsByID[room.id] = room
    await follow(room)
    context.hub.tell([.joined(RoomChange(room: room.id, name: pending.name, by: nil))])
    try? await room.pull()
    return room
  }

  /// Takes up external commits of which the answer did not come.
  func resumeJoins() async throws {
    for pending in try context.store.read({ try $0.all(PendingJoinRecord.self) }) {
      if let room = roomsByID[pending.room] {
        try? await room.finishReturn(pending)
      } else {
        _ = try? await finish(pending)
      }
    }
  }

  // MARK: Asking

  /// Asks to come into the room that a code belongs to.
  ///
  /// Whether there is one is not said: whoever admits sends a Welcome.
  ///
  /// - Throws: `invalidCode` if it cannot be a code; `rateLimited`.
  public func ask(code: String) async throws {
    try await chatErrors {
      guard let code = JoinCode.normalised(code) else { throw ChatError(.invalidCode) }
      try await context.api.ask(AskRequest(code: code))
    }
  }

  /// Asks to come into a room of the directory.
  public func ask(room: RoomID) async throws {
    try await chatErrors { try await context.api.ask(AskRequest(room: room)) }
  }

  /// Lets in who asks at open rooms, brings back members' devices, and tells of all others.
  func answerRequests() async throws {
    guard context.optionalIdentity != nil, await context.session.isAlive else { return }
    let newest = try await context.api.poll([], wait: 0).requests ?? 0
    guard newest > newestRequest else { return }
    for room in Array(roomsByID.values) {
      let waiting = try await room.answerRequests()
      let fresh = waiting.filter { toldRequests.insert($0).inserted }
      context.hub.tell(fresh.map { .joinRequested($0) })
    }
    newestRequest = newest
  }

  // MARK: Deletion

  /// The relay says that a room's owner has deleted it: believed, if the owner signed it.
  func takeDeletion(_ deleted: RoomsResponse.Deleted) async throws {
    guard let room = roomsByID[deleted.room] else { return }
    guard let by = try await room.owner(provenBy: deleted.proof.bytes) else {
      try await room.lostMembership()
      let finding = context.finding(
        .deletionUnproven, room: room.id, "the relay cannot show that an owner deleted the room")
      try context.store.write { try $0.add(finding) }
      context.hub.tell([.relayMismatch(finding)])
      roomsByID[room.id] = room
      return
    }
    let name = await room.name
    try await room.erase()
    roomsByID[room.id] = nil
    context.hub.tell([.roomDeleted(RoomChange(room: room.id, name: name, by: by))])
  }

  /// Deletes a room for all: its messages, keys and ways in are erased at the relay, and on every member's devices.
  ///
  /// - Throws: `notPermitted` unless this account is an owner.
  public func delete(_ room: Room) async throws {
    try await chatErrors {
      let (proof, name) = (try await room.deletionProof(), await room.name)
      try await context.api.deleteRoom(room.id, proof: proof)
      try await room.erase()
      roomsByID[room.id] = nil
      let by = try context.identity().person
      context.hub.tell([.roomDeleted(RoomChange(room: room.id, name: name, by: by))])
    }
  }

  // MARK: Directory

  /// Rooms that their owners show to everybody, by name.
  ///
  /// - Parameter after: ``PublicRooms/next`` of the page before.
  public func searchRooms(_ name: String = "", after: String? = nil, limit: Int = 50) async throws -> PublicRooms {
    try await chatErrors {
      let page = try await context.api.directory(name: name, after: after, limit: limit)
      return PublicRooms(
        rooms: page.rooms.map {
          PublicRoom(
            id: $0.room, name: $0.name, topic: $0.topic, memberCount: $0.members,
            joinPolicy: JoinPolicy(rawValue: $0.joinRule.rawValue) ?? .closed)
        },
        // A page that leads nowhere is the last one.
        next: page.rooms.isEmpty ? nil : page.next)
    }
  }
}
