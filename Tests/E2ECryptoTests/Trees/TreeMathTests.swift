import Testing

@testable import E2ECrypto

/// The arithmetic of the array form against trees built node by node, and against closed formulas (RFC 9420 appendix C).
@Suite struct TreeMathTests {
  /// A full tree as one draws it: each node with its relatives, numbered from left to right.
  private struct Drawn {
    struct Node {
      var parent: Int?
      var children: (left: Int, right: Int)?
      var leaves: Range<Int> = 0..<0
      var level = 0
    }
    var nodes: [Node]
    var root = 0

    init(leaves count: Int) {
      nodes = Array(repeating: Node(), count: 2 * count - 1)
      var next = 0
      root = draw(leaves: 0..<count, next: &next)
    }

    private mutating func draw(leaves: Range<Int>, next: inout Int) -> Int {
      guard leaves.count > 1 else {
        defer { next += 1 }
        nodes[next].leaves = leaves
        return next
      }
      let middle = leaves.lowerBound + leaves.count / 2
      let left = draw(leaves: leaves.lowerBound..<middle, next: &next)
      let own = next
      next += 1
      let right = draw(leaves: middle..<leaves.upperBound, next: &next)
      nodes[own].children = (left, right)
      nodes[own].leaves = leaves
      nodes[own].level = nodes[left].level + 1
      nodes[left].parent = own
      nodes[right].parent = own
      return own
    }

    func path(from node: Int) -> [Int] {
      nodes[node].parent.map { [$0] + path(from: $0) } ?? []
    }
  }

  /// For every number of leaves up to 2^10.
  @Test func shapesHoldTheirLeaves() {
    var size = 1
    for count in 1...1024 {
      if count > size { size *= 2 }
      let shape = TreeShape(leaves: count)
      #expect(Int(shape.leafCount) == size && Int(shape.nodeCount) == 2 * size - 1)
      #expect(Int(shape.root.rawValue) == size - 1)
      for place in [0, count - 1] { #expect(shape.contains(LeafIndex(UInt32(place)))) }
      #expect(!shape.contains(LeafIndex(UInt32(size))) && !shape.contains(NodeIndex(UInt32(2 * size - 1))))
    }
    for exponent in 11...20 {
      #expect(TreeShape(leaves: 1 << exponent).leafCount == 1 << UInt32(exponent))
      #expect(TreeShape(leaves: (1 << exponent) + 1).leafCount == 2 << UInt32(exponent))
    }
  }

  /// Every node of every full tree of up to 2^10 leaves.
  @Test(arguments: 0...10) func nodesHaveTheirRelatives(_ exponent: Int) {
    let drawn = Drawn(leaves: 1 << exponent)
    let shape = TreeShape(leaves: 1 << exponent)
    #expect(Int(shape.root.rawValue) == drawn.root)
    func raw(_ node: NodeIndex?) -> Int? { node.map { Int($0.rawValue) } }
    for (place, expected) in drawn.nodes.enumerated() {
      let node = NodeIndex(UInt32(place))
      guard raw(node.children?.left) == expected.children?.left, raw(node.children?.right) == expected.children?.right,
        raw(shape.parent(of: node)) == expected.parent, Int(node.level) == expected.level,
        node.isLeaf == (expected.children == nil),
        node.leaves == UInt32(expected.leaves.lowerBound)..<UInt32(expected.leaves.upperBound)
      else {
        Issue.record("node \(place) of \(1 << exponent) leaves")
        continue
      }
      let siblings = expected.parent.flatMap { drawn.nodes[$0].children }
      let sibling = siblings.map { $0.left == place ? $0.right : $0.left }
      guard raw(shape.sibling(of: node)) == sibling else {
        Issue.record("the sibling of node \(place) of \(1 << exponent) leaves")
        continue
      }
      if node.isLeaf {
        let path = drawn.path(from: place)
        #expect(shape.directPath(of: node.leaf).map { Int($0.rawValue) } == path)
        #expect(shape.copath(of: node.leaf).map { Int($0.node.rawValue) } == path)
        // Each sibling on the way holds just those leaves of its parent that are not below the node itself.
        var below = expected.leaves
        for step in shape.copath(of: node.leaf) {
          let above = drawn.nodes[Int(step.node.rawValue)].leaves
          let beside = drawn.nodes[Int(step.sibling.rawValue)].leaves
          #expect(Set(beside) == Set(above).subtracting(below) && beside.count == below.count)
          below = above
        }
      }
    }
  }

  /// Level, leaves and root as formulas, for all nodes of a tree of 2^12 leaves.
  @Test func closedFormulas() {
    for place in 0..<UInt32(2 * 4096 - 1) {
      let node = NodeIndex(place)
      var level: UInt32 = 0
      while (place >> level) & 1 == 1 { level += 1 }
      guard node.level == level, node.leaves.count == 1 << Int(level),
        node.leaves.lowerBound == (place + 1 - (1 << level)) / 2, node.contains(LeafIndex(node.leaves.lowerBound)),
        !node.contains(LeafIndex(node.leaves.upperBound))
      else {
        Issue.record("node \(place)")
        continue
      }
    }
  }

  /// Of every pair of leaves in trees of up to 64.
  @Test(arguments: 0...6) func commonAncestors(_ exponent: Int) {
    let drawn = Drawn(leaves: 1 << exponent)
    let shape = TreeShape(leaves: 1 << exponent)
    for first in 0..<1 << exponent {
      let above = [2 * first] + drawn.path(from: 2 * first)
      for second in 0..<1 << exponent {
        let expected = above.first { drawn.nodes[$0].leaves.contains(second) }
        let found = shape.commonAncestor(of: LeafIndex(UInt32(first)), LeafIndex(UInt32(second)))
        #expect(Int(found.rawValue) == expected)
      }
    }
  }
}
