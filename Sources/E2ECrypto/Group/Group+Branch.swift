public import WireCodec

/// Subgroup branching (RFC 9420 section 11.3): a new group of some of this group's members, with its version and suite.
/// This group goes on beside it.
extension Group {
  /// Makes a branch of this group.
  ///
  /// - Parameter groupID: must not have been used before; 16 random bytes are good.
  /// - Parameter extensions: those of the new group, which may be others than here.
  /// - Parameter keyPackages: a new one for each other member that is to be in the branch.
  /// - Parameter identifier: what two credentials of one client have in common, such as its name: members are the same if
  ///   it is.
  /// - Throws: ``Rule/branchMembers`` if a key package is of somebody who is not a member here;
  ///   ``Rule/branchGroupID``; otherwise as ``commit(_:includingReceived:options:now:)``.
  public func makeBranch(
    groupID: GroupID, extensions: [Extension] = [], with keyPackages: [KeyPackage], as member: MemberOptions,
    options: CommitOptions = CommitOptions(), now: Timestamp,
    identifiedBy identifier: (Credential) -> [UInt8] = { $0.encoded }
  ) throws(MLSError) -> PendingGroup {
    guard isActive else { throw MLSError(.inactive) }
    try Rule.branchGroupID.require(groupID != self.groupID)
    let new = [member.identity?.credential ?? identity.credential] + keyPackages.map(\.leafNode.credential)
    try ancestor(.branch).validate(members: new, at: epoch, identifiedBy: identifier)
    let parameters = ReInit(groupID: groupID, cipherSuite: state.suite.number, extensions: extensions)
    return try makeGroup(.branch, like: parameters, with: keyPackages, as: member, options: options, now: now)
  }

  /// Opens the welcome to a branch of this group, of its present epoch or one that is still known (RFC 9420 section
  /// 12.4.3.1).
  ///
  /// - Parameter identity: who we are in the new group: that of the key package.
  /// - Parameter identifier: what two credentials of one client have in common.
  /// - Throws: ``Rule/welcomeOrigin`` if the welcome is not for a branch of this group; ``MLSError/Code/unknownPSK`` or
  ///   ``MLSError/Code/epochTooOld`` if it is of an epoch that is no longer known; ``Rule/branchParameters``,
  ///   ``Rule/branchGroupID`` and ``Rule/branchMembers`` if it is not as it should be: decline; otherwise as
  ///   ``join(welcome:keyPackage:identity:ratchetTree:psks:resumption:policy:)``.
  public func joinBranch(
    welcome: [UInt8], keyPackage: KeyPackageBundle, identity: ClientIdentity, ratchetTree: [UInt8]? = nil,
    psks: [ExternalPSK] = [], policy: GroupPolicy? = nil,
    identifiedBy identifier: (Credential) -> [UInt8] = { $0.encoded }
  ) throws(MLSError) -> PendingJoin {
    guard status != .removed else { throw MLSError(.inactive) }
    return try Group.join(
      welcome: welcome, keyPackage: keyPackage, identity: identity, ratchetTree: ratchetTree,
      store: PSKStore(external: psks, resumption: []), policy: policy ?? self.policy, after: ancestor(.branch),
      identifiedBy: identifier)
  }
}
