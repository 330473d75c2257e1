public import WireCodec

/// Reinitialisation (RFC 9420 section 11.2): a commit of a ReInit has ended this group, and another with the same members
/// and other parameters takes its place.
///
/// Any member may make the successor. This group still knows what it must be like, its members, and the secret by which
/// they show that they were here; so keep its state until the successor is joined.
extension Group {
  /// Makes the successor of this group: as the ReInit says, with all that were members.
  ///
  /// - Parameter keyPackages: a new one for each other member, for the suite of ``reInit``.
  /// - Parameter identifier: what two credentials of one client have in common, such as its name: members are the same if
  ///   it is.
  /// - Throws: ``MLSError/Code/notReInitialised``; ``Rule/reInitMembers`` if somebody's key package is missing, or one is
  ///   of somebody else; ``MLSError/Code/identityMismatch`` if the suite needs another identity; otherwise as
  ///   ``commit(_:includingReceived:options:now:)``.
  public func makeSuccessor(
    with keyPackages: [KeyPackage], as member: MemberOptions, options: CommitOptions = CommitOptions(), now: Timestamp,
    identifiedBy identifier: (Credential) -> [UInt8] = { $0.encoded }
  ) throws(MLSError) -> PendingGroup {
    guard let reInit else { throw MLSError(.notReInitialised) }
    let ancestor = ancestor(.reInit)
    let new = [member.identity?.credential ?? identity.credential] + keyPackages.map(\.leafNode.credential)
    try ancestor.validate(members: new, at: epoch, identifiedBy: identifier)
    let old = Set(try ancestor.credentials(at: epoch).map(identifier))
    try Rule.reInitMembers.require(new.allSatisfy { old.contains(identifier($0)) })
    return try makeGroup(.reInit, like: reInit, with: keyPackages, as: member, options: options, now: now)
  }

  /// Opens the welcome to the successor of this group (RFC 9420 section 12.4.3.1).
  ///
  /// That all former members are in it is checked. If there are others too, the effects show them.
  /// - Parameter identity: who we are in the new group: that of the key package.
  /// - Parameter identifier: what two credentials of one client have in common.
  /// - Throws: ``MLSError/Code/notReInitialised``; ``Rule/welcomeOrigin`` if the welcome is not for this group's successor;
  ///   ``Rule/reInitParameters`` and ``Rule/reInitMembers`` if it is not as it should be: decline, and another member can
  ///   make it; otherwise as ``join(welcome:keyPackage:identity:ratchetTree:psks:resumption:policy:)``.
  public func joinSuccessor(
    welcome: [UInt8], keyPackage: KeyPackageBundle, identity: ClientIdentity, ratchetTree: [UInt8]? = nil,
    psks: [ExternalPSK] = [], policy: GroupPolicy? = nil,
    identifiedBy identifier: (Credential) -> [UInt8] = { $0.encoded }
  ) throws(MLSError) -> PendingJoin {
    guard reInit != nil else { throw MLSError(.notReInitialised) }
    return try Group.join(
      welcome: welcome, keyPackage: keyPackage, identity: identity, ratchetTree: ratchetTree,
      store: PSKStore(external: psks, resumption: []), policy: policy ?? self.policy, after: ancestor(.reInit),
      identifiedBy: identifier)
  }
}
