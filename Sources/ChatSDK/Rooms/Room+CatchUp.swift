import E2ECrypto
import RelayProtocol

// Coming to where the relay says that the room is.
extension Room {
  var cursor: RoomCursor { RoomCursor(room: id, position: machine.position) }

  /// Brings the room up to where the relay says it is, settles what was in flight, and sends what waits.
  func catchUp(_ theirs: RoomResponse) async throws {
    if stored.health == .left {
      // The relay counts this account in again. Where a commit or the account itself ended the membership, only a new
      // Welcome can say more; where the relay alone said so, it may have followed a commit that was replaced since.
      guard stored.mayReturn, try await resume(theirs) else { return }
    }
    let isBehind = theirs.position != machine.position
    do {
      if isBehind { try await pull() }
      if pending != nil { try await exclusively { try await settlePending() } }
    } catch let error as ChatError {
      // A commit that the relay refuses for good was somebody's wish, and is not the room's end.
      guard error.relayCode != nil, !error.isRetryable else { throw error }
      let finding = context.finding(.notSent, room: id, "a change was refused: \(error.code)")
      try context.store.write { try $0.add(finding) }
      context.hub.tell([.refused(finding)])
    }
    if stored.health == .good, theirs.epoch > stored.epoch, theirs.position == machine.position, !isBehind {
      // The whole log is read, and still the room is further: the missing step cannot be found in it.
      try? await comeBack()
    } else if stored.health == .stopped, stored.mayReturn {
      try? await comeBack()
    }
    if context.configuration.connection == .manual {
      try? await commitReceived()
      await flushOutbox()
    }
    scheduleCommit()
    if stored.health == .good, comparedEpoch != stored.epoch { try await compareMembers() }
  }

  /// Goes on in a room that only the relay's word had ended.
  ///
  /// - Returns: `false` if the room's members have gone on without this device.
  private func resume(_ theirs: RoomResponse) async throws -> Bool {
    guard theirs.epoch == stored.epoch, stored.refused == nil else {
      // What was said meanwhile is not for this device, so that it comes in from outside.
      try? await reenter()
      return stored.health == .good
    }
    var next = stored
    (next.health, next.mayReturn) = (.good, false)
    try write { try $0.save(next) }
    stored = next
    // Believed once the log is shown too.
    try? await pull()
    guard stored.health == .good else { return false }
    context.hub.tell([.roomResumed(RoomChange(room: id, name: stored.name, by: nil))])
    return true
  }

  /// Whether the log was taken in up to there, as a member.
  func hasPassed(_ position: StreamPosition) -> Bool {
    stored.health == .good && stored.position.incarnation == position.incarnation
      && stored.position.sequence >= position.sequence
  }

  /// Whether a Welcome of this user may take the place of the group.
  func wouldFollow(_ user: UserID) -> Bool {
    guard stored.health == .good, let credentials = try? credentials() else { return true }
    return credentials.contains { $0.user == user }
  }

  /// Compares the relay's list of members with the group's, which counts.
  func compareMembers() async throws {
    for _ in 0..<2 {
      guard stored.health == .good, try !group().group.hasPendingProposals else { return }
      let epoch = stored.epoch
      let listed = try await context.api.members(of: id)
      let theirs = Set(listed.map(\.user))
      // A change may have come while the relay was asked.
      try await pull()
      guard stored.health == .good, stored.epoch == epoch, try !group().group.hasPendingProposals else { continue }
      comparedEpoch = epoch
      let ours = Set(try credentials().map(\.user))
      try compareRoles(listed)
      guard theirs != ours else { return }
      let (more, fewer) = (theirs.subtracting(ours).count, ours.subtracting(theirs).count)
      let finding = context.finding(
        .membersDiffer, room: id, "the relay's list has \(more) more and lacks \(fewer) of the group's members")
      try context.store.write { try $0.add(finding) }
      context.hub.tell([.relayMismatch(finding)])
      return
    }
  }

  /// Compares the roles that the relay goes by with the room's own, by which everybody else goes.
  private func compareRoles(_ listed: [MembersResponse.Member]) throws {
    let state = try roomState()
    guard state.pair == nil else { return }
    let others = listed.count { member in member.role.map { $0 != state.role(of: member.user).mirror } ?? false }
    guard others > 0 else { return }
    let finding = context.finding(
      .rulesDiffer, room: id, "the relay has \(others) members in another role than the room's")
    try context.store.write { try $0.add(finding) }
    context.hub.tell([.relayMismatch(finding)])
  }
}
