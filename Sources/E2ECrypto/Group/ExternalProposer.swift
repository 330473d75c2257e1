public import CryptoPrimitives
import WireCodec

/// One who proposes changes to a group without being a member: an entry of its external_senders extension (RFC 9420
/// section 12.1.8.1). What it proposes holds once a member has committed it.
///
/// It is of one epoch; make another when the group has moved on.
public struct ExternalProposer: Sendable {
  public let groupID: GroupID
  public let epoch: Epoch
  public let suite: CipherSuite
  /// The place in the extension.
  public let index: UInt32
  private let signingKey: SigningKey
  private let policy: GroupPolicy

  /// For a service that knows by other means where the group stands and at which place of the extension it is itself.
  public init(
    groupID: GroupID, epoch: Epoch, suite: CipherSuite, index: UInt32, signingKey: SigningKey,
    policy: GroupPolicy = GroupPolicy()
  ) {
    self.groupID = groupID
    self.epoch = epoch
    self.suite = suite
    self.index = index
    self.signingKey = signingKey
    self.policy = policy
  }

  /// For one who has the group's public state, by which the own place is found.
  /// - Throws: ``MLSError/Code/notExternalSender`` if the group does not list the key.
  public init(
    _ group: PublicGroup, signingKey: SigningKey, policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) {
    let place = try group.externalSenders().firstIndex { $0.signatureKey == signingKey.publicKey }
    guard let index = place.flatMap(UInt32.init(exactly:)) else { throw MLSError(.notExternalSender) }
    self.init(
      groupID: group.groupID, epoch: group.epoch, suite: group.suite, index: index, signingKey: signingKey,
      policy: policy)
  }

  /// Makes a proposal, a PublicMessage: it is signed, and not secret.
  /// - Throws: ``MLSError/Code/invalidProposal`` for types that only members may send.
  public func propose(_ proposal: Proposal, authenticatedData: [UInt8] = []) throws(MLSError) -> [UInt8] {
    guard policy.allowsExternalSender(proposal) else { throw MLSError(.invalidProposal) }
    return try PublicMessage.proposing(
      proposal, as: .external(index), groupID: groupID, epoch: epoch, suite: CipherSuite.algorithms(of: suite.rawValue),
      key: signingKey, authenticatedData: authenticatedData)
  }
}

extension KeyPackageBundle {
  /// Proposes to a group to add us by this key package (RFC 9420 section 12.1.8). It is a PublicMessage: signed, and not
  /// secret. If a member commits it, the welcome is for this bundle.
  /// - Throws: ``MLSError/Code/identityMismatch`` if the key package is not of this identity.
  public func proposeJoining(
    groupID: GroupID, epoch: Epoch, identity: ClientIdentity, authenticatedData: [UInt8] = []
  ) throws(MLSError) -> [UInt8] {
    guard identity.signingKey.publicKey == keyPackage.leafNode.signatureKey else { throw MLSError(.identityMismatch) }
    return try PublicMessage.proposing(
      .add(keyPackage), as: .newMemberProposal, groupID: groupID, epoch: epoch,
      suite: CipherSuite.algorithms(of: keyPackage.cipherSuite), key: identity.signingKey,
      authenticatedData: authenticatedData)
  }
}

extension PublicMessage {
  /// A proposal from outside of a group, as an MLSMessage.
  fileprivate static func proposing(
    _ proposal: Proposal, as sender: Sender, groupID: GroupID, epoch: Epoch, suite: Suite, key: SigningKey,
    authenticatedData: [UInt8]
  ) throws(MLSError) -> [UInt8] {
    guard authenticatedData.count <= Bounds.authenticatedData else { throw MLSError(.outOfBounds) }
    let framed = FramedContent(
      groupID: groupID, epoch: epoch, sender: sender, authenticatedData: authenticatedData,
      content: .proposal(proposal))
    // Such signatures do not cover the group's context, nor is there a membership tag.
    let signed = try AuthenticatedContent(signing: framed, as: .publicMessage, suite, key: key, context: [])
    return MLSMessage.publicMessage(
      try PublicMessage(protecting: signed, suite, membershipKey: .empty, context: [])
    ).encoded
  }
}

extension Proposal {
  /// A proposal to bring in a key that all members know by this name (RFC 9420 section 8.4).
  public static func externalPSK(id: [UInt8], suite: CipherSuite) -> Proposal {
    .preSharedKey(PreSharedKeyID(source: .external(id: id), nonce: nonce(suite)))
  }

  /// A proposal to bring in the resumption secret of an epoch of a group (RFC 9420 section 8.6).
  public static func resumptionPSK(groupID: GroupID, epoch: Epoch, suite: CipherSuite) -> Proposal {
    .preSharedKey(
      PreSharedKeyID(
        source: .resumption(usage: .application, groupID: groupID, epoch: epoch), nonce: nonce(suite)))
  }

  /// For a suite that we do not know nothing is known of its hash either: such a proposal is refused when it is signed.
  private static func nonce(_ suite: CipherSuite) -> [UInt8] {
    Random.bytes((try? suite.algorithms())?.hashSize ?? 0)
  }
}
