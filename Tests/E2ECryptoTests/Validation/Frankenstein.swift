import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Builds messages that no honest client makes: signed and sealed as they should be, but wrong inside.
extension Client {
  var suiteOf: Suite { group.state.suite }
  var place: LeafPlace { group.ownPlace }

  /// Signs and seals anything as this member, without looking at it.
  func forge(_ content: Content, tag: [UInt8]? = nil) throws -> [UInt8] {
    var signed = try group.sign(content, authenticatedData: [])
    if content.type == .commit { signed.auth.confirmationTag = tag ?? Random.bytes(32) }
    return try group.seal(signed, paddedTo: 0)
  }

  /// A commit of proposals by value, with or without a path that is right as far as the proposals allow.
  func forgeCommit(_ proposals: [Proposal], path: UpdatePath? = nil) throws -> [UInt8] {
    try forge(.commit(Commit(proposals: proposals.map { .proposal($0) }, path: path)))
  }

  /// Signs and tags anything as a PublicMessage of this member, or of somebody else.
  func forgePublic(
    _ content: Content, as sender: Sender? = nil, key: SigningKey? = nil, epoch: Epoch? = nil
  ) throws -> [UInt8] {
    let context = group.groupContext
    let framed = FramedContent(
      groupID: group.groupID, epoch: epoch ?? group.epoch, sender: sender ?? .member(group.ownLeafIndex),
      authenticatedData: [], content: content)
    var signed = try AuthenticatedContent(
      signing: framed, as: .publicMessage, suiteOf, key: key ?? identity.signingKey, context: context)
    if content.type == .commit { signed.auth.confirmationTag = Random.bytes(32) }
    return MLSMessage.publicMessage(
      try PublicMessage(
        protecting: signed, suiteOf, membershipKey: group.state.secrets.membership, context: context)
    ).encoded
  }

  /// A path for a commit without proposals, with a change to the leaf before it is signed.
  func path(
    signedBy key: SigningKey? = nil, changing change: (inout LeafNode) -> Void = { _ in }
  ) throws -> (path: UpdatePath, context: GroupContext) {
    var tree = group.state.tree
    let secrets = try PathSecrets.generate(suiteOf, tree: tree, leaf: group.ownLeafIndex)
    let keys = secrets.keys.map(\.publicKey)
    let hashes = try tree.parentHashes(along: secrets.path, keys: keys)
    var leaf = try #require(tree.leaf(group.ownLeafIndex))
    leaf.encryptionKey = secrets.leafKey.publicKey
    leaf.source = .commit(parentHash: hashes.leaf)
    change(&leaf)
    try leaf.sign(suiteOf, key: key ?? identity.signingKey, at: place)
    let signed = leaf
    _ = try? tree.apply(secrets, leaf: group.ownLeafIndex) { (_) throws(MLSError) in signed }
    var step = EpochStep(
      suite: suiteOf, old: group.state.context, interimTranscriptHash: [], tree: tree, extensions: group.extensions)
    let context = try step.provisionalContext()
    let sealed = try tree.seal(secrets, leafNode: leaf, context: context.encoded, added: [])
    return (sealed, context)
  }

  /// A leaf for an update of this member, changed before it is signed.
  func updateLeaf(
    signedBy key: SigningKey? = nil, at place: LeafPlace? = nil, changing change: (inout LeafNode) -> Void = { _ in }
  ) throws -> LeafNode {
    let own = group.member(at: group.ownLeafIndex)?.leafNode
    var leaf = try #require(own)
    leaf.encryptionKey = HPKEPrivateKey.generate(suiteOf.kem).publicKey
    leaf.source = .update
    change(&leaf)
    try leaf.sign(suiteOf, key: key ?? identity.signingKey, at: place ?? self.place)
    return leaf
  }

  /// A welcome from this member with any group info, tree and path secret: all right but for the joiner secret.
  func forgeWelcome(
    to invitee: Invitee, context: GroupContext, tree: [UInt8], signer: LeafIndex? = nil, signedBy: SigningKey? = nil,
    suite number: UInt16? = nil, pathSecret: Secret? = nil, psks: [PreSharedKeyID] = [], psk: Secret? = nil,
    nodesBesides: [Extension] = []
  ) throws -> [UInt8] {
    var info = GroupInfo(
      context: context, extensions: [Extension(type: Extension.ratchetTreeType, data: tree)] + nodesBesides,
      confirmationTag: Random.bytes(32), signer: signer ?? group.ownLeafIndex)
    try info.sign(suiteOf, key: signedBy ?? identity.signingKey)
    let joiner = Secret.random(count: suiteOf.hashSize)
    let welcomeSecret = try KeySchedule.welcomeSecret(
      suiteOf, joinerSecret: joiner, pskSecret: psk ?? PSKSecret.combine(suiteOf, []))
    let (key, nonce) = try KeySchedule.welcomeKey(suiteOf, welcomeSecret: welcomeSecret)
    let sealed = try suiteOf.aead.seal(key: key, nonce: nonce, plaintext: info.encoded)
    let secrets = GroupSecrets(joinerSecret: joiner, pathSecret: pathSecret, psks: psks).encode()
    let welcome = Welcome(
      cipherSuite: number ?? suiteOf.number,
      secrets: [
        Welcome.EncryptedGroupSecrets(
          newMember: suiteOf.keyPackageRef(invitee.keyPackage),
          encryptedGroupSecrets: try suiteOf.seal(
            secrets, to: invitee.keyPackage.initKey, "Welcome", context: sealed))
      ], encryptedGroupInfo: sealed)
    return MLSMessage.welcome(welcome).encoded
  }

  /// The group as it would be with an invitee in it: what a welcome shows.
  func withMember(_ invitee: Invitee) throws -> (context: GroupContext, nodes: RatchetTree.Nodes) {
    var tree = group.state.tree
    _ = try tree.add(invitee.keyPackage.leafNode)
    var context = group.state.context
    context.epoch = Epoch(context.epoch.rawValue + 1)
    context.treeHash = try tree.rootHash()
    return (context, try RatchetTree.Nodes(decoding: tree.encoded))
  }
}

extension RatchetTree.Nodes {
  /// The hash of these nodes as they are, valid or not.
  func rootHash(_ suite: Suite) throws -> [UInt8] {
    var tree = try RatchetTree(suite: suite, nodes: self)
    return try tree.rootHash()
  }
}

extension Invitee {
  /// A key package changed in any way before leaf and package are signed.
  func forged(
    leafSigner: SigningKey? = nil,
    signer: SigningKey? = nil, initKey: [UInt8]? = nil, number: UInt16? = nil, extensions: [Extension]? = nil,
    changing change: (inout LeafNode) -> Void = { _ in }
  ) throws -> KeyPackage {
    let suite = try CipherSuite.x25519ChaCha20Poly1305.algorithms()
    var leaf = keyPackage.leafNode
    change(&leaf)
    try leaf.sign(suite, key: leafSigner ?? identity.signingKey, at: nil)
    return try KeyPackage(
      cipherSuite: number ?? keyPackage.cipherSuite, initKey: initKey ?? keyPackage.initKey, leafNode: leaf,
      extensions: extensions ?? keyPackage.extensions
    ).signed(suite, key: signer ?? identity.signingKey)
  }
}

/// Expects that `client` refuses a message for `rule`, and that it can go on as if nothing had been.
func expectRefusal(
  _ rule: Rule, by client: Client, of message: [UInt8], _ place: SourceLocation = #_sourceLocation
) throws {
  let before = (client.group.epoch, client.group.treeHash, client.hasPendingProposals)
  do {
    _ = try client.group.receive(message)
    Issue.record("accepted in spite of rule \(rule)", sourceLocation: place)
  } catch {
    #expect(error == MLSError.rejected(rule), sourceLocation: place)
  }
  #expect(client.group.epoch == before.0 && client.group.treeHash == before.1, sourceLocation: place)
  #expect(client.hasPendingProposals == before.2, sourceLocation: place)
}
