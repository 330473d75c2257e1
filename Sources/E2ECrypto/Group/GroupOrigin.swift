import CryptoPrimitives
import WireCodec

/// The group and epoch that a new group follows: its first members show that they were there, by a resumption key with a
/// usage of its own (RFC 9420 sections 11.2 and 11.3).
public struct GroupOrigin: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// The new group takes the place of one that a ReInit has ended.
    case reInit
    /// The new group is of some of the members of another, which goes on.
    case branch
  }

  public let kind: Kind
  public let groupID: GroupID
  public let epoch: Epoch

  init(kind: Kind, groupID: GroupID, epoch: Epoch) {
    self.kind = kind
    self.groupID = groupID
    self.epoch = epoch
  }

  /// None if the key begins no group.
  init?(_ id: PreSharedKeyID) {
    switch id.source {
    case .resumption(.reInit, let groupID, let epoch): self.init(kind: .reInit, groupID: groupID, epoch: epoch)
    case .resumption(.branch, let groupID, let epoch): self.init(kind: .branch, groupID: groupID, epoch: epoch)
    case .external, .resumption(.application, _, _): return nil
    }
  }

  var source: PreSharedKeyID.Source {
    .resumption(usage: kind == .reInit ? .reInit : .branch, groupID: groupID, epoch: epoch)
  }
}

extension PreSharedKeyID {
  /// Whether the key is the sign of a reinitialisation or branch.
  var beginsGroup: Bool { GroupOrigin(self) != nil }
}

extension Group {
  /// Which group a welcome's group follows, if any: find that group here, and join with its
  /// ``joinSuccessor(welcome:keyPackage:identity:ratchetTree:psks:policy:identifiedBy:)`` or
  /// ``joinBranch(welcome:keyPackage:identity:ratchetTree:psks:policy:identifiedBy:)``.
  /// - Throws: as ``join(welcome:keyPackage:identity:ratchetTree:psks:resumption:policy:)``.
  public static func origin(
    ofWelcome welcome: [UInt8], keyPackage: KeyPackageBundle
  ) throws(MLSError) -> GroupOrigin? {
    guard case .welcome(let welcome) = try MLSMessage(strictly: welcome) else { throw MLSError(.unsupported) }
    let suite = try CipherSuite.algorithms(of: welcome.cipherSuite)
    try Rule.welcomeSuite.require(keyPackage.keyPackage.cipherSuite == welcome.cipherSuite)
    return try welcome.openSecrets(suite, keyPackage).psks.lazy.compactMap(GroupOrigin.init).first
  }
}

/// A group of ours as one that another follows: what decides on whether it may.
struct Ancestor: Sendable {
  let kind: GroupOrigin.Kind
  let groupID: GroupID
  let suite: UInt16
  let epoch: Epoch
  /// The members now, and how they differed in the epochs before.
  let tree: RatchetTree
  let past: PastEpochs
  let psks: PSKStore
  let reInit: ReInit?

  /// The secret of an epoch, by which one shows that one was there.
  func resumptionPSK(at epoch: Epoch) throws(MLSError) -> ResumptionPSK {
    let id = PreSharedKeyID(source: .resumption(usage: .application, groupID: groupID, epoch: epoch), nonce: [])
    return ResumptionPSK(groupID: groupID, epoch: epoch, secret: try psks.secret(for: id))
  }

  /// Who was a member in an epoch, the present one or one of those that are kept.
  func credentials(at epoch: Epoch) throws(MLSError) -> [Credential] {
    if epoch == self.epoch { return tree.credentials }
    guard let position = past.position(of: epoch) else { throw MLSError(.epochTooOld) }
    var places = Set(tree.memberIndices)
    for epoch in past.epochs[position...] { places.formUnion(epoch.differences.keys) }
    return places.compactMap { past.sender($0, in: position, current: tree)?.credential }
  }

  /// Checks a group that claims to follow this one (RFC 9420 section 12.4.3.1).
  func validate(
    _ context: GroupContext, _ members: RatchetTree, from origin: GroupOrigin,
    identifiedBy identifier: (Credential) -> [UInt8]
  ) throws(MLSError) {
    // That the version is MLS 1.0 follows from the context having been read.
    switch kind {
    case .reInit:
      guard let reInit else { throw MLSError(.notReInitialised) }
      try Rule.reInitParameters.require(
        reInit.version == ProtocolVersion.mls10 && context.groupID == reInit.groupID
          && context.cipherSuite == reInit.cipherSuite && context.extensions == reInit.extensions)
    case .branch:
      try Rule.branchParameters.require(context.cipherSuite == suite)
      try Rule.branchGroupID.require(context.groupID != groupID)
    }
    try validate(members: members.credentials, at: origin.epoch, identifiedBy: identifier)
  }

  /// Checks who is in a group that follows this one: everybody, or nobody else.
  func validate(
    members: [Credential], at epoch: Epoch, identifiedBy identifier: (Credential) -> [UInt8]
  ) throws(MLSError) {
    let old = Set(try credentials(at: epoch).map(identifier))
    let new = Set(members.map(identifier))
    switch kind {
    case .reInit: try Rule.reInitMembers.require(old.isSubset(of: new))
    case .branch: try Rule.branchMembers.require(new.isSubset(of: old))
    }
  }
}

extension Ancestor? {
  /// Checks that a welcome names just the group by way of which it is joined, or none if there is none.
  func require(_ origin: GroupOrigin?) throws(MLSError) {
    guard let self else { return try Rule.welcomeOrigin.require(origin == nil) }
    guard let origin else { throw MLSError.rejected(.welcomeOrigin) }
    try Rule.welcomeOrigin.require(origin.kind == self.kind && origin.groupID == self.groupID)
    // A successor is of the epoch that the ReInit began; a branch may be of an earlier epoch, if it is still known.
    if self.kind == .reInit { try Rule.welcomeOrigin.require(origin.epoch == self.epoch) }
  }
}

extension RatchetTree {
  fileprivate var credentials: [Credential] { memberIndices.compactMap { leaf($0)?.credential } }
}
