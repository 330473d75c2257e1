import CryptoPrimitives

/// The public half of the ratchet tree (RFC 9420 sections 4 and 7): leaves and inner nodes in two flat arrays, with the
/// tree hashes that are known.
///
/// A change forgets the hashes on the way from the changed node to the root, and no others. A copy (for a pending commit)
/// shares with the original all that it does not change.
struct RatchetTree: Sendable {
  /// A leaf, immutable and shared between copies of the tree.
  final class Leaf: Sendable {
    let node: LeafNode
    init(_ node: LeafNode) { self.node = node }
  }

  let suite: Suite
  private(set) var shape: TreeShape
  private(set) var leaves: ChunkedArray<Leaf?>
  private(set) var parents: ChunkedArray<ParentNode?>
  private(set) var index = TreeIndex()
  var hashes: TreeHashCache
  /// No leaf before this place is blank.
  private var firstBlankHint = 0

  /// The tree of a group of one.
  init(suite: Suite, creator: LeafNode) throws(MLSError) {
    self.suite = suite
    shape = TreeShape(leaves: 1)
    leaves = ChunkedArray([Leaf(creator)])
    parents = ChunkedArray()
    hashes = TreeHashCache(nodeCount: 1, hashLength: suite.hashSize)
    try index.insert(creator)
  }

  /// A tree from its nodes, in their places. Duplicate keys are refused here; all else is for ``validate(_:)``.
  init(suite: Suite, leaves: [LeafNode?], parents: [ParentNode?]) throws(MLSError) {
    self.suite = suite
    shape = TreeShape(leaves: leaves.count)
    guard leaves.count == Int(shape.leafCount), parents.count == leaves.count - 1 else { throw MLSError(.fault) }
    self.leaves = ChunkedArray(leaves.lazy.map { $0.map(Leaf.init) })
    self.parents = ChunkedArray(parents)
    hashes = TreeHashCache(nodeCount: Int(shape.nodeCount), hashLength: suite.hashSize)
    for case .some(let leaf) in leaves { try index.insert(leaf) }
    for case .some(let parent) in parents {
      try Rule.welcomeKeysUnique.require(index.insert(key: parent.encryptionKey))
    }
  }

  // MARK: Reading

  func leaf(_ leaf: LeafIndex) -> LeafNode? {
    leaf.position < leaves.count ? leaves[leaf.position]?.node : nil
  }

  func parent(_ node: NodeIndex) -> ParentNode? {
    node.parentPosition < parents.count ? parents[node.parentPosition] : nil
  }

  func isBlank(_ node: NodeIndex) -> Bool {
    node.isLeaf ? leaf(node.leaf) == nil : parent(node) == nil
  }

  func encryptionKey(of node: NodeIndex) -> [UInt8]? {
    node.isLeaf ? leaf(node.leaf)?.encryptionKey : parent(node)?.encryptionKey
  }

  /// The nodes whose keys together reach all members below `node` (RFC 9420 section 4.1.1).
  func resolution(of node: NodeIndex) -> [NodeIndex] {
    var found: [NodeIndex] = []
    resolve(node, into: &found)
    return found
  }

  private func resolve(_ node: NodeIndex, into found: inout [NodeIndex]) {
    if node.isLeaf {
      if leaves[node.leaf.position] != nil { found.append(node) }
    } else if let parent = parents[node.parentPosition] {
      found.append(node)
      for leaf in parent.unmergedLeaves { found.append(NodeIndex(leaf)) }
    } else if let children = node.children {
      resolve(children.left, into: &found)
      resolve(children.right, into: &found)
    }
  }

  /// Whether there is no member below `node`.
  func isEmpty(below node: NodeIndex) -> Bool {
    if node.isLeaf { return leaves[node.leaf.position] == nil }
    if parents[node.parentPosition] != nil { return false }
    guard let children = node.children else { return true }
    return isEmpty(below: children.left) && isEmpty(below: children.right)
  }

  /// The nodes above `leaf` whose other child has members below it (RFC 9420 section 4.1.2).
  func filteredDirectPath(of leaf: LeafIndex) -> [(node: NodeIndex, sibling: NodeIndex)] {
    shape.copath(of: leaf).filter { !isEmpty(below: $0.sibling) }
  }

  /// All members' places, in order.
  var memberIndices: [LeafIndex] {
    leaves.indices.compactMap { leaves[$0] == nil ? nil : LeafIndex(UInt32($0)) }
  }

  // MARK: Changing

  /// Where the next new member goes: the first blank leaf, in a bigger tree if there is none (RFC 9420 section 12.1.1).
  mutating func makeRoom() throws(MLSError) -> LeafIndex {
    while firstBlankHint < leaves.count, leaves[firstBlankHint] != nil { firstBlankHint += 1 }
    if firstBlankHint == leaves.count {
      guard leaves.count < Bounds.leaves else { throw MLSError(.outOfBounds) }
      leaves.grow(to: 2 * leaves.count, with: nil)
      parents.grow(to: leaves.count - 1, with: nil)
      shape = TreeShape(leaves: leaves.count)
      hashes.resize(nodeCount: Int(shape.nodeCount))
    }
    return LeafIndex(UInt32(firstBlankHint))
  }

  /// Adds a member (RFC 9420 section 12.1.1).
  mutating func add(_ node: LeafNode) throws(MLSError) -> LeafIndex {
    let place = try makeRoom()
    try index.insert(node)
    leaves[place.position] = Leaf(node)
    hashes.forget(NodeIndex(place))
    for above in shape.directPath(of: place) {
      hashes.forget(above)
      parents[above.parentPosition]?.insertUnmerged(place)
    }
    return place
  }

  /// Takes leaves out of the index, so that new values can be checked against what remains of all of them.
  mutating func release(_ places: [LeafIndex]) {
    for place in places { if let leaf = leaf(place) { index.remove(leaf) } }
  }

  /// Replaces a released leaf and blanks the nodes above it (RFC 9420 section 12.1.2).
  mutating func update(_ place: LeafIndex, to node: LeafNode) throws(MLSError) {
    try index.insert(node)
    leaves[place.position] = Leaf(node)
    hashes.forget(NodeIndex(place))
    blankPath(of: place)
  }

  /// Blanks a released leaf and the nodes above it (RFC 9420 section 12.1.3). ``truncate()`` is left to the caller, since
  /// a commit removes all before it truncates.
  mutating func removeReleased(_ place: LeafIndex) {
    leaves[place.position] = nil
    firstBlankHint = min(firstBlankHint, place.position)
    hashes.forget(NodeIndex(place))
    blankPath(of: place)
  }

  private mutating func blankPath(of place: LeafIndex) {
    for above in shape.directPath(of: place) {
      hashes.forget(above)
      if let parent = parents[above.parentPosition] {
        index.remove(key: parent.encryptionKey)
        parents[above.parentPosition] = nil
      }
    }
  }

  /// Halves the tree while its right half is empty (RFC 9420 section 7.7).
  mutating func truncate() {
    // Nobody is left where an external joiner takes the place of the last member: one blank leaf remains.
    let smaller = TreeShape(leaves: (leaves.lastIndex { $0 != nil } ?? 0) + 1)
    guard smaller.leafCount < shape.leafCount else { return }
    for case .some(let parent) in parents[Int(smaller.leafCount - 1)...] { index.remove(key: parent.encryptionKey) }
    leaves.shrink(to: Int(smaller.leafCount))
    parents.shrink(to: Int(smaller.leafCount) - 1)
    shape = smaller
    hashes.resize(nodeCount: Int(smaller.nodeCount))
    firstBlankHint = min(firstBlankHint, leaves.count)
  }

  /// Puts a committer's new leaf and keys in place (RFC 9420 section 7.5). `keys` are those of the filtered direct path,
  /// from the lowest up; the leaf's old value may be there or, for an external joiner, not.
  ///
  /// Throws if a key is in the tree already, the tree then being of no more use.
  mutating func apply(
    leaf node: LeafNode, at place: LeafIndex, keys: [(node: NodeIndex, key: [UInt8], parentHash: [UInt8])]
  ) throws(MLSError) {
    if let old = leaf(place) { index.remove(old) }
    blankPath(of: place)
    try index.insert(node)
    leaves[place.position] = Leaf(node)
    hashes.forget(NodeIndex(place))
    for (node, key, parentHash) in keys {
      try Rule.pathKeysAreNew.require(index.insert(key: key))
      parents[node.parentPosition] = ParentNode(encryptionKey: key, parentHash: parentHash)
    }
  }
}

extension ParentNode {
  /// Enters a leaf in its place; the last place is by far the most common.
  mutating func insertUnmerged(_ leaf: LeafIndex) {
    guard let last = unmergedLeaves.last, last > leaf else { return unmergedLeaves.append(leaf) }
    let place = unmergedLeaves.firstIndex { $0 > leaf } ?? unmergedLeaves.endIndex
    unmergedLeaves.insert(leaf, at: place)
  }
}
