import CryptoPrimitives
import WireCodec

/// Leaving by one's own word, so that even one who joins by an external commit can carry it out
/// (draft-ietf-mls-extensions section 6.3).
extension Group {
  /// Proposes that this client leaves. Others commit it; until then the client is a member and can read on.
  ///
  /// The message is a PublicMessage, as the draft demands: it shows the group's id, the epoch and our leaf's number, so
  /// the application should seal it once more where nobody joins from outside. Keep it with the group info that external
  /// joiners fetch. All members must list the type 10 among their ``Capabilities/proposals``.
  /// - Throws: ``MLSError/Code/unsupported`` if not all members support it: propose a remove of the own leaf instead;
  ///   ``MLSError/Code/invalidProposal`` if one was sent in this epoch already.
  public mutating func proposeSelfRemove(authenticatedData: [UInt8] = []) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    guard state.tree.index.allSupportProposal(Proposal.selfRemoveType) else { throw MLSError(.unsupported) }
    guard authenticatedData.count <= Bounds.authenticatedData else { throw MLSError(.outOfBounds) }
    let sender = Sender.member(ownLeafIndex)
    guard !proposals.entries.contains(where: { $0.sender == sender && $0.proposal == .selfRemove }) else {
      throw MLSError(.invalidProposal)
    }
    let framed = FramedContent(
      groupID: groupID, epoch: epoch, sender: sender, authenticatedData: authenticatedData,
      content: .proposal(.selfRemove))
    let signed = try AuthenticatedContent(
      signing: framed, as: .publicMessage, state.suite, key: identity.signingKey, context: state.contextBytes)
    let message = try PublicMessage(
      protecting: signed, state.suite, membershipKey: state.secrets.membership, context: state.contextBytes)
    let entry = ProposalCache.Entry(
      reference: state.suite.proposalRef(signed), proposal: .selfRemove, sender: sender)
    try proposals.insert(entry, limit: policy.maxProposals)
    return MLSMessage.publicMessage(message).encoded
  }
}

extension ProposalList {
  /// Who goes by a SelfRemove.
  @discardableResult
  static func validateSelfRemove(from sender: Sender, in tree: RatchetTree) throws(MLSError) -> LeafIndex {
    guard case .member(let leaf) = sender, tree.leaf(leaf) != nil else {
      throw MLSError.rejected(.selfRemoveFromMember)
    }
    return leaf
  }
}

extension ProposalCache {
  /// The proposals without those that remove somebody who goes by itself.
  func withoutLeavers(_ own: [Proposal]) -> [Proposal] {
    let leavers = Set(entries.lazy.filter { $0.proposal == .selfRemove }.map(\.sender))
    guard !leavers.isEmpty else { return own }
    return own.filter { proposal in
      if case .remove(let leaf) = proposal { !leavers.contains(.member(leaf)) } else { true }
    }
  }
}

extension PublicMessage {
  /// Whether this is the one message that members send in public whatever the policy.
  var isSelfRemove: Bool {
    if case .proposal(.selfRemove) = content.content { true } else { false }
  }

  /// Reads those SelfRemoves that an external commit will cover: one for each who goes.
  static func selfRemoves(
    _ messages: [[UInt8]], _ suite: Suite, context: GroupContext, tree: RatchetTree
  ) throws(MLSError) -> [SentProposal] {
    var found: [SentProposal] = []
    for bytes in messages {
      let sent = try selfRemove(bytes, suite, context: context, tree: tree)
      if !found.contains(where: { $0.sender == sent.sender }) { found.append(sent) }
    }
    return found
  }

  /// Reads a SelfRemove as one who is about to join from outside: all is checked but the membership tag, for which one
  /// would have to be a member.
  static func selfRemove(
    _ bytes: [UInt8], _ suite: Suite, context: GroupContext, tree: RatchetTree
  ) throws(MLSError) -> SentProposal {
    guard bytes.count <= Bounds.message, case .publicMessage(let message) = try MLSMessage(strictly: bytes),
      message.isSelfRemove
    else { throw MLSError(.unsupported) }
    let content = message.content
    guard content.groupID == context.groupID else { throw MLSError(.wrongGroup) }
    guard content.epoch == context.epoch else {
      throw MLSError(content.epoch < context.epoch ? .staleHandshake : .futureEpoch)
    }
    let leaf = try ProposalList.validateSelfRemove(from: content.sender, in: tree)
    guard let key = tree.leaf(leaf)?.signatureKey else { throw MLSError(.unknownSender) }
    let signed = AuthenticatedContent(format: .publicMessage, content: content, auth: message.auth)
    _ = try Unverified(signed).verified(suite, key: key, context: context.encoded)
    return SentProposal(proposal: .selfRemove, sender: content.sender, reference: suite.proposalRef(signed))
  }
}
