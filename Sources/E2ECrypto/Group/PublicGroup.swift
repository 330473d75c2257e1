public import CryptoPrimitives

/// What a group shows to those outside of it, by a group info and its tree: enough to propose something to it.
public struct PublicGroup: Sendable {
  public let groupID: GroupID
  public let epoch: Epoch
  public let suite: CipherSuite
  public let extensions: [Extension]
  public let members: [Member]
  /// The member who says that this is so.
  public let signer: Member

  /// Reads and checks a group info.
  ///
  /// That it is recent, and the group not a made-up one, is for the caller to know: anyone can make a group.
  /// - Parameter ratchetTree: the tree, if the group info does not carry it.
  /// - Throws: ``MLSError/Code/missingTree``: fetch it and try again; otherwise the rule that group info or tree break.
  public init(
    groupInfo: [UInt8], ratchetTree: [UInt8]? = nil, policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) {
    guard case .groupInfo(let unverified) = try MLSMessage(strictly: groupInfo) else { throw MLSError(.unsupported) }
    let suite = try CipherSuite.algorithms(of: unverified.context.cipherSuite)
    let (info, tree) = try Unverified(unverified).verifiedWithTree(
      suite, given: ratchetTree, maxLifetime: policy.maxLifetime, threads: policy.maxThreads)
    let members = tree.memberIndices.compactMap { index in
      tree.leaf(index).map { Member(leafIndex: index, leafNode: $0) }
    }
    guard let signer = members.first(where: { $0.leafIndex == info.signer }) else { throw MLSError(.fault) }
    self.suite = suite.suite
    self.members = members
    self.signer = signer
    (groupID, epoch, extensions) = (info.context.groupID, info.context.epoch, info.context.extensions)
  }

  /// Who may send proposals from outside.
  /// - Throws: ``MLSError/Code/malformed`` if the extension is not what it should be.
  public func externalSenders() throws(MLSError) -> [ExternalSender] { try extensions.externalSenders() }
}
