import E2ECrypto
import RelayProtocol

// What a new epoch has changed, for the record and for whoever listens: nothing about membership is silent.
extension Room {
  func entered(
    _ effects: CommitEffects, _ claim: CommitClaim, _ box: GroupBox, before: RoomState,
    in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    batch.isGroupChanged = true
    batch.isEpochNew = true
    let by = try person(claim.sender.user, in: store)
    if effects.removesSelf {
      (stored.health, stored.mayReturn) = (.left, false)
      batch.events.append(.removedFromRoom(RoomChange(room: id, name: stored.name, by: by)))
      return
    }
    let after = Set(try credentials().map(\.user))
    stored.epoch = box.group.epoch.rawValue
    stored.memberCount = UInt32(clamping: after.count)
    stored.leaving.removeAll { !after.contains($0) }
    if stored.health == .stopped {
      stored.health = .good
      (stored.refused, stored.mayReplace, stored.mayReturn) = (nil, false, false)
      batch.events.append(.roomResumed(RoomChange(room: id, name: stored.name, by: by)))
    }
    try tellMembers(claim, by, after: after, in: store, &batch)
    if let next = claim.next { try tellState(from: before, to: next, by, after: after, in: store, &batch) }
  }

  private func tellMembers(
    _ claim: CommitClaim, _ by: Person, after: Set<UserID>, in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    let goneLeaves = Set(claim.removed + claim.left)
    let staying = Set(try group(in: store).group.members.compactMap { CommitClaim.Leaf($0) })
      .subtracting(claim.added).map(\.user)
    let before = Set(staying).union(goneLeaves.map(\.user))
    for user in Self.users(claim.added) {
      let change = MemberChange(room: id, member: try person(user, in: store), by: by)
      if before.contains(user) {
        batch.events.append(.deviceEntered(change))
      } else if claim.authority != nil {
        batch.events.append(.memberJoined(change))
      } else {
        batch.events.append(.memberAdded(change))
      }
    }
    let left = Set(claim.left.map(\.user)).union(claim.removed.map(\.user).filter { stored.leaving.contains($0) })
    for user in Self.users(claim.removed + claim.left) {
      let change = MemberChange(room: id, member: try person(user, in: store), by: by)
      if after.contains(user) {
        if !claim.added.contains(where: { $0.user == user }) { batch.events.append(.deviceRemoved(change)) }
      } else if !left.contains(user) {
        // Who left by itself was told of when it did.
        batch.events.append(.memberRemoved(change))
      }
    }
  }

  private func tellState(
    from before: RoomState, to next: RoomState, _ by: Person, after: Set<UserID>, in store: any StoreTransaction,
    _ batch: inout Batch
  ) throws {
    stored.name = try displayName(next, in: store)
    for user in Set(before.roles.keys).union(next.roles.keys).sorted(by: { $0.low < $1.low })
    where after.contains(user) && before.role(of: user) != next.role(of: user) {
      let member = try person(user, in: store)
      batch.events.append(.roleChanged(RoleChange(room: id, member: member, role: next.role(of: user), by: by)))
    }
    for user in next.banned.subtracting(before.banned) {
      batch.events.append(.memberBanned(MemberChange(room: id, member: try person(user, in: store), by: by)))
    }
    for user in before.banned.subtracting(next.banned) {
      batch.events.append(.memberUnbanned(MemberChange(room: id, member: try person(user, in: store), by: by)))
    }
    let changed = before.changedSettings(to: next)
    if changed.contains(.name) {
      batch.events.append(.roomRenamed(RoomChange(room: id, name: stored.name, by: by)))
    }
    let others = changed.subtracting([.name])
    guard !others.isEmpty else { return }
    batch.events.append(
      .settingsChanged(SettingsChange(room: id, settings: next.settings, changed: others, by: by)))
  }

  /// What the room is called here: a room of two by the other's name.
  func displayName(_ state: RoomState, in store: any StoreTransaction) throws -> String {
    guard let pair = state.pair, state.name.isEmpty else { return state.name }
    return try person(pair.other(than: try context.identity().user), in: store).username
  }

  private static func users(_ leaves: [CommitClaim.Leaf]) -> [UserID] {
    var seen: Set<UserID> = []
    return leaves.map(\.user).filter { seen.insert($0).inserted }
  }
}

extension RoomState {
  func changedSettings(to next: RoomState) -> Set<RoomSetting> {
    var changed: Set<RoomSetting> = []
    let (old, new) = (settings, next.settings)
    if old.name != new.name { changed.insert(.name) }
    if old.topic != new.topic { changed.insert(.topic) }
    if old.avatar != new.avatar { changed.insert(.avatar) }
    if old.joinPolicy != new.joinPolicy { changed.insert(.joinPolicy) }
    if old.retention != new.retention { changed.insert(.retention) }
    if old.disappearing != new.disappearing { changed.insert(.disappearing) }
    if old.history != new.history { changed.insert(.history) }
    if invites != next.invites { changed.insert(.invites) }
    return changed
  }
}
