import CryptoPrimitives
import WireCodec

/// The private keys that one member holds: of its leaf, and of the nodes above it that it has been told
/// (RFC 9420 section 4.2).
struct TreePrivate: Sendable {
  let leaf: LeafIndex
  var leafKey: HPKEPrivateKey
  private var nodeKeys: [NodeIndex: HPKEPrivateKey] = [:]

  init(leaf: LeafIndex, leafKey: HPKEPrivateKey) {
    self.leaf = leaf
    self.leafKey = leafKey
  }

  func key(for node: NodeIndex) -> HPKEPrivateKey? {
    node == NodeIndex(leaf) ? leafKey : nodeKeys[node]
  }

  mutating func set(_ key: HPKEPrivateKey, for node: NodeIndex) { nodeKeys[node] = key }

  /// Forgets the keys of nodes that are blank or gone (RFC 9420 section 7.5: outdated key material).
  mutating func prune(to tree: borrowing RatchetTree) {
    for node in nodeKeys.keys where !tree.shape.contains(node) || tree.isBlank(node) {
      nodeKeys[node] = nil
    }
  }

  /// Whether each key fits the tree.
  func isConsistent(with tree: borrowing RatchetTree) -> Bool {
    for (node, key) in nodeKeys {
      guard tree.shape.contains(node), tree.encryptionKey(of: node) == key.publicKey else { return false }
    }
    return tree.leaf(leaf)?.encryptionKey == leafKey.publicKey
  }
}

extension TreePrivate {
  init(from reader: inout Reader, _ suite: Suite) throws(WireError) {
    leaf = try LeafIndex(from: &reader)
    leafKey = try reader.readPrivateKey(suite)
    for _ in 0..<(try reader.readCount()) {
      let node = NodeIndex(try reader.readUInt32())
      nodeKeys[node] = try reader.readPrivateKey(suite)
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.write(leaf)
    writer.write(leafKey)
    writer.writeCount(nodeKeys.count)
    for node in nodeKeys.keys.sorted() {
      guard let key = nodeKeys[node] else { continue }
      writer.write(node.rawValue)
      writer.write(key)
    }
  }
}
