import CryptoPrimitives
import WireCodec

extension RatchetTree {
  /// The tree as the ratchet_tree extension carries it (RFC 9420 section 12.4.3.3): nodes from left to right, without
  /// the blank ones at the end.
  var encoded: [UInt8] {
    var writer = Writer()
    encode(into: &writer)
    return writer.bytes
  }

  func encode(into writer: inout Writer) {
    var nodes = Nodes()
    nodes.leaves = leaves.map { $0?.node }
    nodes.parents = Array(parents)
    nodes.encode(into: &writer)
  }

  /// Reads a tree. Its shape and the uniqueness of its keys are checked; ``validate(_:)`` does the rest.
  init(decoding bytes: [UInt8], suite: Suite) throws(MLSError) {
    var nodes = Nodes()
    do {
      var reader = Reader(bytes)
      nodes = try Nodes(from: &reader)
      try reader.finish()
    } catch { throw MLSError(.malformed) }
    try self.init(suite: suite, nodes: nodes)
  }

  init(suite: Suite, nodes: Nodes) throws(MLSError) {
    try Rule.treeNodeKinds.require(nodes.kindsFit)
    try Rule.treeEndsNonBlank.require(nodes.endsNonBlank)
    var (leaves, parents) = (nodes.leaves, nodes.parents)
    // A tree that ends in a parent lacks the leaf after it.
    let shape = TreeShape(leaves: max(leaves.count, parents.count + 1))
    leaves.append(contentsOf: repeatElement(nil, count: Int(shape.leafCount) - leaves.count))
    parents.append(contentsOf: repeatElement(nil, count: Int(shape.leafCount) - 1 - parents.count))
    try self.init(suite: suite, leaves: leaves, parents: parents)
  }

  /// The nodes of a tree as read, before anything is checked.
  struct Nodes: Sendable, WireCodable {
    var leaves: [LeafNode?] = []
    var parents: [ParentNode?] = []
    var kindsFit = true
    var endsNonBlank = false

    init() {}

    init(from reader: inout Reader) throws(WireError) {
      self = try reader.readNested(max: Bounds.tree) { (body) throws(WireError) in
        var nodes = Nodes()
        while !body.isAtEnd { try nodes.readNode(from: &body) }
        return nodes
      }
    }

    func encode(into writer: inout Writer) {
      let lastLeaf = leaves.lastIndex { $0 != nil }.map { 2 * $0 }
      let lastParent = parents.lastIndex { $0 != nil }.map { 2 * $0 + 1 }
      writer.writeNested { (writer) in
        guard let last = [lastLeaf, lastParent].compactMap({ $0 }).max() else { return }
        for place in 0...last {
          if place.isMultiple(of: 2), let leaf = leaves[place / 2] {
            writer.write(UInt8(1))
            writer.write(UInt8(1))
            writer.write(leaf)
          } else if !place.isMultiple(of: 2), let parent = parents[place / 2] {
            writer.write(UInt8(1))
            writer.write(UInt8(2))
            writer.write(parent)
          } else {
            writer.write(UInt8(0))
          }
        }
      }
    }

    private mutating func readNode(from body: inout Reader) throws(WireError) {
      let leafIsNext = leaves.count == parents.count
      guard leaves.count < Bounds.leaves || !leafIsNext else { throw WireError(.tooLong) }
      switch try body.readUInt8() {
      case 0:
        if leafIsNext { leaves.append(nil) } else { parents.append(nil) }
        endsNonBlank = false
      case 1:
        endsNonBlank = true
        switch try body.readUInt8() {
        case 1:
          let leaf = try LeafNode(from: &body)
          if leafIsNext { leaves.append(leaf) } else { parents.append(nil) }
          kindsFit = kindsFit && leafIsNext
        case 2:
          let parent = try ParentNode(from: &body)
          if leafIsNext { leaves.append(nil) } else { parents.append(parent) }
          kindsFit = kindsFit && !leafIsNext
        default: throw WireError(.invalidValue)
        }
      default: throw WireError(.invalidValue)
      }
    }
  }
}
