import CryptoPrimitives
import E2ECrypto
import RelayProtocol

/// Key packages that were claimed for an intent, and why some were not.
struct Claims {
  var packages: [UserID: [KeyPackage]] = [:]
  /// The first reason why somebody could not be added. The others are added all the same.
  var failure: ChatError?
}

// What an intent comes to, as the room stands now.
extension Room {
  /// The commit that the intent still needs, or `nil` if it is fulfilled.
  func plan(_ intent: Intent, _ claims: inout Claims) async throws -> CommitPlan? {
    let state = try roomState()
    let members = Set(try credentials().map(\.user))
    var plan = CommitPlan(proposals: [], next: state)
    var gone = try leavers()
    let revoked = try revokedLeaves()
    switch intent {
    case .invite(let pins):
      plan.proposals = try await additions(pins.filter { !members.contains($0.user) }, state, &claims)
      guard !plan.proposals.isEmpty else { return nil }
    case .remove(let users, let ban):
      let present = try leaves { users.contains($0.user) }
      gone += present
      plan.proposals = present.map { .remove($0.index) }
      if ban { plan.next.banned.formUnion(users) }
      guard !present.isEmpty || plan.next != state else { return nil }
    case .change(let body):
      try body(&plan.next, members)
      guard plan.next != state else { return nil }
    case .readd(let pin, let device):
      let old = try leaves { $0.user == pin.user && $0.entry.device == device }
      guard !old.isEmpty else { return nil }
      let packages = try await claim(pin).filter { package in
        LeafCheck.credential(of: package.leafNode.credential, signatureKey: package.leafNode.signatureKey)?.entry
          .device == device
      }
      guard !packages.isEmpty else { throw ChatError(.noKeyPackage, detail: pin.username) }
      gone += old
      plan.proposals = old.map { .remove($0.index) } + packages.map { .add($0) }
    case .update: plan.forcesPath = true
    case .replace: plan.forcesPath = true
    case .commitReceived:
      // A proposal to leave goes under with its epoch where another commit came first.
      let lost = try leaves { stored.leaving.contains($0.user) }.filter { leaf in
        !gone.contains { $0.index == leaf.index }
      }
      gone += lost
      plan.proposals = lost.map { .remove($0.index) }
      guard !gone.isEmpty || !revoked.isEmpty else { return nil }
    }
    let banished = revoked.filter { item in !gone.contains { $0.index == item.index } }
    if !banished.isEmpty {
      gone += banished.map { Place(index: $0.index, user: $0.leaf.user, invite: $0.leaf.invite) }
      plan.proposals += banished.map { .remove($0.index) }
      var lists: [SignedDeviceList] = []
      for item in banished where !lists.contains(item.list) { lists.append(item.list) }
      plan.revocations = Revocations(lists)
    }
    if !gone.isEmpty {
      let after = try leaves { _ in true }.filter { leaf in !gone.contains { $0.index == leaf.index } }.map(\.user)
      let added = plan.proposals.compactMap { proposal -> UserID? in
        guard case .add(let package) = proposal else { return nil }
        return LeafCheck.user(of: package.leafNode.credential)
      }
      let goneUsers = Set(gone.map(\.user)).subtracting(after).subtracting(added)
      plan.next = plan.next.without(goneUsers, invites: Set(gone.compactMap(\.invite)))
      plan.next.renewReentry()
    }
    if plan.next != state { plan.proposals.append(.groupContextExtensions(plan.next.extensions)) }
    return plan
  }

  private struct Place {
    var index: LeafIndex
    var user: UserID
    var invite: InviteID?
  }

  private func leaves(where accepts: (DeviceCredential) -> Bool) throws -> [Place] {
    try group().group.members.compactMap { member in
      guard let credential = LeafCheck.credential(of: member), accepts(credential) else { return nil }
      return Place(index: member.leafIndex, user: credential.user, invite: CommitClaim.Leaf(member)?.invite)
    }
  }

  /// The leaves that their owners have proposed to take out in this epoch.
  private func leavers() throws -> [Place] {
    let box = try group()
    let indices = box.group.pendingProposals.compactMap { item -> LeafIndex? in
      if case .remove(let index) = item.proposal { index } else { nil }
    }
    return indices.compactMap { index in
      guard let member = box.group.member(at: index), let leaf = CommitClaim.Leaf(member) else { return nil }
      return Place(index: index, user: leaf.user, invite: leaf.invite)
    }
  }

  /// Adds of all of these whose key packages can be had: one broken package keeps nobody else out.
  private func additions(_ pins: [Pin], _ state: RoomState, _ claims: inout Claims) async throws -> [Proposal] {
    for pin in pins where claims.packages[pin.user] == nil {
      do {
        guard !state.banned.contains(pin.user) else { throw ChatError(.banned, detail: pin.username) }
        claims.packages[pin.user] = try await claim(pin)
      } catch let error as ChatError {
        if error.family == .network || error.family == .login { throw error }
        if claims.failure == nil { claims.failure = error }
        claims.packages[pin.user] = []
      }
    }
    return pins.flatMap { claims.packages[$0.user] ?? [] }.map { .add($0) }
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
      // Of another suite, or past its time: of no use here, but nobody's crime. One that would be good for longer than
      // clients make them was not made by an honest one.
      guard package.cipherSuite == suite.rawValue,
        (try? package.validate(now: context.timestamp, policy: context.groupPolicy)) != nil
      else { continue }
      packages.append(package)
    }
    guard !packages.isEmpty else { throw ChatError(.noKeyPackage, detail: pin.username) }
    return packages
  }
}

/// What a commit changes of who is a member, by account.
struct MembershipChange {
  var added: [UserID]
  var removed: [UserID]
  var after: Set<UserID>

  init(before: Set<UserID>, _ claim: CommitClaim, members: [CommitClaim.Leaf]) {
    let gone = Set(claim.removed + claim.left)
    let staying = members.filter { !gone.contains($0) }.map(\.user)
    let goneUsers = Set(gone.map(\.user)).subtracting(staying)
    // All whose devices come in, so that the Welcome reaches them; to add a member is no error.
    let arriving = Set(claim.added.map(\.user))
    added = Array(arriving)
    removed = Array(goneUsers.subtracting(arriving))
    after = before.subtracting(goneUsers).union(arriving)
  }
}

extension RoomState {
  /// What the relay is to know of a change.
  func changes(to next: RoomState, members: Set<UserID>) -> RoomChanges? {
    var changes = RoomChanges()
    if pair == nil {
      let users = Set(roles.keys).union(next.roles.keys).filter {
        members.contains($0) && role(of: $0) != next.role(of: $0)
      }
      if !users.isEmpty {
        changes.roles = users.map { .init(user: $0, role: next.role(of: $0).mirror) }
      }
    }
    if settings.joinPolicy != next.settings.joinPolicy { changes.joinRule = next.settings.joinPolicy.mirror }
    if settings.relayRetention != next.settings.relayRetention { changes.retention = next.settings.relayRetention }
    let (banned, unbanned) = (next.banned.subtracting(self.banned), self.banned.subtracting(next.banned))
    if !banned.isEmpty { changes.banned = Array(banned) }
    if !unbanned.isEmpty { changes.unbanned = Array(unbanned) }
    let fresh = next.invites.filter { invites[$0.key] == nil }
    if !fresh.isEmpty {
      changes.invites = fresh.map { InviteTerms(invite: $0.key, expires: $0.value.expires, uses: $0.value.uses) }
    }
    let revoked = invites.keys.filter { next.invites[$0] == nil }
    if !revoked.isEmpty { changes.revoked = Array(revoked) }
    return changes.isEmpty ? nil : changes
  }
}

extension RoomSettings {
  /// How many seconds the relay has to keep entries: the shorter of the two times that are set.
  var relayRetention: UInt64 { [retention, disappearing].filter { $0 > 0 }.min() ?? 0 }
}

extension Role {
  var mirror: MemberRole {
    switch self {
    case .member: .member
    case .admin: .admin
    case .owner: .owner
    }
  }
}

extension JoinPolicy {
  var mirror: JoinRule {
    switch self {
    case .closed: .closed
    case .ask: .ask
    case .open: .open
    }
  }
}
