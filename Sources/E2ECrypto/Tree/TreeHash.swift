import CryptoPrimitives
import WireCodec

/// The tree hashes that are known.
struct TreeHashCache: Sendable {
  /// Up to 64 bytes in place: an array for each node would cost an allocation for each.
  private struct Hash: Sendable {
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
  }

  private let hashLength: Int
  private var hashes: ChunkedArray<Hash?>

  init(nodeCount: Int, hashLength: Int) {
    self.hashLength = hashLength
    hashes = ChunkedArray(repeating: nil, count: nodeCount)
  }

  subscript(node: NodeIndex) -> [UInt8]? {
    guard let hash = hashes[Int(node.rawValue)] else { return nil }
    return withUnsafeBytes(of: hash.words) { Array($0.prefix(hashLength)) }
  }

  mutating func set(_ node: NodeIndex, to bytes: [UInt8]) {
    guard bytes.count == hashLength, hashLength <= MemoryLayout<Hash>.size else { return }
    var hash = Hash()
    withUnsafeMutableBytes(of: &hash.words) { $0.copyBytes(from: bytes) }
    hashes[Int(node.rawValue)] = hash
  }

  mutating func forget(_ node: NodeIndex) {
    if hashes[Int(node.rawValue)] != nil { hashes[Int(node.rawValue)] = nil }
  }

  mutating func resize(nodeCount: Int) {
    hashes.grow(to: nodeCount, with: nil)
    hashes.shrink(to: nodeCount)
  }
}

extension RatchetTree {
  /// The hash of the whole tree (RFC 9420 section 7.8).
  mutating func rootHash() throws(MLSError) -> [UInt8] { try hash(of: shape.root) }

  /// The hash of the tree below `node`, remembered until something below changes.
  mutating func hash(of node: NodeIndex) throws(MLSError) -> [UInt8] {
    if let known = hashes[node] { return known }
    let hash: [UInt8]
    if let children = node.children {
      let left = try self.hash(of: children.left)
      let right = try self.hash(of: children.right)
      hash = try parentHashInput(parent(node), left: left, right: right)
    } else {
      hash = try leafHash(node.leaf, leaf(node.leaf))
    }
    hashes.set(node, to: hash)
    return hash
  }

  /// The hash of the tree below `node` as it would be without the given leaves (RFC 9420 section 7.9: the original
  /// sibling tree hash). Subtrees without any of them keep their remembered hash.
  mutating func hash(of node: NodeIndex, without leaves: [LeafIndex]) throws(MLSError) -> [UInt8] {
    let missing = leaves.filter(node.contains)
    guard !missing.isEmpty else { return try hash(of: node) }
    guard let children = node.children else { return try leafHash(node.leaf, nil) }
    let left = try hash(of: children.left, without: missing)
    let right = try hash(of: children.right, without: missing)
    var parent = parent(node)
    let gone = Set(missing)
    parent?.unmergedLeaves.removeAll(where: gone.contains)
    return try parentHashInput(parent, left: left, right: right)
  }

  private func leafHash(_ index: LeafIndex, _ leaf: LeafNode?) throws(MLSError) -> [UInt8] {
    var writer = Writer(reserving: 512)
    writer.write(UInt8(1))
    writer.write(index)
    writer.writeOptional(leaf)
    return suite.hash(writer.bytes)
  }

  private func parentHashInput(
    _ parent: ParentNode?, left: [UInt8], right: [UInt8]
  ) throws(MLSError) -> [UInt8] {
    var writer = Writer(reserving: 256)
    writer.write(UInt8(2))
    writer.writeOptional(parent)
    writer.writeVector(left)
    writer.writeVector(right)
    return suite.hash(writer.bytes)
  }
}
