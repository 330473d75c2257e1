import CryptoPrimitives
import WireCodec

/// One secret for each component and epoch, gone once it is taken (draft-ietf-mls-extensions section 4.4).
///
/// A tree like the ``SecretTree``, with a leaf for each number that a component can have. Only the frontier is kept: nothing
/// leads back to a secret that was taken.
struct ExporterTree: Sendable {
  private static let shape = TreeShape(leaves: 1 << 16)

  private var nodes: [NodeIndex: Secret]

  init(_ root: Secret) { nodes = [Self.shape.root: root] }

  /// Takes a component's secret.
  mutating func take(_ suite: Suite, _ component: ComponentID) throws(MLSError) -> Secret {
    let leaf = LeafIndex(UInt32(component.rawValue))
    var node = NodeIndex(leaf)
    while nodes[node] == nil {
      guard let parent = Self.shape.parent(of: node) else { throw MLSError(.keyConsumed) }
      node = parent
    }
    // Nothing is taken out before all is derived.
    guard var secret = nodes[node] else { throw MLSError(.fault) }
    var beside: [NodeIndex: Secret] = [:]
    let start = node
    while let children = node.children {
      let expander = suite.expander(secret)
      let left = try expander.expand("tree", context: "left".utf8, length: suite.hashSize)
      let right = try expander.expand("tree", context: "right".utf8, length: suite.hashSize)
      let goesLeft = children.left.contains(leaf)
      beside[goesLeft ? children.right : children.left] = goesLeft ? right : left
      (node, secret) = goesLeft ? (children.left, left) : (children.right, right)
    }
    nodes[start] = nil
    nodes.merge(beside) { _, new in new }
    return secret
  }
}

extension ExporterTree {
  init(from reader: inout Reader) throws(WireError) {
    nodes = [:]
    for _ in 0..<(try reader.readCount()) {
      let node = NodeIndex(try reader.readUInt32())
      guard Self.shape.contains(node) else { throw WireError(.invalidValue) }
      nodes[node] = try reader.readSecret(max: Bounds.hash)
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.writeCount(nodes.count)
    for node in nodes.keys.sorted() {
      guard let secret = nodes[node] else { continue }
      writer.write(node.rawValue)
      writer.write(secret)
    }
  }
}
