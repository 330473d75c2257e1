package import RelayProtocol

/// The relay's own check of who may change what: the mirror of what clients check on the encrypted state.
///
/// What clients refuse need not come so far, and nobody is struck from the list of those who are sent a room's entries on a
/// plain member's word. Pure: whoever asks looks up the facts.
package struct RoomRules {
  /// Why a commit is refused.
  package enum Refusal: Hashable, Sendable {
    case remove
    case add
    case banned
    case direct
    case roles
    case settings
    case invites
    case replacement
  }

  package var sender: UserID
  package var joinRule: JoinRule
  /// The two of a room of two.
  package var pair: Set<UserID>?
  /// The roles of members, of those at least whom the commit names.
  package var roles: [UserID: MemberRole]
  /// Who is banned, of those whom the commit names.
  package var banned: Set<UserID>

  package init(
    sender: UserID, joinRule: JoinRule, pair: Set<UserID>? = nil, roles: [UserID: MemberRole],
    banned: Set<UserID> = []
  ) {
    (self.sender, self.joinRule, self.pair) = (sender, joinRule, pair)
    (self.roles, self.banned) = (roles, banned)
  }

  /// Everybody whom a commit names, and of whom the facts are needed.
  package static func named(in request: CommitRequest) -> Set<UserID> {
    let changes = request.changes
    return Set(
      request.added + request.removed + (changes?.roles ?? []).map(\.user) + (changes?.banned ?? [])
        + (changes?.unbanned ?? []))
  }

  package func refusal(of request: CommitRequest) -> Refusal? {
    let own = roles[sender] ?? .member
    let changes = request.changes ?? RoomChanges()
    let rule = changes.joinRule ?? joinRule
    for user in request.removed {
      guard let role = roles[user] else { continue }
      guard pair == nil else { return .direct }
      guard own >= .admin, role <= own else { return .remove }
    }
    let bannedThen = banned.subtracting(changes.unbanned ?? []).union(changes.banned ?? [])
    for user in request.added {
      if let pair, !pair.contains(user) { return .direct }
      if bannedThen.contains(user) { return .banned }
      // Every member brings its own devices in.
      guard user == sender || own >= .admin || joinRule == .open || pair != nil else { return .add }
    }
    return refusal(of: changes, own: own, rule: rule, request: request)
  }

  private func refusal(of changes: RoomChanges, own: MemberRole, rule: JoinRule, request: CommitRequest) -> Refusal? {
    if pair != nil {
      let keeps = changes.roles == nil && changes.joinRule == nil && changes.banned == nil && changes.invites == nil
      guard keeps else { return .direct }
    }
    for change in changes.roles ?? [] {
      let staysOrComes =
        request.added.contains(change.user) || (roles[change.user] != nil && !request.removed.contains(change.user))
      guard own == .owner, staysOrComes else { return .roles }
    }
    let isChanged =
      changes.joinRule != nil || changes.retention != nil || changes.unbanned != nil || changes.revoked != nil
    guard !isChanged || own >= .admin else { return .settings }
    for user in changes.banned ?? [] {
      guard own >= .admin, user != sender, (roles[user] ?? .member) <= own else { return .settings }
      guard roles[user] == nil || request.removed.contains(user) else { return .settings }
    }
    if let invites = changes.invites, !invites.isEmpty {
      guard own >= .admin, rule != .closed else { return .invites }
    }
    guard request.instead == nil || own >= .admin else { return .replacement }
    return nil
  }
}
