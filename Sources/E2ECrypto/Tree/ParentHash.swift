import CryptoPrimitives
import WireCodec

extension RatchetTree {
  /// A parent's hash with its child `sibling` (RFC 9420 section 7.9).
  func parentHash(
    encryptionKey: [UInt8], parentHash: [UInt8], siblingTreeHash: [UInt8]
  ) throws(MLSError) -> [UInt8] {
    var writer = Writer(reserving: 160)
    writer.writeVector(encryptionKey)
    writer.writeVector(parentHash)
    writer.writeVector(siblingTreeHash)
    return suite.hash(writer.bytes)
  }

  /// The parent hashes for new keys along a filtered direct path (RFC 9420 section 7.9): of each node's own field, and
  /// of the leaf. They are computed from the root down, each with all the keys above it.
  mutating func parentHashes(
    along path: [(node: NodeIndex, sibling: NodeIndex)], keys: [[UInt8]]
  ) throws(MLSError) -> (nodes: [[UInt8]], leaf: [UInt8]) {
    guard path.count == keys.count else { throw MLSError(.fault) }
    var fields = Array(repeating: [UInt8](), count: path.count)
    var above: [UInt8] = []
    for position in path.indices.reversed() {
      fields[position] = above
      above = try parentHash(
        encryptionKey: keys[position], parentHash: above, siblingTreeHash: try hash(of: path[position].sibling))
    }
    return (fields, above)
  }

  /// Checks that every inner node was set by a member below it (RFC 9420 section 7.9.2), for those who join.
  ///
  /// Each node needs a node D below one of its children that carries its parent hash; since D is itself checked, the
  /// chain comes down to a leaf.
  mutating func verifyParentHashes() throws(MLSError) {
    for place in parents.indices {
      guard let parent = parents[place] else { continue }
      let node = NodeIndex(UInt32(place) * 2 + 1)
      guard let children = node.children else { throw MLSError(.fault) }
      var chains = 0
      chains += try linkCount(from: children.left, to: parent, sibling: children.right)
      chains += try linkCount(from: children.right, to: parent, sibling: children.left)
      try Rule.parentHashValid.require(chains == 1)
    }
  }

  /// How many nodes in the resolution of `child` are linked to `parent` by a parent hash.
  private mutating func linkCount(
    from child: NodeIndex, to parent: ParentNode, sibling: NodeIndex
  ) throws(MLSError) -> Int {
    let resolution = resolution(of: child)
    let unmerged = parent.unmergedLeaves.filter(child.contains).map { NodeIndex($0) }
    // D apart, the resolution consists of the unmerged leaves. Most candidates are ruled out by this count alone.
    guard resolution.count == unmerged.count + 1 else { return 0 }
    let expected = try parentHash(
      encryptionKey: parent.encryptionKey, parentHash: parent.parentHash,
      siblingTreeHash: try hash(of: sibling, without: parent.unmergedLeaves))
    let others = Set(unmerged)
    var found = 0
    for node in resolution where !others.contains(node) {
      let field = node.isLeaf ? leaf(node.leaf)?.parentHash : self.parent(node)?.parentHash
      let rest = resolution.filter { $0 != node }
      if field == expected, Set(rest) == others { found += 1 }
    }
    return found
  }
}
