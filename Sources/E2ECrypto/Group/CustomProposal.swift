/// A proposal type of the application's own, or of an RFC that this library does not know (RFC 9420 section 17.4).
///
/// All members of a group must declare it alike, and list it in their ``Capabilities/proposals``: a commit that carries
/// it is refused while one of them does not. On the wire such a proposal is `opaque data<V>` behind its type, since
/// RFC 9420 has no length by which to step over a proposal of another form.
public struct CustomProposalType: Hashable, Sendable {
  /// A number of the private range, 0xF000 to 0xFFFF, or one that IANA has assigned.
  public let type: UInt16
  /// Whether a commit of such a proposal renews its sender's keys (RFC 9420 section 12.4).
  public var requiresPath: Bool
  /// Whether a sender of the external_senders extension may send it (RFC 9420 section 12.1.8).
  public var allowsExternalSender: Bool
  /// Whether one who joins by an external commit may bring it.
  public var allowsExternalCommit: Bool

  public init(
    type: UInt16, requiresPath: Bool = true, allowsExternalSender: Bool = false, allowsExternalCommit: Bool = false
  ) {
    self.type = type
    self.requiresPath = requiresPath
    self.allowsExternalSender = allowsExternalSender
    self.allowsExternalCommit = allowsExternalCommit
  }
}

extension GroupPolicy {
  /// The declaration of a custom type. The types that have a form of their own cannot be declared.
  func customProposal(_ type: UInt16) -> CustomProposalType? {
    guard !Proposal.isBuiltIn(type) else { return nil }
    return customProposals.first { $0.type == type }
  }

  /// Whether a commit of the proposal needs a path (RFC 9420 section 12.4). Of a type that nobody declared it is never
  /// asked in the end: such a commit is refused.
  func requiresPath(_ proposal: Proposal) -> Bool {
    switch proposal {
    case .update, .remove, .externalInit, .groupContextExtensions, .selfRemove: true
    case .add, .preSharedKey, .reInit, .appDataUpdate, .appEphemeral: false
    case .custom(let type, _): customProposal(type)?.requiresPath ?? true
    }
  }

  /// Whether an external sender may send the proposal (RFC 9420 section 12.1.8).
  func allowsExternalSender(_ proposal: Proposal) -> Bool {
    switch proposal {
    case .add, .remove, .preSharedKey, .reInit, .groupContextExtensions, .appDataUpdate, .appEphemeral: true
    case .update, .externalInit, .selfRemove: false
    case .custom(let type, _): customProposal(type)?.allowsExternalSender ?? false
    }
  }

  /// Throws unless a proposal of a type beyond RFC 9420 is one that this client can handle.
  func requireKnown(_ proposal: Proposal) throws(MLSError) {
    guard case .custom(let type, _) = proposal else { return }
    guard customProposal(type) != nil else { throw MLSError(.unsupported) }
  }
}

extension Capabilities {
  /// Enters the proposal types that a policy declares.
  mutating func list(_ policy: GroupPolicy) {
    for type in policy.customProposals.map(\.type) where !proposals.contains(type) && !Proposal.isBuiltIn(type) {
      proposals.append(type)
    }
  }
}

extension ProposalList {
  /// Every member that will process the commit supports every type in it. Those who are added or removed need not
  /// (RFC 9420 section 12.2).
  func requireSupport(in tree: RatchetTree) throws(MLSError) {
    for type in Set(all.map(\.proposal.type)) where !Proposal.isDefault(type) {
      let without = tree.index.membersWithoutProposal(type)
      guard without > 0 else { continue }
      let leaving = leaving.count { leaf in
        tree.leaf(leaf).map { !$0.capabilities.supportsProposal(type) } ?? false
      }
      try Rule.proposalSupported.require(without == leaving)
    }
  }
}

extension Group {
  /// Checks a proposal of a type beyond RFC 9420 that came on its own. Whether all members support it shows in a commit
  /// only, which may remove those who do not.
  func validateBeyondDefault(_ proposal: Proposal, from sender: Sender) throws(MLSError) {
    let own = state.tree.leaf(ownLeafIndex)
    guard own?.capabilities.supportsProposal(proposal.type) == true else { throw MLSError(.unsupported) }
    try policy.requireKnown(proposal)
    try policy.validate(proposal)
    if case .selfRemove = proposal { try ProposalList.validateSelfRemove(from: sender, in: state.tree) }
  }

  /// Throws unless the application may bring the proposal into a commit, or send it.
  func requireOwn(_ proposal: Proposal) throws(MLSError) {
    switch proposal {
    case .update, .externalInit, .selfRemove: throw MLSError(.invalidProposal)
    case .custom(let type, let data):
      guard policy.customProposal(type) != nil else { throw MLSError(.invalidProposal) }
      guard data.count <= Bounds.customProposal else { throw MLSError(.outOfBounds) }
    case .appEphemeral(let ephemeral):
      guard ephemeral.data.count <= Bounds.customProposal else { throw MLSError(.outOfBounds) }
    case .appDataUpdate(let update):
      if case .update(let data) = update.operation, data.count > Bounds.customProposal {
        throw MLSError(.outOfBounds)
      }
    case .add, .remove, .preSharedKey, .reInit, .groupContextExtensions: break
    }
  }
}
