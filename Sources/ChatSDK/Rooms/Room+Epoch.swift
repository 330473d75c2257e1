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
    if let violation = RoomPolicy.check(proposal.proposal, from: proposal.sender, state: state) {
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
    if !stored.leaving.contains(credential.user) { stored.leaving.append(credential.user) }
    batch.events.append(.memberLeft(MemberChange(room: id, member: person, by: person)))
  }

  /// - Returns: `false` if identities are needed first.
  func take(
    _ commit: consuming ReceivedCommit, _ entry: LogEntry, _ box: GroupBox, in store: any StoreTransaction,
    asked: Set<UserID>, _ batch: inout Batch
  ) throws -> Bool {
    guard let state = RoomState.of(box.group.extensions) else { throw ChatError(.roomStopped) }
    let effects = commit.effects
    let claim: CommitClaim
    do throws(RoomPolicy.Violation) {
      claim = try CommitClaim(effects, authenticatedData: commit.authenticatedData)
      let leaves = box.group.members.compactMap { CommitClaim.Leaf($0) }
      let violation = RoomPolicy.check(claim, state: state, members: leaves, room: id, time: entry.time)
      if let violation { throw violation }
    } catch {
      let code: Finding.Code = error == .leafIdentity ? .invalidLeaf : .forbiddenCommit
      try stop(code, entry, error.rawValue, mayReplace: !error.mayBeVersionSkew, in: store, &batch)
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
      // The relay was asked for the newest list before this was said.
      try stop(.invalidLeaf, entry, "a leaf that is no device of its account", mayReplace: true, in: store, &batch)
      return true
    }
    do throws(MLSError) { try box.group.merge(consume commit) } catch {
      try stop(.invalidCommit, entry, "\(error.code)", mayReplace: false, mayReturn: true, in: store, &batch)
      return true
    }
    try entered(effects, claim, box, before: state, in: store, &batch)
    if pending != nil {
      // Another commit came first: its sender rebases, we rebase ours.
      try store.remove(.pendingCommit, id.bytes)
      pending = nil
    }
    return true
  }

  /// A commit is refused: the room stands still here, until another takes its place.
  func stop(
    _ code: Finding.Code, _ entry: LogEntry, _ detail: String, mayReplace: Bool, mayReturn: Bool = false,
    in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    stored.health = .stopped
    (stored.refused, stored.mayReplace, stored.mayReturn) = (entry.sequence, mayReplace, mayReturn)
    if pending != nil {
      // The relay gave the epoch to the other one: what waits here could only keep the way out shut.
      try store.remove(.pendingCommit, id.bytes)
      pending = nil
    }
    try note(code, entry, detail, in: store, &batch)
  }

  func pin(_ user: UserID, in store: any StoreTransaction) throws -> Pin? {
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
    let claim = try CommitClaim(effects, authenticatedData: [])
    try box.group.merge(consume commit)
    try entered(effects, claim, box, before: state, in: store, &batch)
    lastOwnEpoch = own.epoch
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
