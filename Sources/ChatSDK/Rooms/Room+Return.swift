import E2ECrypto
import RelayProtocol

// Coming back into a room that this device fell out of step with: nothing is lost but what was said meanwhile.
extension Room {
  /// Comes back by itself, or else asks to be added anew.
  func comeBack() async throws {
    do { try await reenter() } catch let error as ChatError {
      guard error.family != .network, error.family != .login else { throw error }
      guard !hasAskedBack else { return }
      hasAskedBack = true
      try await context.api.askBack(id)
    }
  }

  /// An external commit under the room's re-entry secret.
  ///
  /// - Throws: `identityInvalid` unless the room's state at the relay is vouched for by somebody who was an admin when
  ///   this device was last in step.
  func reenter() async throws {
    try await exclusively {
      let before = try roomState()
      let identity = try context.identity()
      for _ in 0..<5 {
        let info = try await context.api.groupInfo(of: id)
        guard info.epoch > stored.epoch else { return }
        let door = try ChatClient.door(info)
        let inside = try door.open(reentry: before.reentrySecret, room: id, epoch: info.epoch)
        let entry = ExternalEntry(context: context, info: info, inside: inside)
        let (group, state) = try entry.read()
        let signer = LeafCheck.credential(of: group.signer)?.user
        guard let signer, before.role(of: signer) >= .admin else {
          throw ChatError(.identityInvalid, detail: "nobody who may has vouched for the room's state")
        }
        try await checkReturn(to: group, identity)
        let leaves = group.members.compactMap { CommitClaim.Leaf($0) }
        let own = leaves.first { $0.user == identity.user && $0.device == identity.device.device }
        guard let own else { throw ChatError(.notAMember) }
        let record = try entry.make(group, state, name: stored.name, invite: own.invite) { leaf in
          JoinAuthority.reentry(state.reentrySecret, leaf, room: id, epoch: info.epoch)
        }
        try write { try $0.save(record) }
        if try await settleReturn(record) { return }
      }
      throw ChatError(.roomBusy)
    }
  }

  /// Checks that each leaf is a device of its account.
  private func checkReturn(to group: PublicGroup, _ identity: Identity) async throws {
    let trust = Trust(context: context)
    let credentials = group.members.compactMap { LeafCheck.credential(of: $0) }
    guard credentials.count == group.members.count, LeafCheck.hasNoDoubles(credentials) else {
      throw ChatError(.identityInvalid, detail: "a room with a leaf that is no device of its account")
    }
    for user in Set(credentials.map(\.user)) { try await trust.fetch(user: user) }
    let isValid = try context.store.read { store in
      group.members.allSatisfy { member in LeafCheck.mayStand(member) { try? pin($0, in: store) } }
    }
    guard isValid else {
      throw ChatError(.identityInvalid, detail: "a room with a device that its account does not list")
    }
  }

  /// - Returns: `false` if another commit came first.
  private func settleReturn(_ pending: PendingJoinRecord) async throws -> Bool {
    let response: SendResponse
    do { response = try await context.api.join(try pending.decodedRequest(), id) } catch let error as ChatError {
      guard error.relayCode != nil, !error.isRetryable else { throw error }
      try write { try $0.remove(.pendingJoin, id.bytes) }
      if error.relayCode == .epochConflict { return false }
      throw error
    }
    var (next, fresh) = try ExternalEntry.record(pending, context, at: response.position)
    (next.lastRead, next.lastActivity) = (stored.lastRead, stored.lastActivity)
    try write { try ExternalEntry.adopt(pending, next, in: $0) }
    stored = next
    box = fresh
    self.pending = nil
    lastOwnEpoch = nil
    hasAskedBack = false
    machine = SyncMachine(position: next.position)
    let by = try? context.identity().person
    context.hub.tell([.roomResumed(RoomChange(room: id, name: stored.name, by: by))])
    return true
  }

  /// The same after a restart.
  func finishReturn(_ pending: PendingJoinRecord) async throws {
    try await exclusively { _ = try await settleReturn(pending) }
  }

  // MARK: Others who come back, and those who ask to come in

  /// Answers the requests that this account may answer without a person; returns the others.
  func answerRequests() async throws -> [JoinRequested] {
    guard stored.health == .good else { return [] }
    let (state, own) = (try roomState(), try context.identity().user)
    guard state.role(of: own) >= .admin || state.settings.joinPolicy == .open else { return [] }
    let members = Set(try credentials().map(\.user))
    var waiting: [JoinRequested] = []
    for asking in try await context.api.requests(in: id) where asking.user != own {
      if let device = asking.device {
        guard members.contains(asking.user) else { continue }
        try? await readmit(asking.user, device)
      } else if state.settings.joinPolicy == .open, !state.banned.contains(asking.user) {
        try? await perform(.invite([try await Trust(context: context).fetch(user: asking.user)]))
      } else if !members.contains(asking.user), !state.banned.contains(asking.user) {
        waiting.append(
          JoinRequested(
            room: id, person: Person(id: asking.user, username: asking.username),
            since: Moment(millisecondsSince1970: asking.since), isReturn: false))
      }
    }
    return waiting
  }

  private func readmit(_ user: UserID, _ device: DeviceID) async throws {
    let pin = try await Trust(context: context).fetch(user: user)
    guard pin.candidate == nil, pin.list.list.devices.contains(where: { $0.device == device }) else { return }
    try await perform(.readd(pin, device))
  }

  /// Who asks to come in, and may be admitted or refused by this account.
  public func requests() async throws -> [JoinRequested] {
    try await chatErrors {
      try requireGood()
      return try await answerRequests()
    }
  }

  /// Lets somebody in who asks.
  ///
  /// - Throws: `noSuchRequest` unless they ask; otherwise as ``invite(_:)``.
  public func admit(_ username: String) async throws {
    try await chatErrors {
      let request = try await request(of: username)
      let pin = try await Trust(context: context).fetch(user: request.person.id)
      guard pin.candidate == nil, pin.username == username.lowercased() else {
        throw ChatError(.identityChanged, detail: pin.username)
      }
      try await perform(.invite([pin]))
    }
  }

  /// Forgets somebody's request. They are not told.
  public func refuse(_ username: String) async throws {
    try await chatErrors {
      try await context.api.refuseRequest(of: try await request(of: username).person.id, in: id)
    }
  }

  private func request(of username: String) async throws -> JoinRequested {
    let found = try await requests().first { $0.person.username == username.lowercased() }
    guard let found else { throw ChatError(.noSuchRequest, detail: username) }
    return found
  }
}
