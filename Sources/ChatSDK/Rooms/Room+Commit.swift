import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

/// What somebody wants of a room; it is turned into a commit as often as others come first.
enum Intent: Sendable {
  case invite([Pin])
  case remove([UserID], ban: Bool)
  /// To change the state; the set is of those who are members.
  case change(@Sendable (inout RoomState, Set<UserID>) throws -> Void)
  /// To take a device of a member out and in again.
  case readd(Pin, DeviceID)
  case update
  /// To commit what others have proposed.
  case commitReceived
  /// To put a commit in the place of one that was refused.
  case replace
}

/// A commit that is to be made.
struct CommitPlan {
  var proposals: [Proposal]
  /// The state after it.
  var next: RoomState
  var forcesPath = false
  /// The lists by which leaves of revoked devices are taken out.
  var revocations: Revocations?
}

// One commit in flight per room. It is on disk before it leaves, and merged when the room's log shows it: whether the
// answer was lost, the process died or another commit came first, the log says which.
extension Room {
  static let maxAttempts = 20

  func perform(_ intent: Intent) async throws {
    try await exclusively {
      try requireGood(for: intent)
      var claims = Claims()
      for attempt in 0..<Self.maxAttempts {
        try await settlePending()
        if attempt == 0 { try await pullLog() }
        try requireGood(for: intent)
        guard let plan = try await plan(intent, &claims) else { break }
        let epoch = stored.epoch
        try await make(plan, for: intent)
        try await settlePending()
        if try isFulfilled(since: epoch) { break }
        guard attempt + 1 < Self.maxAttempts else { throw ChatError(.roomBusy) }
        // Others came first. They get some room, more with each try.
        let pause = Duration.milliseconds(20 * (attempt + 1)) * context.environment.random()
        try await context.environment.sleep(pause)
      }
      // Those with whom it worked are in; of the others the caller hears.
      if let failure = claims.failure { throw failure }
    }
  }

  private func requireGood(for intent: Intent) throws {
    if case .replace = intent, stored.health == .stopped, stored.refused != nil { return }
    try requireGood()
  }

  /// Whether the commit that was in flight is the one that was merged.
  private func isFulfilled(since epoch: UInt64) throws -> Bool { lastOwnEpoch == epoch }

  /// Finds out what became of the commit in flight, if there is one.
  ///
  /// - Throws: a network error; the commit then stays, and is settled at the next try with the same bytes.
  func settlePending() async throws {
    guard let own = pending else { return }
    var refusal: ChatError?
    do { _ = try await context.api.commit(try own.decodedRequest(), to: id) } catch let error as ChatError {
      guard error.relayCode != nil, !error.isRetryable else { throw error }
      refusal = error
    }
    try await pullLog()
    // The log has decided if it holds our commit or another one of this epoch.
    guard pending != nil else { return }
    guard let refusal, refusal.relayCode != .epochConflict else { throw ChatError(.protocolViolation) }
    try write { try $0.remove(.pendingCommit, id.bytes) }
    pending = nil
    throw refusal
  }

  /// Makes the commit and puts it on disk: it may leave from now on.
  func make(_ plan: CommitPlan, for intent: Intent) async throws {
    var counted: Set<UserID> = []
    // Asked before: nothing is waited for between spending a key and writing down that it is spent.
    if case .replace = intent { counted = Set(try await context.api.members(of: id).map(\.user)) }
    let box = try group()
    let before = try roomState()
    let members = box.group.members
    let leaves = members.compactMap { CommitClaim.Leaf($0) }
    var options = CommitOptions()
    options.forcesPath = plan.forcesPath
    options.paddedTo = 512
    options.authenticatedData = plan.revocations?.encoded ?? []
    options.makesGroupInfo = !plan.next.invites.isEmpty || members.count <= Self.doorMembers
    let commit: PendingCommit
    do {
      commit = try box.group.commit(plan.proposals, options: options, now: context.timestamp)
    } catch {
      self.box = nil
      throw ChatError(.internalError, detail: "the commit cannot be made: \(error.code)", underlying: error)
    }
    let effects = commit.effects
    let claim: CommitClaim
    do {
      claim = try CommitClaim(effects, authenticatedData: options.authenticatedData)
      let violation = RoomPolicy.check(claim, state: before, members: leaves, room: id, time: context.now)
      if let violation { throw violation }
    } catch {
      // What others would refuse is not sent. The key that it has spent is of no use to anybody.
      self.box = nil
      throw ChatError(.notPermitted, underlying: error)
    }
    let change = MembershipChange(before: Set(leaves.map(\.user)), claim, members: leaves)
    var changes = before.changes(to: plan.next, members: change.after)
    if before.role(of: claim.sender.user) < .admin {
      // A link that went with whoever came by it: at the relay only admins end links, and clients know that it is over.
      changes?.revoked = nil
    }
    var request = CommitRequest(
      sendID: .random(), epoch: box.group.epoch.rawValue, message: commit.message, welcome: commit.welcome,
      recipients: claim.added.map(\.device), added: change.added, removed: change.removed,
      changes: changes.flatMap { $0.isEmpty ? nil : $0 })
    if let groupInfo = commit.groupInfo {
      let key = try commit.export(label: SealedJoin.label, length: Door.keySize)
      let door = try Door(
        Door.Inside(groupInfo: groupInfo, key: key), state: plan.next, room: id, epoch: commit.epoch.rawValue)
      let sealed = door.encoded
      if sealed.count <= Limits.groupInfo { request.groupInfo = Base64URL(sealed) }
    }
    if case .replace = intent, let refused = stored.refused {
      // What the relay made of the refused commit is put right.
      request.instead = refused
      request.added = Array(change.after.subtracting(counted))
      request.removed = Array(counted.subtracting(change.after))
    }
    let record = try PendingRecord(
      room: id, request: request, state: commit.encodeState().withBytes { Array($0) })
    // Sealing it has spent a key of the handshake ratchet: both go to disk together, before anything leaves.
    try write { store in
      try save(box, wholeEpoch: false, in: store)
      try store.save(record)
    }
    pending = record
    lastOwnEpoch = nil
  }

  /// Up to this number of leaves a room leaves its state at the relay even without links, for devices that fall out of step;
  /// in larger ones they ask to be added anew.
  static let doorMembers = 500

  // MARK: Proposals of others

  /// Commits what leavers proposed, and takes out revoked devices: the first admin in the tree soon, others later if nobody
  /// has by then.
  func scheduleCommit() {
    let isWanted = (try? stored.health == .good ? hasWork() : stored.health == .stopped && mayReplace()) ?? false
    guard !isCommitScheduled, isWanted else { return }
    guard context.configuration.connection != .manual else { return }
    isCommitScheduled = true
    let pause = Turn.delay(rank: (try? rank()) ?? .max, random: context.environment.random())
    Task {
      try? await context.environment.sleep(pause)
      isCommitScheduled = false
      try? await commitReceived()
    }
  }

  /// Commits the proposals that wait, if there are any, and puts a good commit in the place of a refused one.
  func commitReceived() async throws {
    if stored.health == .stopped, try mayReplace() { return try await perform(.replace) }
    guard stored.health == .good, try hasWork() else { return }
    try await perform(.commitReceived)
  }

  private func mayReplace() throws -> Bool {
    guard stored.refused != nil, stored.mayReplace else { return false }
    return try roomState().role(of: try context.identity().user) >= .admin
  }

  /// Whether somebody waits to be taken out; of those whose proposal went under with its epoch, admins only.
  private func hasLeavers() throws -> Bool {
    if try group().group.hasPendingProposals { return true }
    guard !stored.leaving.isEmpty else { return false }
    let state = try roomState()
    let own = state.role(of: try context.identity().user)
    let users = Set(try credentials().map(\.user))
    return own >= .admin && stored.leaving.contains { users.contains($0) && state.role(of: $0) <= own }
  }

  private func hasWork() throws -> Bool { try hasLeavers() || !revokedLeaves().isEmpty }
}

extension SendID {
  static func random() -> SendID { SendID(high: Random.uint64(), low: Random.uint64()) }
}

extension LeafCheck.Verdict {
  var credential: DeviceCredential? { if case .valid(let credential) = self { credential } else { nil } }
}
