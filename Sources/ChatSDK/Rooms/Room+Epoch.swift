import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

// Proposals and commits of others, and own commits that the log brings back.
extension Room {
  func take(
    _ proposal: ReceivedProposal, _ entry: LogEntry, _ box: GroupBox, in store: any StoreTransaction,
    _ batch: inout Batch
  ) throws {
    guard let state = RoomState.of(box.group.extensions) else { throw ChatError(.roomStopped) }
    let violation = RoomPolicy.check(
      proposal.proposal, from: proposal.sender, removed: { box.group.member(at: $0) }, state: state)
    if let violation {
      try note(.forbiddenCommit, entry, "proposed: \(violation.rawValue)", in: store, &batch)
      // The group has it in its list now. Forget that, so that no commit of ours covers it.
      self.box = try load(from: store)
      return
    }
    batch.isGroupChanged = true
    guard case .remove(let leaf) = proposal.proposal, let member = box.group.member(at: leaf),
      let credential = LeafCheck.credential(of: member)
    else { return }
    let person = try person(credential.user, in: store)
    batch.events.append(.memberLeft(MemberChange(room: id, member: person, by: person)))
  }

  /// - Returns: `false` if identities are needed first.
  func take(
    _ commit: consuming ReceivedCommit, _ entry: LogEntry, _ box: GroupBox, in store: any StoreTransaction,
    asked: Set<UserID>, _ batch: inout Batch
  ) throws -> Bool {
    guard let state = RoomState.of(box.group.extensions) else { throw ChatError(.roomStopped) }
    let effects = commit.effects
    if let violation = RoomPolicy.check(effects, state: state) {
      stored.health = .stopped
      try note(.forbiddenCommit, entry, violation.rawValue, in: store, &batch)
      return true
    }
    let verdicts = effects.added.map { member in
      LeafCheck.check(member.credential, signatureKey: member.signatureKey) { try? pin($0, in: store) }
    }
    // Whoever is new here, or newer than what is known, is looked up before a word is said against it.
    let wanted = verdicts.compactMap(\.user).filter { !asked.contains($0) }
    if !wanted.isEmpty {
      batch.wanted = Set(wanted)
      return false
    }
    let removed = Set(effects.removed.map(\.leafIndex))
    let staying = box.group.members.filter { !removed.contains($0.leafIndex) }
    let tree = (staying + effects.added).compactMap { LeafCheck.credential(of: $0) }
    guard verdicts.allSatisfy(\.isValid), LeafCheck.hasNoDoubles(tree) else {
      stored.health = .stopped
      try note(.invalidLeaf, entry, "a leaf that is no device of its account", in: store, &batch)
      return true
    }
    do throws(MLSError) { try box.group.merge(consume commit) } catch {
      stored.health = .stopped
      try note(.invalidCommit, entry, "\(error.code)", in: store, &batch)
      return true
    }
    try entered(effects, box, before: state, in: store, &batch)
    if pending != nil {
      // Another commit came first: its sender rebases, we rebase ours.
      try store.remove(.pendingCommit, id.bytes)
      pending = nil
    }
    return true
  }

  private func pin(_ user: UserID, in store: any StoreTransaction) throws -> Pin? {
    let own = try context.identity()
    guard user == own.user else { return try store.decode(Pin.self, user.bytes) }
    guard let record = try store.decode(AccountRecord.self, AccountRecord.key) else { return nil }
    return Pin(username: own.username, list: try SignedDeviceList(stored: record.deviceList))
  }

  /// The relay has accepted a commit of ours.
  func mergeOwn(_ own: PendingRecord, in store: any StoreTransaction, _ batch: inout Batch) throws {
    let box = try group(in: store)
    guard let state = RoomState.of(box.group.extensions) else { throw ChatError(.roomStopped) }
    try store.remove(.pendingCommit, id.bytes)
    pending = nil
    let commit = try PendingCommit(restoring: Secret(copying: own.state))
    let effects = commit.effects
    try box.group.merge(consume commit)
    try entered(effects, box, before: state, in: store, &batch)
    lastOwnEpoch = own.epoch
  }

  /// A new epoch has begun: what it changed, for the record and for whoever listens.
  private func entered(
    _ effects: CommitEffects, _ box: GroupBox, before: RoomState, in store: any StoreTransaction,
    _ batch: inout Batch
  ) throws {
    batch.isGroupChanged = true
    batch.isEpochNew = true
    let by = try LeafCheck.user(of: effects.sender.credential).map { try person($0, in: store) }
    if effects.removesSelf {
      stored.health = .left
      batch.events.append(.removedFromRoom(RoomChange(room: id, name: stored.name, by: by)))
      return
    }
    let after = Set(try credentials().map(\.user))
    stored.epoch = box.group.epoch.rawValue
    stored.memberCount = UInt32(clamping: after.count)
    let left = Set(effects.proposals.compactMap { leaver($0, effects) })
    let unknown = Person(id: UserID(high: 0, low: 0), username: "?")
    for user in Self.users(effects.added) {
      let change = MemberChange(room: id, member: try person(user, in: store), by: by ?? unknown)
      batch.events.append(.memberAdded(change))
    }
    // Who left by itself was told of when it did.
    for user in Self.users(effects.removed) where !after.contains(user) && !left.contains(user) {
      let change = MemberChange(room: id, member: try person(user, in: store), by: by ?? unknown)
      batch.events.append(.memberRemoved(change))
    }
    guard effects.extensionsChanged != nil, let state = RoomState.of(box.group.extensions) else { return }
    stored.name = state.name
    let change = RoomChange(room: id, name: state.name, by: by)
    if state.name != before.name { batch.events.append(.roomRenamed(change)) }
    if state.roles != before.roles { batch.events.append(.rolesChanged(change)) }
  }

  private static func users(_ members: [Member]) -> [UserID] {
    var seen: Set<UserID> = []
    return members.compactMap { LeafCheck.credential(of: $0)?.user }.filter { seen.insert($0).inserted }
  }

  private func leaver(_ item: CommitEffects.Item, _ effects: CommitEffects) -> UserID? {
    guard case .remove(let leaf) = item.proposal, case .member(let sender) = item.sender, sender.leafIndex == leaf
    else { return nil }
    return LeafCheck.credential(of: sender)?.user
  }
}

extension LeafCheck {
  /// The user of a credential whose leaf was checked before.
  static func user(of credential: Credential) -> UserID? {
    credential.identity.flatMap { try? DeviceCredential(decoding: $0) }?.user
  }
}

extension LeafCheck.Verdict {
  var isValid: Bool { if case .valid = self { true } else { false } }

  /// Whom to look up before the verdict stands.
  var user: UserID? {
    switch self {
    case .valid, .forged: nil
    case .otherIdentity(let user), .notListed(let user), .unknown(let user): user
    }
  }
}
