import CryptoPrimitives
import WireCodec

extension Group {
  /// Seals application data for the members of this epoch, as a PrivateMessage (RFC 9420 section 6.3).
  ///
  /// Spends a key of the own ratchet: save ``encodeState()``'s message part before the message leaves.
  /// - Parameter paddedTo: the least length of the sealed plaintext, which is the content and about 80 bytes.
  /// - Throws: ``MLSError/Code/inactive``; ``MLSError/Code/commitFirst`` if the policy asks for a commit first.
  public mutating func protect(
    _ content: [UInt8], authenticatedData: [UInt8] = [], paddedTo: Int = 0
  ) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    guard proposals.isEmpty || !policy.commitsBeforeSending else { throw MLSError(.commitFirst) }
    let signed = try sign(.application(content), authenticatedData: authenticatedData)
    return try seal(signed, paddedTo: paddedTo)
  }

  /// Sends a proposal on its own, for a later commit to cover. An own update is made by ``proposeUpdate(authenticatedData:)``.
  /// - Parameter now: the time, for the lifetime of a key package that is to be added.
  /// - Throws: ``MLSError/Code/invalidProposal`` for updates and external inits; a rule that the proposal breaks.
  public mutating func propose(
    _ proposal: Proposal, authenticatedData: [UInt8] = [], now: Timestamp
  ) throws(MLSError) -> [UInt8] {
    try requireOwn(proposal)
    return try send(proposal, authenticatedData: authenticatedData, now: now)
  }

  /// Proposes a new key for the own leaf, and what else is to change of it.
  ///
  /// The proposal itself is still signed with the present key. A commit that covers it makes the new identity
  /// ``identity`` when it is merged; store it with the group's state then. What is nil stays as it is.
  public mutating func proposeUpdate(
    identity newIdentity: ClientIdentity? = nil, capabilities: Capabilities? = nil,
    leafExtensions: [Extension]? = nil, authenticatedData: [UInt8] = []
  ) throws(MLSError) -> [UInt8] {
    let key = HPKEPrivateKey.generate(state.suite.kem)
    guard let old = state.tree.leaf(ownLeafIndex) else { throw MLSError(.fault) }
    var leaf = try LeafChanges(identity: newIdentity, capabilities: capabilities, extensions: leafExtensions)
      .applied(to: old, suite: state.suite)
    leaf.encryptionKey = key.publicKey
    leaf.source = .update
    try leaf.sign(state.suite, key: (newIdentity ?? identity).signingKey, at: ownPlace)
    return try send(
      .update(leaf), authenticatedData: authenticatedData, ownLeafKey: key, ownIdentity: newIdentity, now: nil)
  }

  private mutating func send(
    _ proposal: Proposal, authenticatedData: [UInt8], ownLeafKey: HPKEPrivateKey? = nil,
    ownIdentity: ClientIdentity? = nil, now: Timestamp?
  ) throws(MLSError) -> [UInt8] {
    guard isActive else { throw MLSError(.inactive) }
    guard proposals.entries.count < policy.maxProposals else { throw MLSError(.tooManyProposals) }
    try validate(proposal, from: .member(ownLeafIndex), now: now)
    let signed = try sign(.proposal(proposal), authenticatedData: authenticatedData)
    let message = try seal(signed, paddedTo: 0)
    let entry = ProposalCache.Entry(
      reference: state.suite.proposalRef(signed), proposal: proposal, sender: .member(ownLeafIndex),
      ownLeafKey: ownLeafKey, ownIdentity: ownIdentity)
    try proposals.insert(entry, limit: policy.maxProposals)
    return message
  }

  var ownPlace: LeafPlace { LeafPlace(groupID: groupID, index: ownLeafIndex) }

  /// Signs something of ours in the current epoch.
  func sign(_ content: Content, authenticatedData: [UInt8]) throws(MLSError) -> AuthenticatedContent {
    guard authenticatedData.count <= Bounds.authenticatedData else { throw MLSError(.outOfBounds) }
    let framed = FramedContent(
      groupID: groupID, epoch: epoch, sender: .member(ownLeafIndex), authenticatedData: authenticatedData,
      content: content)
    let isPublic = policy.sendsPublicHandshakes && content.type != .application
    return try AuthenticatedContent(
      signing: framed, as: isPublic ? .publicMessage : .privateMessage, state.suite, key: identity.signingKey,
      context: state.contextBytes)
  }

  /// Seals something of ours with the next key of our ratchet, or tags it if it is a PublicMessage.
  mutating func seal(_ signed: AuthenticatedContent, paddedTo: Int) throws(MLSError) -> [UInt8] {
    guard (0...Bounds.message).contains(paddedTo) else { throw MLSError(.outOfBounds) }
    if signed.format == .publicMessage {
      let message = try PublicMessage(
        protecting: signed, state.suite, membershipKey: state.secrets.membership, context: state.contextBytes)
      return MLSMessage.publicMessage(message).encoded
    }
    let handshake = signed.content.content.type != .application
    let key = try state.secretTree.nextKey(state.suite, leaf: ownLeafIndex, handshake: handshake)
    let message = try PrivateMessage(
      protecting: signed, state.suite, key: key, senderDataSecret: state.secrets.senderData, paddedTo: paddedTo)
    var writer = Writer(reserving: message.ciphertext.count + message.authenticatedData.count + 128)
    writer.write(MLSMessage.privateMessage(message))
    return writer.bytes
  }

  /// Checks a proposal on its own (RFC 9420 section 12.1). As part of a list it is checked again.
  ///
  /// Whether another's proposal goes with the group's extensions shows in a list only, which may change these, or remove
  /// who lacks them: whoever refused it now could not follow a commit that the others find valid (section 12.3).
  func validate(_ proposal: Proposal, from sender: Sender, now: Timestamp?) throws(MLSError) {
    let suite = state.suite
    let isOwn = sender == .member(ownLeafIndex)
    let leaves = LeafValidation(
      suite: suite, groupExtensions: isOwn ? extensions : [], maxLifetime: policy.maxLifetime)
    let credentials = policy.credentials(in: groupID)
    switch proposal {
    case .add(let keyPackage):
      try leaves.validate(keyPackage, now: now)
      try credentials.require(keyPackage.leafNode, .add)
    case .update(let node):
      guard case .member(let leaf) = sender, let old = state.tree.leaf(leaf) else {
        throw MLSError.rejected(.updateFromMember)
      }
      try leaves.validate(node, as: .update(of: old, at: LeafPlace(groupID: groupID, index: leaf)))
      try credentials.require(node, .update, replacing: old)
    case .remove(let leaf): try Rule.removeNamesMember.require(state.tree.leaf(leaf) != nil)
    case .preSharedKey(let id): try ProposalList.validate(id, suite: suite)
    case .reInit(let parameters): try ProposalList.validate(parameters)
    case .externalInit: throw MLSError.rejected(.noExternalInit)
    case .groupContextExtensions(let extensions):
      try extensions.validateForContext(replacing: self.extensions)
      if let required = try extensions.requiredCapabilities(), isOwn {
        try Rule.requiredCapabilitiesMet.require(state.tree.index.allSupport(required))
      }
      try credentials.requireExternalSenders(in: extensions, before: self.extensions)
    case .selfRemove, .appDataUpdate, .appEphemeral, .custom:
      try validateBeyondDefault(proposal, from: sender)
    }
  }
}
