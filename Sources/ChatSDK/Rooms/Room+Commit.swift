import CryptoPrimitives
import E2ECrypto
import RelayProtocol

/// What somebody wants of a room; it is turned into a commit as often as others come first.
enum Intent: Sendable {
  case invite([Pin])
  case remove([UserID])
  case rename(String)
  case role(UserID, Role)
  case update
  /// To commit what others have proposed.
  case commitReceived
}

// One commit in flight per room. It is on disk before it leaves, and merged when the room's log shows it: whether the
// answer was lost, the process died or another commit came first, the log says which.
extension Room {
  static let maxAttempts = 20

  func perform(_ intent: Intent) async throws {
    try await exclusively {
      try requireGood()
      var claimed: [UserID: [KeyPackage]] = [:]
      for attempt in 0..<Self.maxAttempts {
        try await settlePending()
        if attempt == 0 { try await pullLog() }
        try requireGood()
        guard let proposals = try await plan(intent, &claimed) else { return }
        let epoch = stored.epoch
        try make(proposals, forcesPath: { if case .update = intent { true } else { false } }())
        try await settlePending()
        if try isFulfilled(since: epoch) { return }
        // Others came first. They get some room, more with each try.
        let pause = Duration.milliseconds(20 * (attempt + 1)) * context.environment.random()
        try await context.environment.sleep(pause)
      }
      throw ChatError(.roomBusy)
    }
  }

  /// Whether the commit that was in flight is the one that was merged.
  private func isFulfilled(since epoch: UInt64) throws -> Bool { lastOwnEpoch == epoch }

  /// Finds out what became of the commit in flight, if there is one.
  ///
  /// - Throws: a network error; the commit then stays, and is settled at the next try with the same bytes.
  func settlePending() async throws {
    guard let own = pending else { return }
    var refusal: ChatError?
    do { _ = try await context.api.commit(own.request, to: id) } catch let error as ChatError {
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

  /// The proposals that the intent still needs, or `nil` if it is fulfilled.
  private func plan(_ intent: Intent, _ claimed: inout [UserID: [KeyPackage]]) async throws -> [Proposal]? {
    let state = try roomState()
    let own = try context.identity().user
    let members = Set(try credentials().map(\.user))
    func require(_ role: Role) throws {
      guard state.role(of: own) >= role else { throw ChatError(.notPermitted) }
    }
    switch intent {
    case .invite(let pins):
      try require(.admin)
      let missing = pins.filter { !members.contains($0.user) }
      for pin in missing where claimed[pin.user] == nil { claimed[pin.user] = try await claim(pin) }
      let packages = missing.flatMap { claimed[$0.user] ?? [] }
      return packages.isEmpty ? nil : packages.map { .add($0) }
    case .remove(let users):
      try require(.admin)
      let present = users.filter { members.contains($0) }
      guard present.allSatisfy({ $0 != own && state.role(of: $0) <= state.role(of: own) }) else {
        throw ChatError(.notPermitted)
      }
      return present.isEmpty ? nil : try removals(of: Set(present), state)
    case .rename(let name):
      try require(.admin)
      guard state.name != name else { return nil }
      return [.groupContextExtensions(RoomState(name: name, roles: state.roles).extensions)]
    case .role(let user, let role):
      try require(.owner)
      guard members.contains(user), state.role(of: user) != role else { return nil }
      var roles = state.roles
      roles[user] = role
      return [.groupContextExtensions(RoomState(name: state.name, roles: roles).extensions)]
    case .update: return []
    case .commitReceived: return try group().group.hasPendingProposals ? [] : nil
    }
  }

  /// The removal of all leaves of users. Their roles go too where they had any, so that coming back brings none back.
  private func removals(of users: Set<UserID>, _ state: RoomState) throws -> [Proposal] {
    let leaves = try group().group.members.filter { member in
      LeafCheck.credential(of: member).map { users.contains($0.user) } ?? false
    }
    var proposals = leaves.map { Proposal.remove($0.leafIndex) }
    let roles = state.roles.filter { !users.contains($0.key) }
    if roles != state.roles, state.role(of: try context.identity().user) == .owner {
      proposals.append(.groupContextExtensions(RoomState(name: state.name, roles: roles).extensions))
    }
    return proposals
  }

  /// A key package of each device of a user, each proved to be that user's.
  private func claim(_ pin: Pin) async throws -> [KeyPackage] {
    let response = try await context.api.claimKeyPackages(of: pin.user)
    guard response.user == pin.user, !response.claimed.isEmpty else {
      throw ChatError(.noKeyPackage, detail: pin.username)
    }
    let suite = try group().group.suite
    var packages: [KeyPackage] = []
    for item in response.claimed {
      let package = try? KeyPackage(message: item.keyPackage.bytes)
      let credential = package.map { $0.leafNode }.flatMap {
        LeafCheck.check($0.credential, signatureKey: $0.signatureKey) { $0 == pin.user ? pin : nil }.credential
      }
      guard let package, let credential, credential.user == pin.user, credential.entry.device == item.device else {
        let finding = context.finding(
          .invalidLeaf, room: id, person: pin.person, "the relay gave a key package that is not the user's")
        try context.store.write { try $0.add(finding) }
        context.hub.tell([.refused(finding)])
        throw ChatError(.identityInvalid, detail: pin.username)
      }
      // Of another suite, or past its time: of no use here, but nobody's crime.
      guard package.cipherSuite == suite.rawValue, (try? package.validate(now: context.timestamp)) != nil else {
        continue
      }
      packages.append(package)
    }
    guard !packages.isEmpty else { throw ChatError(.noKeyPackage, detail: pin.username) }
    return packages
  }

  /// Makes the commit and puts it on disk: it may leave from now on.
  func make(_ proposals: [Proposal], forcesPath: Bool) throws {
    let box = try group()
    var options = CommitOptions()
    options.forcesPath = forcesPath
    options.paddedTo = 512
    let commit: PendingCommit
    do {
      commit = try box.group.commit(proposals, options: options, now: context.timestamp)
    } catch {
      self.box = nil
      throw ChatError(.internalError, detail: "the commit cannot be made: \(error.code)", underlying: error)
    }
    let effects = commit.effects
    let before = Set(try credentials().map(\.user))
    let gone = Set(effects.removed.map(\.leafIndex))
    let staying = Set(
      box.group.members.filter { !gone.contains($0.leafIndex) }.compactMap { LeafCheck.credential(of: $0)?.user })
    let added = effects.added.compactMap { LeafCheck.credential(of: $0) }
    let record = PendingRecord(
      room: id, sendID: .random(), epoch: box.group.epoch.rawValue, message: commit.message,
      hash: ClientContext.hash(commit.message), welcome: commit.welcome, recipients: added.map(\.entry.device),
      added: Array(Set(added.map(\.user)).subtracting(before)),
      removed: Array(before.subtracting(staying).subtracting(added.map(\.user))),
      state: commit.encodeState().withBytes { Array($0) })
    // Sealing it has spent a key of the handshake ratchet: both go to disk together, before anything leaves.
    try write { store in
      try save(box, wholeEpoch: false, in: store)
      try store.save(record)
    }
    pending = record
    lastOwnEpoch = nil
  }

  // MARK: Proposals of others

  /// Commits what leavers proposed: the first admin in the tree soon, others later if nobody has by then.
  func scheduleCommit() {
    guard !isCommitScheduled, stored.health == .good, let box, box.group.hasPendingProposals else { return }
    guard context.configuration.connection != .manual else { return }
    isCommitScheduled = true
    let isFirst = (try? isFirstAdmin()) ?? false
    let pause =
      Duration.milliseconds(isFirst ? 50 : 1000) + .seconds(context.environment.random() * (isFirst ? 0.1 : 2))
    Task {
      try? await context.environment.sleep(pause)
      isCommitScheduled = false
      try? await commitReceived()
    }
  }

  /// Commits the proposals that wait, if there are any.
  func commitReceived() async throws {
    guard stored.health == .good, try group().group.hasPendingProposals else { return }
    try await perform(.commitReceived)
  }

  private func isFirstAdmin() throws -> Bool {
    let state = try roomState()
    let first = try group().group.members.lazy.compactMap { LeafCheck.credential(of: $0) }
      .first { state.role(of: $0.user) >= .admin }
    return first?.entry.device == (try context.identity().device.device)
  }
}

extension SendID {
  static func random() -> SendID { SendID(high: Random.uint64(), low: Random.uint64()) }
}

extension LeafCheck.Verdict {
  var credential: DeviceCredential? { if case .valid(let credential) = self { credential } else { nil } }
}
