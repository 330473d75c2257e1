import E2ECrypto
import RelayProtocol

/// The room's rules, which every honest client applies to every commit before it merges: what one refuses, all refuse,
/// and they stay together.
enum RoomPolicy {
  /// A rule that a commit or proposal breaks.
  enum Violation: String, Hashable {
    case senderIsNoMember = "a commit from outside of the room"
    case feature = "a feature that rooms do not use"
    case leafIdentity = "a leaf that changed its device"
    case add = "a member added somebody without the right to"
    case remove = "a member removed somebody without the right to"
    case settings = "a member changed the settings without the right to"
    case roles = "a member changed roles without the right to"
    case unreadableState = "settings that cannot be read"
  }

  static func check(_ effects: CommitEffects, state: RoomState) -> Violation? {
    guard case .member(let sender) = effects.sender, LeafCheck.credential(of: sender) != nil else {
      return .senderIsNoMember
    }
    guard effects.reInit == nil, effects.preSharedKeys.isEmpty else { return .feature }
    for update in effects.updated {
      // Leaves only renew their encryption key; another device or name is another leaf.
      guard update.before.credential == update.after.credential,
        update.before.signatureKey == update.after.signatureKey
      else { return .leafIdentity }
    }
    let removed = Dictionary(uniqueKeysWithValues: effects.removed.map { ($0.leafIndex, $0) })
    for item in effects.proposals {
      if let violation = check(item.proposal, from: item.sender, removed: { removed[$0] }, state: state) {
        return violation
      }
    }
    return nil
  }

  /// Whether its sender may propose this. A commit answers for all that it covers.
  static func check(
    _ proposal: Proposal, from sender: HandshakeSender, removed: (LeafIndex) -> Member?, state: RoomState
  ) -> Violation? {
    guard case .member(let member) = sender, let credential = LeafCheck.credential(of: member) else {
      return .senderIsNoMember
    }
    let role = state.role(of: credential.user)
    switch proposal {
    case .update(let leaf):
      return leaf.credential == member.credential && leaf.signatureKey == member.signatureKey ? nil : .leafIdentity
    case .add:
      return role >= .admin ? nil : .add
    case .remove(let leaf):
      guard let target = removed(leaf).flatMap({ LeafCheck.credential(of: $0) }) else { return .remove }
      // Whoever leaves names its own leaf; an owner is removed by an owner only.
      if target.user == credential.user { return nil }
      return role >= .admin && state.role(of: target.user) <= role ? nil : .remove
    case .groupContextExtensions(let extensions):
      return check(extensions, by: role, state: state)
    case .preSharedKey, .reInit, .externalInit, .selfRemove, .appDataUpdate, .appEphemeral, .custom:
      return .feature
    }
  }

  private static func check(_ extensions: [Extension], by role: Role, state: RoomState) -> Violation? {
    guard role >= .admin else { return .settings }
    guard let next = RoomState.of(extensions), next.extensions == extensions else { return .unreadableState }
    return next.roles == state.roles || role == .owner ? nil : .roles
  }
}
