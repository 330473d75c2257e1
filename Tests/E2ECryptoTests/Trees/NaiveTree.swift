import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

/// The ratchet tree as RFC 9420's text has it: a picture of leaves, and of inner nodes by the leaves that they span. Nothing
/// is kept that could be computed, and none of the arithmetic of the array form is used.
struct NaiveTree {
  /// A node, by the first of its leaves and their number, which is a power of two.
  struct Span: Hashable {
    let first: Int
    let count: Int

    var isLeaf: Bool { count == 1 }
    var left: Span { Span(first: first, count: count / 2) }
    var right: Span { Span(first: first + count / 2, count: count / 2) }
    func contains(_ leaf: Int) -> Bool { leaf >= first && leaf < first + count }
    func contains(_ other: Span) -> Bool { contains(other.first) && other.count <= count }
    /// The node's place in the array form, read off the picture in appendix C.
    var nodeIndex: NodeIndex { NodeIndex(UInt32(2 * first + count - 1)) }
  }

  let suite: Suite
  var leaves: [LeafNode?]
  var parents: [Span: ParentNode] = [:]

  var root: Span { Span(first: 0, count: leaves.count) }
  var members: [Int] { leaves.indices.filter { leaves[$0] != nil } }

  /// All nodes from left to right.
  var spans: [Span] {
    func inOrder(_ span: Span) -> [Span] { span.isLeaf ? [span] : inOrder(span.left) + [span] + inOrder(span.right) }
    return inOrder(root)
  }

  /// The nodes above a leaf, from the lowest up.
  func path(of leaf: Int) -> [Span] {
    spans.filter { !$0.isLeaf && $0.contains(leaf) }.sorted { $0.count < $1.count }
  }

  func isBlank(_ span: Span) -> Bool { span.isLeaf ? leaves[span.first] == nil : parents[span] == nil }

  // MARK: Section 4.1

  func resolution(_ span: Span) -> [Span] {
    if span.isLeaf { return isBlank(span) ? [] : [span] }
    guard let parent = parents[span] else { return resolution(span.left) + resolution(span.right) }
    return [span] + parent.unmergedLeaves.map { Span(first: $0.position, count: 1) }
  }

  func filteredPath(of leaf: Int) -> [(node: Span, sibling: Span)] {
    path(of: leaf).map { ($0, $0.left.contains(leaf) ? $0.right : $0.left) }.filter { !resolution($0.1).isEmpty }
  }

  // MARK: Section 12.1

  mutating func add(_ node: LeafNode) -> Int {
    if !leaves.contains(where: { $0 == nil }) { leaves += Array(repeating: nil, count: leaves.count) }
    let place = leaves.firstIndex { $0 == nil }!
    leaves[place] = node
    for span in path(of: place) where parents[span] != nil {
      parents[span]!.unmergedLeaves = (parents[span]!.unmergedLeaves + [LeafIndex(UInt32(place))]).sorted()
    }
    return place
  }

  mutating func update(_ place: Int, to node: LeafNode) {
    leaves[place] = node
    for span in path(of: place) { parents[span] = nil }
  }

  mutating func remove(_ place: Int) {
    leaves[place] = nil
    for span in path(of: place) { parents[span] = nil }
    while leaves.count > 1, leaves[(leaves.count / 2)...].allSatisfy({ $0 == nil }) {
      parents[root] = nil
      for span in parents.keys where root.right.contains(span) { parents[span] = nil }
      leaves.removeLast(leaves.count / 2)
    }
  }

  // MARK: Section 7.5

  /// Puts `keys` along the filtered path of a leaf. `make` gets the parent hash of the new leaf.
  mutating func commit(_ place: Int, keys: [[UInt8]], _ make: ([UInt8]) -> LeafNode) {
    for span in path(of: place) { parents[span] = nil }
    var above: [UInt8] = []
    for (step, key) in zip(filteredPath(of: place), keys).reversed() {
      parents[step.node] = ParentNode(encryptionKey: key, parentHash: above)
      above = parentHash(of: step.node, sibling: step.sibling)
    }
    leaves[place] = make(above)
  }

  // MARK: Sections 7.8 and 7.9

  /// The tree hash below a node, as if the given leaves were not there.
  func hash(_ span: Span, without missing: Set<Int> = []) -> [UInt8] {
    var writer = Writer()
    if span.isLeaf {
      writer.write(UInt8(1))
      writer.write(UInt32(span.first))
      writer.writeOptional(missing.contains(span.first) ? nil : leaves[span.first])
    } else {
      var parent = parents[span]
      parent?.unmergedLeaves.removeAll { missing.contains($0.position) }
      writer.write(UInt8(2))
      writer.writeOptional(parent)
      writer.writeVector(hash(span.left, without: missing))
      writer.writeVector(hash(span.right, without: missing))
    }
    return suite.hash(writer.bytes)
  }

  func parentHash(of span: Span, sibling: Span) -> [UInt8] {
    guard let parent = parents[span] else { return [] }
    var writer = Writer()
    writer.writeVector(parent.encryptionKey)
    writer.writeVector(parent.parentHash)
    writer.writeVector(hash(sibling, without: Set(parent.unmergedLeaves.map(\.position))))
    return suite.hash(writer.bytes)
  }

  /// Whether the parent hash in `node` is valid with respect to `above` (section 7.9.2).
  func isLinked(_ node: Span, to above: Span) -> Bool {
    guard node != above, above.contains(node), let parent = parents[above] else { return false }
    let isLeft = above.left.contains(node)
    let (child, sibling) = isLeft ? (above.left, above.right) : (above.right, above.left)
    let field = node.isLeaf ? leaves[node.first]?.parentHash : parents[node]?.parentHash
    guard field == parentHash(of: above, sibling: sibling) else { return false }
    let resolution = resolution(child)
    let unmerged = parent.unmergedLeaves.map { Span(first: $0.position, count: 1) }.filter(child.contains)
    return resolution.contains(node) && Set(resolution.filter { $0 != node }) == Set(unmerged)
  }

  /// The node to which each node is linked, by which trees of one form are told from those of another.
  func link(of node: Span) -> Span? { spans.first { !$0.isLeaf && isLinked(node, to: $0) } }

  var parentHashesAreValid: Bool {
    parents.keys.allSatisfy { above in spans.count { isLinked($0, to: above) } == 1 }
  }

  // MARK: Section 12.4.3.3

  var encoded: [UInt8] {
    let spans = spans
    let last = spans.lastIndex { !isBlank($0) } ?? 0
    var writer = Writer()
    writer.writeNested { (writer) in
      for span in spans[...last] {
        if span.isLeaf, let leaf = leaves[span.first] {
          writer.writeBytes([1, 1])
          writer.write(leaf)
        } else if let parent = parents[span] {
          writer.writeBytes([1, 2])
          writer.write(parent)
        } else {
          writer.write(UInt8(0))
        }
      }
    }
    return writer.bytes
  }

  /// The tree's form: what is blank, what is unmerged, and who was set together with whom. Keys are left out.
  var form: String {
    spans.map { span in
      guard !isBlank(span) else { return "_" }
      let unmerged = parents[span]?.unmergedLeaves.map(\.description).joined(separator: ".") ?? ""
      return "\(unmerged)>\(link(of: span).map { "\($0.nodeIndex.rawValue)" } ?? "")"
    }.joined(separator: " ")
  }
}
