import E2ECrypto
import RelayProtocol

/// The room's rules, which every honest client applies to every commit before it merges: what one refuses, all refuse,
/// and they stay together.
///
/// Pure, and the same for all: nothing here may depend on a client's own clock, pins or settings.
enum RoomPolicy {
  /// A rule that a commit or proposal breaks.
  enum Violation: String, Hashable, Error, CaseIterable {
    case senderIsNoMember = "a commit from outside of the room"
    case feature = "a feature that rooms do not use"
    case leafIdentity = "a leaf that changed its device"
    case add = "a member added somebody without the right to"
    case remove = "a member removed somebody without the right to"
    case settings = "a member changed the settings without the right to"
    case roles = "a member changed roles without the right to"
    case ban = "a member changed who is banned without the right to"
    case invites = "a member changed the links without the right to"
    case unreadableState = "settings that cannot be read"
    case banned = "somebody who is banned came in"
    case direct = "a room of two was changed"
    case reentry = "a removal that left the removed a way back"
    case join = "somebody came in without the right to"
    case ownerless = "a room without an owner"

    /// Whether clients of later versions might see it otherwise. Then it is better to stand still than to go another way.
    var mayBeVersionSkew: Bool { self == .feature || self == .unreadableState }
  }

  /// Judges a commit on the room as it is.
  ///
  /// - Parameters:
  ///   - members: the leaves before the commit.
  ///   - time: when the relay took it, in milliseconds since 1970: the same for everybody.
  static func check(
    _ claim: CommitClaim, state: RoomState, members: [CommitClaim.Leaf], room: RoomID, time: UInt64
  ) -> Violation? {
    if let authority = claim.authority {
      return check(joining: claim, authority, state: state, members: members, room: room, time: time)
    }
    let role = state.role(of: claim.sender.user)
    let gone = Set(claim.removed + claim.left)
    let after = Set(members.filter { !gone.contains($0) }.map(\.user)).union(claim.added.map(\.user))
    if let violation = check(added: claim, role, state) ?? check(removed: claim, role, state, after: after) {
      return violation
    }
    if let next = claim.next {
      return check(next, claim, role, state, after: after, gone: gone)
    }
    // Whoever goes must not keep the secret by which one comes back, nor a role.
    return gone.isEmpty ? nil : .reentry
  }

  private static func check(added claim: CommitClaim, _ role: Role, _ state: RoomState) -> Violation? {
    let banned = claim.next?.banned ?? state.banned
    for leaf in claim.added {
      if banned.contains(leaf.user) { return .banned }
      if let pair = state.pair, !pair.contains(leaf.user) { return .direct }
      // A place that was taken by a link is taken by an external commit.
      if leaf.invite != nil { return .add }
      let mayAdd = role >= .admin || state.settings.joinPolicy == .open || leaf.user == claim.sender.user
      guard mayAdd else { return .add }
    }
    return nil
  }

  private static func check(
    removed claim: CommitClaim, _ role: Role, _ state: RoomState, after: Set<UserID>
  ) -> Violation? {
    for leaf in claim.removed where leaf.user != claim.sender.user {
      // What an account says of its devices needs nobody's leave, unless it ended a membership.
      if let shown = claim.revocations, after.contains(leaf.user), shown.revoke(leaf) { continue }
      // In a room of two a leaf goes only to come anew.
      if state.pair != nil {
        guard claim.added.contains(where: { $0.user == leaf.user && $0.device == leaf.device }) else { return .direct }
        continue
      }
      guard role >= .admin, state.role(of: leaf.user) <= role else { return .remove }
    }
    return nil
  }

  /// Judges what becomes of the state.
  private static func check(
    _ next: RoomState, _ claim: CommitClaim, _ role: Role, _ state: RoomState, after: Set<UserID>,
    gone: Set<CommitClaim.Leaf>
  ) -> Violation? {
    if !gone.isEmpty, next.reentrySecret == state.reentrySecret { return .reentry }
    if next.pair != state.pair { return .direct }
    let goneUsers = Set(gone.map(\.user)).subtracting(after)
    // What a removal brings with it is everybody's to do who may do the removal.
    let expected = state.without(goneUsers, invites: Set(gone.compactMap(\.invite)))
    guard next.reentrySecret == state.reentrySecret || !gone.isEmpty || role >= .admin else { return .settings }
    if next.roles != expected.roles {
      guard state.pair == nil, role == .owner else { return .roles }
    }
    guard next.roles.keys.allSatisfy({ after.contains($0) || state.pair != nil }) else { return .roles }
    if expected.roles.values.contains(.owner), !next.roles.values.contains(.owner) { return .ownerless }
    if next.settings != state.settings {
      guard role >= .admin, state.pair == nil || next.settings.joinPolicy == .closed else { return .settings }
      guard next.pair != nil || !next.settings.name.isEmpty else { return .settings }
    }
    return check(banned: next, claim, role, state, after: after)
      ?? check(invites: next, claim, role, expected: expected, state)
  }

  private static func check(
    banned next: RoomState, _ claim: CommitClaim, _ role: Role, _ state: RoomState, after: Set<UserID>
  ) -> Violation? {
    guard next.banned != state.banned else { return nil }
    guard role >= .admin, state.pair == nil, next.banned.count <= Limits.bannedPerRoom else { return .ban }
    for user in next.banned.subtracting(state.banned) {
      guard user != claim.sender.user, !after.contains(user), state.role(of: user) <= role else { return .ban }
    }
    return nil
  }

  private static func check(
    invites next: RoomState, _ claim: CommitClaim, _ role: Role, expected: RoomState, _ state: RoomState
  ) -> Violation? {
    if !next.invites.isEmpty, next.settings.joinPolicy == .closed || next.pair != nil { return .invites }
    // A room that closes has no links, and whoever may close it may do that.
    guard next.invites != expected.invites, next.invites != state.invites else { return nil }
    guard role >= .admin, next.invites.count <= Limits.invitesPerRoom else { return .invites }
    for (id, keys) in next.invites where state.invites[id] != keys {
      guard state.invites[id] == nil, keys.madeBy == claim.sender.user else { return .invites }
    }
    return nil
  }

  // MARK: From outside

  private static func check(
    joining claim: CommitClaim, _ authority: JoinAuthority, state: RoomState, members: [CommitClaim.Leaf],
    room: RoomID, time: UInt64
  ) -> Violation? {
    let sender = claim.sender
    guard claim.next == nil, claim.left.isEmpty, claim.added == [sender] else { return .join }
    guard !state.banned.contains(sender.user) else { return .banned }
    // One device, one leaf: the old one goes as the new one comes.
    let old = members.filter { $0.user == sender.user && $0.device == sender.device }
    guard claim.removed == old else { return .join }
    switch authority {
    case .invite(let id, let signature):
      guard state.pair == nil, state.settings.joinPolicy != .closed, let keys = state.invites[id] else { return .join }
      guard sender.invite == id, keys.expires == 0 || keys.expires > time else { return .join }
      let came = Set(members.filter { $0.invite == id }.map(\.user)).subtracting([sender.user])
      guard keys.uses == 0 || came.count < Int(keys.uses) else { return .join }
      return JoinAuthority.isValid(signature, by: keys, sender, room: room, epoch: claim.epoch) ? nil : .join
    case .reentry(let code):
      guard old.count == 1, old[0].invite == sender.invite else { return .join }
      return JoinAuthority.isValid(code, under: state, sender, room: room, epoch: claim.epoch) ? nil : .join
    }
  }

  // MARK: Proposals

  /// Whether its sender may propose this: to leave, and nothing else.
  static func check(_ proposal: Proposal, from sender: HandshakeSender, state: RoomState) -> Violation? {
    guard case .member(let member) = sender, LeafCheck.credential(of: member) != nil else { return .senderIsNoMember }
    guard case .remove(let leaf) = proposal else { return .feature }
    return leaf == member.leafIndex ? nil : .remove
  }
}
