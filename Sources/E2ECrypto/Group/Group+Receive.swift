import CryptoPrimitives

extension Group {
  /// Reads a message of another member, or of an external sender or joiner (RFC 9420 sections 6 and 12.4.2).
  ///
  /// An application message or proposal spends its key, so that the same bytes are refused the next time; save the state
  /// before acting on it. A commit spends nothing until it is merged. A message that fails changes nothing.
  /// - Throws: ``MLSError/Code/futureEpoch`` and ``MLSError/Code/unknownProposal``: fetch what is missing and try again.
  ///   ``MLSError/Code/ownMessage``, ``MLSError/Code/keyConsumed``, ``MLSError/Code/epochTooOld``: ignore. Anything else of
  ///   the family `rejected`: the message was damaged or forged, or its sender broke a rule.
  public mutating func receive(_ message: [UInt8]) throws(MLSError) -> Received {
    guard message.count <= Bounds.message else { throw MLSError(.malformed) }
    switch try MLSMessage(strictly: message) {
    case .privateMessage(let message): return try receive(message)
    case .publicMessage(let message): return try receive(message)
    case .welcome, .groupInfo, .keyPackage: throw MLSError(.unsupported)
    }
  }

  // MARK: PrivateMessage

  private mutating func receive(_ message: PrivateMessage) throws(MLSError) -> Received {
    guard isActive else { throw MLSError(.inactive) }
    guard message.groupID == groupID else { throw MLSError(.wrongGroup) }
    guard message.epoch <= epoch else { throw MLSError(.futureEpoch) }
    if message.epoch < epoch {
      guard message.contentType == .application else { throw MLSError(.staleHandshake) }
      return try receivePast(message)
    }
    let suite = state.suite
    let sender = try message.openSenderData(suite, secret: state.secrets.senderData)
    guard sender.leaf != ownLeafIndex else { throw MLSError(.ownMessage) }
    guard let leaf = state.tree.leaf(sender.leaf) else { throw MLSError.rejected(.senderNotBlank) }
    let context = state.contextBytes
    let content = try state.secretTree.withKey(
      suite, leaf: sender.leaf, handshake: message.contentType != .application, generation: sender.generation,
      limits: policy.ratchetLimits, spending: message.contentType == .application
    ) { (key) throws(MLSError) in
      try message.open(suite, key: key, sender: sender)
        .verified(suite, key: leaf.signatureKey, context: context)
    }
    if case .application(let data) = content.content.content {
      return .application(
        ApplicationMessage(
          sender: sender.leaf, senderCredential: leaf.credential, senderSignatureKey: leaf.signatureKey,
          epoch: message.epoch, generation: sender.generation, authenticatedData: message.authenticatedData,
          content: data))
    }
    let received = try receiveHandshake(content)
    if message.contentType == .proposal {
      // A commit's key is left until the merge, so that a commit can be received again; a proposal's is spent now.
      try state.secretTree.withKey(
        suite, leaf: sender.leaf, handshake: true, generation: sender.generation, limits: policy.ratchetLimits
      ) { (_) throws(MLSError) in }
    }
    return received
  }

  /// Reads an application message of an epoch that is over.
  private mutating func receivePast(_ message: PrivateMessage) throws(MLSError) -> Received {
    guard let position = past.position(of: message.epoch) else { throw MLSError(.epochTooOld) }
    let suite = state.suite
    let epoch = past.epochs[position]
    let sender = try message.openSenderData(suite, secret: epoch.senderDataSecret)
    guard sender.leaf != epoch.ownLeaf else { throw MLSError(.ownMessage) }
    guard let member = past.sender(sender.leaf, in: position, current: state.tree) else {
      throw MLSError.rejected(.senderNotBlank)
    }
    let content = try past.withKey(suite, position: position, sender: sender, limits: policy.ratchetLimits) {
      (key) throws(MLSError) in
      try message.open(suite, key: key, sender: sender)
        .verified(suite, key: member.signatureKey, context: epoch.contextBytes)
    }
    guard case .application(let data) = content.content.content else { throw MLSError(.fault) }
    return .application(
      ApplicationMessage(
        sender: sender.leaf, senderCredential: member.credential, senderSignatureKey: member.signatureKey,
        epoch: message.epoch, generation: sender.generation, authenticatedData: message.authenticatedData,
        content: data))
  }

  // MARK: PublicMessage

  private mutating func receive(_ message: PublicMessage) throws(MLSError) -> Received {
    guard isActive else { throw MLSError(.inactive) }
    let content = message.content
    guard content.groupID == groupID else { throw MLSError(.wrongGroup) }
    guard content.epoch <= epoch else { throw MLSError(.futureEpoch) }
    guard content.epoch == epoch else { throw MLSError(.staleHandshake) }
    if case .member(let leaf) = content.sender {
      guard policy.acceptsPublicHandshakes || message.isSelfRemove else { throw MLSError(.publicHandshake) }
      guard state.tree.leaf(leaf) != nil else { throw MLSError(.unknownSender) }
    }
    let unverified = try message.unprotect(
      state.suite, membershipKey: state.secrets.membership, context: state.contextBytes)
    if unverified.claimedSender == .member(ownLeafIndex) { throw MLSError(.ownMessage) }
    let key = try signatureKey(of: unverified)
    return try receiveHandshake(unverified.verified(state.suite, key: key, context: state.contextBytes))
  }

  /// The key that a message's sender signs with (RFC 9420 section 6.1).
  private func signatureKey(of message: Unverified<AuthenticatedContent>) throws(MLSError) -> [UInt8] {
    switch (message.claimedSender, message.claimedContent) {
    case (.member(let leaf), _):
      guard let leaf = state.tree.leaf(leaf) else { throw MLSError(.unknownSender) }
      return leaf.signatureKey
    case (.external(let index), .proposal(let proposal)):
      try Rule.externalSenderProposal.require(policy.allowsExternalSender(proposal))
      let senders = try extensions.externalSenders()
      try Rule.externalSenderKnown.require(index < UInt32(senders.count))
      return senders[Int(index)].signatureKey
    case (.external, _): throw MLSError.rejected(.externalSenderProposal)
    case (.newMemberProposal, .proposal(.add(let keyPackage))): return keyPackage.leafNode.signatureKey
    case (.newMemberProposal, _): throw MLSError.rejected(.newMemberProposal)
    case (.newMemberCommit, .commit(let commit)):
      guard let path = commit.path else { throw MLSError.rejected(.newMemberCommit) }
      return path.leafNode.signatureKey
    case (.newMemberCommit, _): throw MLSError.rejected(.newMemberCommit)
    }
  }

  // MARK: Handshakes

  private mutating func receiveHandshake(_ message: AuthenticatedContent) throws(MLSError) -> Received {
    switch message.content.content {
    case .application: throw MLSError.rejected(.applicationIsPrivate)
    case .commit(let commit): return .commit(try process(commit, in: message))
    case .proposal(let proposal):
      let sender = message.content.sender
      if proposal == .selfRemove { try Rule.selfRemoveIsPublic.require(message.format == .publicMessage) }
      try validate(proposal, from: sender, now: nil)
      let described = try describe(sender, proposal: proposal)
      let reference = state.suite.proposalRef(message)
      try proposals.insert(
        ProposalCache.Entry(reference: reference, proposal: proposal, sender: sender),
        limit: policy.maxProposals)
      return .proposal(
        ReceivedProposal(
          proposal: proposal, sender: described, reference: reference,
          authenticatedData: message.content.authenticatedData))
    }
  }

  /// A sender as the application sees it.
  func describe(_ sender: Sender, proposal: Proposal) throws(MLSError) -> HandshakeSender {
    switch (sender, proposal) {
    case (.member(let leaf), _):
      guard let member = state.member(leaf) else { throw MLSError(.unknownSender) }
      return .member(member)
    case (.external(let index), _):
      let senders = try extensions.externalSenders()
      try Rule.externalSenderKnown.require(index < UInt32(senders.count))
      return .external(index: index, senders[Int(index)])
    case (.newMemberProposal, .add(let keyPackage)): return .newMember(keyPackage.leafNode)
    default: throw MLSError.rejected(.newMemberProposal)
    }
  }
}
