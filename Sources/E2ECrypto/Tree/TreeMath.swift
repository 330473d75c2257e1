/// A node of the tree in its array form: leaves are even, parents odd (RFC 9420 appendix C).
///
///                     7
///               3           11
///            1     5     9      13
///           0 2   4 6   8 10  12  14      node indices
///           0 1   2 3   4  5   6   7      leaf indices
///
struct NodeIndex: Hashable, Comparable, Sendable {
  let rawValue: UInt32

  init(_ rawValue: UInt32) { self.rawValue = rawValue }
  init(_ leaf: LeafIndex) { rawValue = leaf.rawValue << 1 }

  static func < (left: NodeIndex, right: NodeIndex) -> Bool { left.rawValue < right.rawValue }

  /// The height above the leaves: the number of one bits at the end.
  var level: UInt32 { UInt32((~rawValue).trailingZeroBitCount) }
  var isLeaf: Bool { rawValue & 1 == 0 }
  /// The leaf with this index; meaningful for leaves.
  var leaf: LeafIndex { LeafIndex(rawValue >> 1) }
  /// The place in the array of parents; meaningful for parents.
  var parentPosition: Int { Int(rawValue >> 1) }

  /// The children; none for a leaf.
  var children: (left: NodeIndex, right: NodeIndex)? {
    guard !isLeaf else { return nil }
    let level = level
    return (NodeIndex(rawValue ^ (1 << (level - 1))), NodeIndex(rawValue ^ (3 << (level - 1))))
  }

  /// The leaves below this node, itself included.
  var leaves: Range<UInt32> {
    let span = (UInt32(1) << level) - 1
    return (rawValue - span) >> 1..<((rawValue + span) >> 1) + 1
  }

  /// Whether `leaf` is at or below this node.
  func contains(_ leaf: LeafIndex) -> Bool { leaves.contains(leaf.rawValue) }
}

/// The shape of a tree: always full, so its number of leaves is a power of two.
struct TreeShape: Hashable, Sendable {
  let leafCount: UInt32

  /// The smallest full tree with room for `leaves`.
  init(leaves: Int) {
    var count: UInt32 = 1
    while Int(count) < leaves { count <<= 1 }
    leafCount = count
  }

  var nodeCount: UInt32 { 2 * leafCount - 1 }
  var root: NodeIndex { NodeIndex(leafCount - 1) }

  func contains(_ node: NodeIndex) -> Bool { node.rawValue < nodeCount }
  func contains(_ leaf: LeafIndex) -> Bool { leaf.rawValue < leafCount }

  /// The node above, or none for the root.
  func parent(of node: NodeIndex) -> NodeIndex? {
    guard node != root, contains(node) else { return nil }
    let level = node.level
    let bit = (node.rawValue >> (level + 1)) & 1
    return NodeIndex((node.rawValue | (1 << level)) ^ (bit << (level + 1)))
  }

  /// The other child of the node's parent.
  func sibling(of node: NodeIndex) -> NodeIndex? {
    guard let children = parent(of: node)?.children else { return nil }
    return node == children.left ? children.right : children.left
  }

  /// The nodes above `leaf`, from the lowest to the root.
  func directPath(of leaf: LeafIndex) -> [NodeIndex] {
    var path: [NodeIndex] = []
    var node = NodeIndex(leaf)
    while let parent = parent(of: node) {
      path.append(parent)
      node = parent
    }
    return path
  }

  /// The nodes above `leaf`, each with its child that is not above or at `leaf`.
  func copath(of leaf: LeafIndex) -> [(node: NodeIndex, sibling: NodeIndex)] {
    var path: [(node: NodeIndex, sibling: NodeIndex)] = []
    var node = NodeIndex(leaf)
    while let parent = parent(of: node), let sibling = sibling(of: node) {
      path.append((parent, sibling))
      node = parent
    }
    return path
  }

  /// The lowest node above both leaves.
  func commonAncestor(of first: LeafIndex, _ second: LeafIndex) -> NodeIndex {
    var node = NodeIndex(first)
    while !node.contains(second), let parent = parent(of: node) { node = parent }
    return node
  }
}
