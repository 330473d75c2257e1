import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

@Suite struct TreeVectorTests {
  @Test func treeMath() throws {
    try VectorFile.each("tree-math", bySuite: false) { vector in
      let shape = TreeShape(leaves: vector["n_leaves"].int)
      #expect(Int(shape.nodeCount) == vector["n_nodes"].int)
      #expect(Int(shape.root.rawValue) == vector["root"].int)
      for place in 0..<vector["n_nodes"].int {
        let node = NodeIndex(UInt32(place))
        func expect(_ found: NodeIndex?, _ key: String) {
          let expected = vector[key][place]
          #expect(found.map { Int($0.rawValue) } == (expected.isNull ? nil : expected.int), "\(key) of \(place)")
        }
        expect(node.children?.left, "left")
        expect(node.children?.right, "right")
        expect(shape.parent(of: node), "parent")
        expect(shape.sibling(of: node), "sibling")
      }
    }
  }

  @Test func treeOperations() throws {
    try VectorFile.each("tree-operations") { vector in
      let suite = try vector.suite()
      var tree = try RatchetTree(decoding: vector["tree_before"].hex, suite: suite)
      #expect(try tree.rootHash() == vector["tree_hash_before"].hex)
      switch try Proposal(decoding: vector["proposal"].hex) {
      case .add(let keyPackage): _ = try tree.add(keyPackage.leafNode)
      case .remove(let leaf):
        tree.release([leaf])
        tree.removeReleased(leaf)
        tree.truncate()
      case .update(let node):
        let leaf = LeafIndex(UInt32(vector["proposal_sender"].int))
        tree.release([leaf])
        try tree.update(leaf, to: node)
      default: Issue.record("a proposal of another kind")
      }
      #expect(tree.encoded == vector["tree_after"].hex)
      #expect(try tree.rootHash() == vector["tree_hash_after"].hex)
    }
  }

  @Test func treeValidation() throws {
    try VectorFile.each("tree-validation") { vector in
      let suite = try vector.suite()
      var tree = try RatchetTree(decoding: vector["tree"].hex, suite: suite)
      #expect(tree.encoded == vector["tree"].hex)
      for (place, hash) in vector["tree_hashes"].list.enumerated() {
        #expect(try tree.hash(of: NodeIndex(UInt32(place))) == hash.hex)
      }
      for (place, resolution) in vector["resolutions"].list.enumerated() {
        let found = tree.resolution(of: NodeIndex(UInt32(place))).map { Int($0.rawValue) }
        #expect(found == resolution.list.map(\.int))
      }
      let context = GroupContext(
        cipherSuite: suite.number, groupID: GroupID(vector["group_id"].hex), epoch: Epoch(0),
        treeHash: try tree.rootHash(), confirmedTranscriptHash: [], extensions: [])
      try tree.validate(context, maxLifetime: .max)
    }
  }

  @Test func treeKEM() throws {
    try VectorFile.each("treekem") { vector in
      let suite = try vector.suite()
      var tree = try RatchetTree(decoding: vector["ratchet_tree"].hex, suite: suite)
      let context = GroupContext(
        cipherSuite: suite.number, groupID: GroupID(vector["group_id"].hex), epoch: Epoch(vector["epoch"].uint64),
        treeHash: try tree.rootHash(), confirmedTranscriptHash: vector["confirmed_transcript_hash"].hex,
        extensions: [])
      var privates: [LeafIndex: TreePrivate] = [:]
      var signers: [LeafIndex: SigningKey] = [:]
      for entry in vector["leaves_private"].list {
        let leaf = LeafIndex(UInt32(entry["index"].int))
        var keys = TreePrivate(
          leaf: leaf, leafKey: try HPKEPrivateKey(kem: suite.kem, serialized: entry["encryption_priv"].secret))
        for secret in entry["path_secrets"].list {
          let key = try suite.deriveKeyPair(suite.deriveSecret(secret["path_secret"].secret, "node"))
          keys.set(key, for: NodeIndex(UInt32(secret["node"].int)))
        }
        #expect(keys.isConsistent(with: tree))
        privates[leaf] = keys
        signers[leaf] = try SigningKey(scheme: suite.signature, seed: entry["signature_priv"].secret)
      }
      for update in vector["update_paths"].list {
        try check(update, tree, context, privates, signers)
      }
    }
  }

  private func check(
    _ vector: JSON, _ tree: RatchetTree, _ context: GroupContext, _ privates: [LeafIndex: TreePrivate],
    _ signers: [LeafIndex: SigningKey]
  ) throws {
    let suite = tree.suite
    let sender = LeafIndex(UInt32(vector["sender"].int))
    let update = try UpdatePath(decoding: vector["update_path"].hex)
    var updated = tree
    let path = try updated.apply(update, from: sender)
    var provisional = context
    provisional.treeHash = try updated.rootHash()
    #expect(provisional.treeHash == vector["tree_hash_after"].hex)
    for (leaf, keys) in privates where leaf != sender {
      let (_, secret) = try updated.openPathSecret(
        update, path: path, private: keys, context: provisional.encoded, added: [])
      expectEqual(secret, vector["path_secrets"][leaf.position].hex, "path secret")
      var keys = keys
      let commitSecret = try updated.open(
        update, path: path, private: &keys, context: provisional.encoded, added: [])
      expectEqual(commitSecret, vector["commit_secret"].hex, "commit secret")
      #expect(keys.isConsistent(with: updated))
    }

    // Our own path, which all others must be able to open.
    var own = tree
    let secrets = try PathSecrets.generate(suite, tree: own, leaf: sender)
    let signer = try #require(signers[sender])
    let old = try #require(own.leaf(sender))
    let place = LeafPlace(groupID: context.groupID, index: sender)
    let node = try own.apply(secrets, leaf: sender) { (parentHash) throws(MLSError) in
      var leaf = old
      leaf.encryptionKey = secrets.leafKey.publicKey
      leaf.source = .commit(parentHash: parentHash)
      try leaf.sign(suite, key: signer, at: place)
      return leaf
    }
    provisional.treeHash = try own.rootHash()
    let made = try own.seal(secrets, leafNode: node, context: provisional.encoded, added: [])
    for (leaf, keys) in privates where leaf != sender {
      var theirs = tree
      let path = try theirs.apply(made, from: sender)
      var keys = keys
      let found = try theirs.open(made, path: path, private: &keys, context: provisional.encoded, added: [])
      #expect(found == secrets.commitSecret)
      #expect(try theirs.rootHash() == provisional.treeHash)
    }
    try own.verifyParentHashes()
  }
}
