#if DEBUG
import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

extension JSON {
  /// The case's cipher suite; a case of one that is not offered is skipped.
  func suite() throws -> Suite {
    let number = try uint16("cipher_suite")
    guard CipherSuite(rawValue: number).isSupported else {
      throw Finding.skipped("cipher suite \(number) is not supported")
    }
    return try CipherSuite.algorithms(of: number)
  }

  func leaf(_ name: String) throws -> LeafIndex { LeafIndex(try uint32(name)) }
}

/// The kinds that are about the ratchet tree.
enum TreeChecks {
  static func treeMath(_ vector: JSON) throws {
    let leaves = try vector.int("n_leaves")
    try require((1...Bounds.leaves).contains(leaves), "n_leaves is out of bounds")
    let shape = TreeShape(leaves: leaves)
    try require(Int(shape.nodeCount) == vector.int("n_nodes"), "n_nodes is another")
    try require(Int(shape.root.rawValue) == vector.int("root"), "root is another")
    let relatives: [(name: String, find: (NodeIndex) -> NodeIndex?)] = [
      ("left", { $0.children?.left }), ("right", { $0.children?.right }), ("parent", shape.parent),
      ("sibling", shape.sibling),
    ]
    for (name, find) in relatives {
      let expected = try vector.list(name)
      try require(expected.count == Int(shape.nodeCount), "\(name) has another length")
      for (place, entry) in expected.enumerated() {
        let found = find(NodeIndex(UInt32(place))).map { Int($0.rawValue) }
        try require(try found == (entry.isNull ? nil : entry.int), "\(name)[\(place)] is another")
      }
    }
  }

  static func treeOperations(_ vector: JSON) throws {
    let suite = try vector.suite()
    var tree = try RatchetTree(decoding: vector.hex("tree_before"), suite: suite)
    try vector.expect("tree_hash_before", try tree.rootHash())
    switch try Proposal(decoding: vector.hex("proposal")) {
    case .add(let keyPackage): _ = try tree.add(keyPackage.leafNode)
    case .remove(let leaf):
      try require(tree.leaf(leaf) != nil, "the proposal removes nobody")
      tree.release([leaf])
      tree.removeReleased(leaf)
      tree.truncate()
    case .update(let node):
      let leaf = try vector.leaf("proposal_sender")
      try require(tree.leaf(leaf) != nil, "proposal_sender is nobody")
      tree.release([leaf])
      try tree.update(leaf, to: node)
    default: throw Finding.failed("the proposal is of another kind")
    }
    try vector.expect("tree_after", tree.encoded)
    try vector.expect("tree_hash_after", try tree.rootHash())
  }

  static func treeValidation(_ vector: JSON) throws {
    let suite = try vector.suite()
    var tree = try RatchetTree(decoding: vector.hex("tree"), suite: suite)
    try require(try tree.encoded == vector.hex("tree"), "tree does not come out as it went in")
    let (hashes, resolutions) = (try vector.list("tree_hashes"), try vector.list("resolutions"))
    try require(hashes.count == Int(tree.shape.nodeCount), "tree_hashes has another length")
    try require(resolutions.count == Int(tree.shape.nodeCount), "resolutions has another length")
    for place in hashes.indices {
      let node = NodeIndex(UInt32(place))
      try require(try tree.hash(of: node) == hashes[place].hex, "tree_hashes[\(place)] is another")
      let found = tree.resolution(of: node).map { Int($0.rawValue) }
      try require(try found == resolutions[place].list.map { try $0.int }, "resolutions[\(place)] is another")
    }
    let context = GroupContext(
      cipherSuite: suite.number, groupID: GroupID(try vector.hex("group_id")), epoch: Epoch(0),
      treeHash: try tree.rootHash(), confirmedTranscriptHash: [], extensions: [])
    try tree.validate(context, maxLifetime: .max)
  }

  // MARK: TreeKEM

  static func treeKEM(_ vector: JSON) throws {
    let suite = try vector.suite()
    var tree = try RatchetTree(decoding: vector.hex("ratchet_tree"), suite: suite)
    let context = GroupContext(
      cipherSuite: suite.number, groupID: GroupID(try vector.hex("group_id")), epoch: Epoch(try vector.uint64("epoch")),
      treeHash: try tree.rootHash(), confirmedTranscriptHash: try vector.hex("confirmed_transcript_hash"),
      extensions: [])
    var members: [LeafIndex: (keys: TreePrivate, signer: SigningKey)] = [:]
    for entry in try vector.list("leaves_private") {
      let leaf = try entry.leaf("index")
      var keys = TreePrivate(
        leaf: leaf, leafKey: try HPKEPrivateKey(kem: suite.kem, serialized: entry.secret("encryption_priv")))
      for secret in try entry.list("path_secrets") {
        let key = try suite.deriveKeyPair(suite.deriveSecret(secret.secret("path_secret"), "node"))
        keys.set(key, for: NodeIndex(try secret.uint32("node")))
      }
      try require(keys.isConsistent(with: tree), "leaves_private of leaf \(leaf) does not fit the tree")
      members[leaf] = (keys, try SigningKey(scheme: suite.signature, seed: entry.secret("signature_priv")))
    }
    try require(Set(members.keys) == Set(tree.memberIndices), "leaves_private is not that of all leaves")
    for update in try vector.list("update_paths") {
      try follow(update, tree, context, members)
      try replace(update, tree, context, members)
    }
  }

  /// Takes in the path of the vector, as each of the others.
  private static func follow(
    _ vector: JSON, _ tree: RatchetTree, _ context: GroupContext,
    _ members: [LeafIndex: (keys: TreePrivate, signer: SigningKey)]
  ) throws {
    let sender = try vector.leaf("sender")
    try require(tree.leaf(sender) != nil, "sender is nobody")
    let update = try UpdatePath(decoding: vector.hex("update_path"))
    var updated = tree
    let path = try updated.apply(update, from: sender)
    var provisional = context
    provisional.treeHash = try updated.rootHash()
    try vector.expect("tree_hash_after", provisional.treeHash)
    for (leaf, member) in members where leaf != sender {
      let (_, secret) = try updated.openPathSecret(
        update, path: path, private: member.keys, context: provisional.encoded, added: [])
      let expected = try vector.field("path_secrets").entry(leaf.position).hex
      try require(secret == Secret(copying: expected), "path_secrets[\(leaf)] is another")
      var keys = member.keys
      let commitSecret = try updated.open(
        update, path: path, private: &keys, context: provisional.encoded, added: [])
      try vector.expect("commit_secret", commitSecret)
      try require(keys.isConsistent(with: updated), "the keys of leaf \(leaf) do not fit the updated tree")
    }
  }

  /// Makes a path of our own in place of the vector's, which all others must be able to open.
  private static func replace(
    _ vector: JSON, _ tree: RatchetTree, _ context: GroupContext,
    _ members: [LeafIndex: (keys: TreePrivate, signer: SigningKey)]
  ) throws {
    let suite = tree.suite
    let sender = try vector.leaf("sender")
    guard let old = tree.leaf(sender), let signer = members[sender]?.signer else {
      throw Finding.failed("sender is nobody")
    }
    var own = tree
    let secrets = try PathSecrets.generate(suite, tree: own, leaf: sender)
    let place = LeafPlace(groupID: context.groupID, index: sender)
    let node = try own.apply(secrets, leaf: sender) { (parentHash) throws(MLSError) in
      var leaf = old
      leaf.encryptionKey = secrets.leafKey.publicKey
      leaf.source = .commit(parentHash: parentHash)
      try leaf.sign(suite, key: signer, at: place)
      return leaf
    }
    var provisional = context
    provisional.treeHash = try own.rootHash()
    let made = try own.seal(secrets, leafNode: node, context: provisional.encoded, added: [])
    for (leaf, member) in members where leaf != sender {
      var theirs = tree
      let path = try theirs.apply(made, from: sender)
      var keys = member.keys
      let found = try theirs.open(made, path: path, private: &keys, context: provisional.encoded, added: [])
      try require(found == secrets.commitSecret, "leaf \(leaf) opens another commit secret than we sealed")
      try require(try theirs.rootHash() == provisional.treeHash, "leaf \(leaf) comes to another tree than we made")
    }
    try own.verifyParentHashes()
  }
}
#endif
