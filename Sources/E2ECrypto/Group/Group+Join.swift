import CryptoPrimitives
import WireCodec

/// A group that we have been invited to, opened and checked but not yet joined.
///
/// Look at the effects; ``adopt()`` makes the group. Letting go of the value declines.
public struct PendingJoin: ~Copyable, Sendable {
  public let effects: JoinEffects
  /// The reference of the key package that was used: erase it, unless it is a last resort.
  public let keyPackageReference: [UInt8]
  let identity: ClientIdentity
  let policy: GroupPolicy
  let state: EpochState
  let psks: PSKStore

  /// Joins.
  public consuming func adopt() -> Group {
    var group = Group(identity: identity, policy: policy, state: state)
    group.psks = psks
    return group
  }
}

extension Group {
  /// Opens a welcome (RFC 9420 section 12.4.3.1).
  ///
  /// That the group's id is not in use already is for the caller to check, on the effects.
  /// - Parameter ratchetTree: the tree, if the welcome does not carry it.
  /// - Parameter resumption: secrets of other groups' epochs that the welcome may name.
  /// - Throws: ``Rule/welcomeOrigin`` if the group is the successor or a branch of another, by which it must be joined:
  ///   see ``origin(ofWelcome:keyPackage:)``; ``MLSError/Code/notForUs`` if the welcome names another key package;
  ///   ``MLSError/Code/missingTree``: fetch it and try again; ``MLSError/Code/unknownPSK``;
  ///   ``MLSError/Code/credentialRefused``; otherwise the rule that the welcome or its tree breaks: decline.
  public static func join(
    welcome: [UInt8], keyPackage: KeyPackageBundle, identity: ClientIdentity, ratchetTree: [UInt8]? = nil,
    psks: [ExternalPSK] = [], resumption: [ResumptionPSK] = [], policy: GroupPolicy = GroupPolicy()
  ) throws(MLSError) -> PendingJoin {
    try join(
      welcome: welcome, keyPackage: keyPackage, identity: identity, ratchetTree: ratchetTree,
      store: PSKStore(external: psks, resumption: resumption), policy: policy, after: nil
    ) { $0.encoded }
  }

  /// Opens a welcome, which must be that of a group that follows `ancestor`, if there is one.
  static func join(
    welcome: [UInt8], keyPackage: KeyPackageBundle, identity: ClientIdentity, ratchetTree: [UInt8]?, store: PSKStore,
    policy: GroupPolicy, after ancestor: Ancestor?, identifiedBy identifier: (Credential) -> [UInt8]
  ) throws(MLSError) -> PendingJoin {
    guard case .welcome(let welcome) = try MLSMessage(strictly: welcome) else { throw MLSError(.unsupported) }
    guard identity.signingKey.publicKey == keyPackage.keyPackage.leafNode.signatureKey else {
      throw MLSError(.identityMismatch)
    }
    let suite = try CipherSuite.algorithms(of: welcome.cipherSuite)
    try Rule.welcomeSuite.require(keyPackage.keyPackage.cipherSuite == welcome.cipherSuite)
    let secrets = try welcome.openSecrets(suite, keyPackage)
    let origin = secrets.psks.lazy.compactMap(GroupOrigin.init).first
    try ancestor.require(origin)
    var store = store
    if let ancestor, let origin { store.origin = try ancestor.resumptionPSK(at: origin.epoch) }
    let pskSecret = try store.combine(suite, secrets.psks)
    store.origin = nil
    let unverified = try welcome.openGroupInfo(suite, joinerSecret: secrets.joinerSecret, pskSecret: pskSecret)
    let (info, tree) = try unverified.verifiedWithTree(
      suite, given: ratchetTree, maxLifetime: policy.maxLifetime, threads: policy.maxThreads)
    if let ancestor, let origin {
      try Rule.welcomeResumptionEpoch.require(info.context.epoch == Epoch(1))
      try ancestor.validate(info.context, tree, from: origin, identifiedBy: identifier)
    }

    let keys = try privateKeys(suite, info, tree, keyPackage, pathSecret: secrets.pathSecret)
    let epochSecrets = try KeySchedule.epochSecrets(
      suite, joinerSecret: secrets.joinerSecret, pskSecret: pskSecret, context: info.context.encoded)
    let state = EpochState(suite, context: info.context, tree: tree, privateKeys: keys, secrets: epochSecrets)
    try Rule.welcomeConfirmation.require(ConstantTime.equal(state.confirmationTag, info.confirmationTag))
    try state.requireCredentials(policy)
    return PendingJoin(
      effects: try state.joinEffects(info, tree: tree), keyPackageReference: suite.keyPackageRef(keyPackage.keyPackage),
      identity: identity, policy: policy, state: state, psks: store)
  }

  /// The own leaf's key, and those that follow from the committer's path.
  private static func privateKeys(
    _ suite: Suite, _ info: GroupInfo, _ tree: RatchetTree, _ keyPackage: KeyPackageBundle, pathSecret: Secret?
  ) throws(MLSError) -> TreePrivate {
    let ownNode = keyPackage.keyPackage.leafNode
    guard let own = tree.memberIndices.first(where: { tree.leaf($0) == ownNode }) else {
      throw MLSError.rejected(.welcomeOwnLeaf)
    }
    try Rule.welcomeSigner.require(own != info.signer)
    var keys = TreePrivate(leaf: own, leafKey: keyPackage.leafKey)
    guard let pathSecret else { return keys }
    try Rule.welcomePathKeys.require(pathSecret.count == suite.hashSize)
    let ancestor = tree.shape.commonAncestor(of: own, info.signer)
    try Rule.welcomePathKeys.require(!tree.isBlank(ancestor))
    let path = tree.shape.directPath(of: own).drop { $0 != ancestor }.filter { !tree.isBlank($0) }
    let derived = try PathSecrets.derive(suite, from: pathSecret, count: path.count)
    for (node, key) in zip(path, derived.keys) {
      try Rule.welcomePathKeys.require(tree.encryptionKey(of: node) == key.publicKey)
      keys.set(key, for: node)
    }
    return keys
  }
}

extension Welcome {
  /// Opens the part that is sealed to a key package.
  func openSecrets(_ suite: Suite, _ keyPackage: KeyPackageBundle) throws(MLSError) -> GroupSecrets {
    let reference = suite.keyPackageRef(keyPackage.keyPackage)
    guard let entry = secrets.first(where: { $0.newMember == reference }) else { throw MLSError(.notForUs) }
    let opened = try suite.open(
      entry.encryptedGroupSecrets, with: keyPackage.initKey, "Welcome", context: encryptedGroupInfo)
    let secrets = try opened.decode { (reader) throws(WireError) in try GroupSecrets(from: &reader) }
    guard secrets.joinerSecret.count == suite.hashSize else { throw MLSError(.malformed) }
    try Rule.welcomeOneResumption.require(secrets.psks.count(where: \.beginsGroup) <= 1)
    for psk in secrets.psks { try Rule.pskNonceLength.require(psk.nonce.count == suite.hashSize) }
    return secrets
  }

  /// Opens the group info; its signature is still to be verified.
  func openGroupInfo(
    _ suite: Suite, joinerSecret: Secret, pskSecret: Secret
  ) throws(MLSError) -> Unverified<GroupInfo> {
    let welcomeSecret = try KeySchedule.welcomeSecret(suite, joinerSecret: joinerSecret, pskSecret: pskSecret)
    let (key, nonce) = try KeySchedule.welcomeKey(suite, welcomeSecret: welcomeSecret)
    let bytes: [UInt8]
    do {
      bytes = try suite.aead.open(key: key, nonce: nonce, ciphertext: encryptedGroupInfo)
    } catch { throw MLSError(.decryptionFailed) }
    return Unverified(try GroupInfo(strictly: bytes))
  }
}

extension Unverified<GroupInfo> {
  /// Checks a group info and the tree that belongs to it (RFC 9420 section 12.4.3.1).
  func verifiedWithTree(
    _ suite: Suite, given: [UInt8]?, maxLifetime: UInt64, threads: Int
  ) throws(MLSError) -> (info: GroupInfo, tree: RatchetTree) {
    let (signer, context, extensions) = claimed
    try Rule.welcomeSuite.require(context.cipherSuite == suite.number)
    try Rule.extensionsUnique.require(!extensions.hasRepeatedTypes && !context.extensions.hasRepeatedTypes)
    try Rule.dictionaryWellFormed.require(context.extensions.hasWellFormedAppData)
    guard let bytes = extensions[type: Extension.ratchetTreeType]?.data ?? given else { throw MLSError(.missingTree) }
    var tree = try RatchetTree(decoding: bytes, suite: suite)
    guard let leaf = tree.leaf(signer) else { throw MLSError.rejected(.welcomeSigner) }
    let info = try verified(suite, key: leaf.signatureKey)
    try tree.validate(context, maxLifetime: maxLifetime, threads: threads)
    return (info, tree)
  }
}

extension EpochState {
  /// `tree` is that of the group info: an external joiner may since have removed the one who signed it.
  func joinEffects(_ info: GroupInfo, tree old: RatchetTree) throws(MLSError) -> JoinEffects {
    guard let signer = old.leaf(info.signer) else { throw MLSError.rejected(.welcomeSigner) }
    let sender = Member(leafIndex: info.signer, leafNode: signer)
    return JoinEffects(
      groupID: groupID, epoch: epoch, members: tree.memberIndices.compactMap { member($0) }, ownLeafIndex: ownLeaf,
      sender: sender, extensions: context.extensions,
      groupInfoExtensions: info.extensions.filter { $0.type != Extension.ratchetTreeType })
  }
}
