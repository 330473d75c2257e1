import CryptoPrimitives

/// Fresh keys for a committer's path, before they are sealed to the others (RFC 9420 sections 7.4 and 7.5).
struct PathSecrets: Sendable {
  let path: [(node: NodeIndex, sibling: NodeIndex)]
  let secrets: [Secret]
  let keys: [HPKEPrivateKey]
  let leafKey: HPKEPrivateKey
  let commitSecret: Secret

  /// Draws a path for a leaf of the tree that the proposals lead to.
  static func generate(_ suite: Suite, tree: borrowing RatchetTree, leaf: LeafIndex) throws(MLSError) -> PathSecrets {
    try PathSecrets(
      suite, path: tree.filteredDirectPath(of: leaf), first: .random(count: suite.hashSize),
      leafKey: HPKEPrivateKey.generate(suite.kem))
  }

  private init(
    _ suite: Suite, path: [(node: NodeIndex, sibling: NodeIndex)], first: Secret, leafKey: HPKEPrivateKey
  ) throws(MLSError) {
    self.path = path
    self.leafKey = leafKey
    (secrets, keys, commitSecret) = try Self.derive(suite, from: first, count: path.count)
  }

  /// The path secrets from the first on, their key pairs, and the commit secret that follows the last.
  static func derive(
    _ suite: Suite, from first: Secret, count: Int
  ) throws(MLSError) -> (secrets: [Secret], keys: [HPKEPrivateKey], commitSecret: Secret) {
    var secrets: [Secret] = []
    var keys: [HPKEPrivateKey] = []
    var secret = first
    for _ in 0..<count {
      secrets.append(secret)
      let expander = suite.expander(secret)
      keys.append(try suite.deriveKeyPair(try expander.derive("node")))
      secret = try expander.derive("path")
    }
    return (secrets, keys, secret)
  }

  /// The secret that a new member needs: of the lowest node above both it and the committer (RFC 9420 section 12.4.3.1).
  func secret(for newMember: LeafIndex) -> Secret? {
    path.firstIndex { $0.node.contains(newMember) }.map { secrets[$0] }
  }
}

extension RatchetTree {
  /// Puts fresh keys along the path of `leaf`; `make` signs the new leaf with the parent hash that it is given.
  mutating func apply(
    _ secrets: PathSecrets, leaf: LeafIndex, _ make: (_ parentHash: [UInt8]) throws(MLSError) -> LeafNode
  ) throws(MLSError) -> LeafNode {
    let publicKeys = secrets.keys.map(\.publicKey)
    let hashes = try parentHashes(along: secrets.path, keys: publicKeys)
    let node = try make(hashes.leaf)
    try apply(leaf: node, at: leaf, keys: entries(secrets.path, publicKeys, hashes.nodes))
    return node
  }

  /// Seals path secrets to all members but the committer and those that `added` names, who get theirs in the welcome.
  func seal(
    _ secrets: PathSecrets, leafNode: LeafNode, context: [UInt8], added: Set<NodeIndex>, threads: Int = 1
  ) throws(MLSError) -> UpdatePath {
    let sealer = suite.sealer("UpdatePathNode", context: context)
    var receivers: [(secret: Secret, key: [UInt8])] = []
    var ends: [Int] = []
    for (secret, step) in zip(secrets.secrets, secrets.path) {
      for node in resolution(of: step.sibling) where !added.contains(node) {
        guard let key = encryptionKey(of: node) else { throw MLSError(.fault) }
        receivers.append((secret, key))
      }
      ends.append(receivers.count)
    }
    let sealed = try Parallel.map(receivers.count, workers: threads) { [receivers] (place) throws(MLSError) in
      try sealer.seal(receivers[place].secret, to: receivers[place].key)
    }
    let nodes = ends.indices.map { position in
      UpdatePath.Node(
        encryptionKey: secrets.keys[position].publicKey,
        encryptedPathSecrets: Array(sealed[(position == 0 ? 0 : ends[position - 1])..<ends[position]]))
    }
    return UpdatePath(leafNode: leafNode, nodes: nodes)
  }

  /// Puts another's path in place, after checking its form, keys and parent hash (RFC 9420 sections 7.5 and 12.4.2).
  ///
  /// The leaf itself has been validated before. Returns the filtered direct path for ``open(_:path:private:context:added:)``.
  mutating func apply(
    _ update: UpdatePath, from sender: LeafIndex
  ) throws(MLSError) -> [(node: NodeIndex, sibling: NodeIndex)] {
    let path = filteredDirectPath(of: sender)
    try Rule.pathLength.require(path.count == update.nodes.count)
    if let old = leaf(sender) {
      try Rule.pathLeafKeyIsNew.require(old.encryptionKey != update.leafNode.encryptionKey)
    }
    try Rule.pathKeysAreNew.require(!index.containsEncryptionKey(update.leafNode.encryptionKey))
    let keys = update.nodes.map(\.encryptionKey)
    for key in keys {
      try Rule.leafKeysWellFormed.require(suite.kem.isValidPublicKey(key))
      try Rule.pathKeysAreNew.require(!index.containsEncryptionKey(key))
    }
    let hashes = try parentHashes(along: path, keys: keys)
    try Rule.pathParentHash.require(update.leafNode.parentHash == hashes.leaf)
    try apply(leaf: update.leafNode, at: sender, keys: entries(path, keys, hashes.nodes))
    return path
  }

  private func entries(
    _ path: [(node: NodeIndex, sibling: NodeIndex)], _ keys: [[UInt8]], _ hashes: [[UInt8]]
  ) -> [(node: NodeIndex, key: [UInt8], parentHash: [UInt8])] {
    path.indices.map { (path[$0].node, keys[$0], hashes[$0]) }
  }

  /// Opens the path secret that is for us and takes over the keys that follow from it (RFC 9420 section 7.5). Returns the
  /// commit secret. `context` is the provisional group context.
  func open(
    _ update: UpdatePath, path: [(node: NodeIndex, sibling: NodeIndex)], private keys: inout TreePrivate,
    context: [UInt8], added: Set<NodeIndex>
  ) throws(MLSError) -> Secret {
    let (position, secret) = try openPathSecret(update, path: path, private: keys, context: context, added: added)
    let derived = try PathSecrets.derive(suite, from: secret, count: path.count - position)
    for (offset, key) in derived.keys.enumerated() {
      try Rule.pathKeysMatch.require(key.publicKey == update.nodes[position + offset].encryptionKey)
      keys.set(key, for: path[position + offset].node)
    }
    keys.prune(to: self)
    return derived.commitSecret
  }

  /// The secret of the lowest node above both the committer and us, and that node's place on the path.
  func openPathSecret(
    _ update: UpdatePath, path: [(node: NodeIndex, sibling: NodeIndex)], private keys: TreePrivate,
    context: [UInt8], added: Set<NodeIndex>
  ) throws(MLSError) -> (position: Int, secret: Secret) {
    var found: (position: Int, sealed: HPKECiphertext, key: HPKEPrivateKey)?
    for (position, step) in path.enumerated() {
      // Every member checks all counts, so that all agree whether the commit is valid.
      let receivers = resolution(of: step.sibling).filter { !added.contains($0) }
      let sealed = update.nodes[position].encryptedPathSecrets
      try Rule.pathCiphertexts.require(receivers.count == sealed.count)
      guard step.sibling.contains(keys.leaf) else { continue }
      for (receiver, sealed) in zip(receivers, sealed) {
        if let key = keys.key(for: receiver) { found = (position, sealed, key) }
      }
    }
    guard let found else { throw MLSError(.fault) }
    let secret = try suite.open(found.sealed, with: found.key, "UpdatePathNode", context: context)
    try Rule.pathKeysMatch.require(secret.count == suite.hashSize)
    return (found.position, secret)
  }
}
