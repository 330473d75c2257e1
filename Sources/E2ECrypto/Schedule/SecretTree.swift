import CryptoPrimitives
import WireCodec

/// The secrets from which each member's message keys come (RFC 9420 section 9).
///
/// Only the frontier is kept: the topmost nodes not yet needed, and the ratchets of members that have been heard or that
/// have spoken. A node is gone once its children are derived, so nothing leads back to a key that was used.
struct SecretTree: Sendable {
  /// One member's two ratchets.
  private struct Ratchets: Sendable {
    var handshake: Ratchet?
    var application: Ratchet
  }

  private let shape: TreeShape
  private var nodes: [NodeIndex: Secret]
  private var ratchets: [LeafIndex: Ratchets] = [:]

  init(leafCount: UInt32, encryptionSecret: Secret) {
    shape = TreeShape(leaves: Int(leafCount))
    nodes = [shape.root: encryptionSecret]
  }

  /// The sender's way: the next key of its own ratchet, never given again.
  mutating func nextKey(
    _ suite: Suite, leaf: LeafIndex, handshake: Bool
  ) throws(MLSError) -> MessageKey {
    try prepare(suite, leaf)
    if handshake {
      guard ratchets[leaf]?.handshake != nil else { throw MLSError(.fault) }
      return try ratchets[leaf]!.handshake!.nextKey(suite)
    }
    return try ratchets[leaf]!.application.nextKey(suite)
  }

  /// The receiver's way: lends the key of a generation to `body`. The key is spent only if `body` returns, and only if
  /// `spending`; a message that fails leaves all keys as they were.
  mutating func withKey<Value>(
    _ suite: Suite, leaf: LeafIndex, handshake: Bool, generation: UInt32, limits: RatchetLimits, spending: Bool = true,
    _ body: (consuming MessageKey) throws(MLSError) -> Value
  ) throws(MLSError) -> Value {
    try prepare(suite, leaf)
    let held = handshake ? ratchets[leaf]?.handshake : ratchets[leaf]?.application
    guard var trial = held else { throw MLSError(.keyConsumed) }
    let value = try body(try trial.key(for: generation, suite, limits: limits))
    if spending {
      if handshake { ratchets[leaf]?.handshake = trial } else { ratchets[leaf]?.application = trial }
    }
    return value
  }

  /// Makes the ratchets of a member, if they are not there yet, from the nearest node above. Deriving spends nothing: what
  /// a parent led to is kept in its children.
  private mutating func prepare(_ suite: Suite, _ leaf: LeafIndex) throws(MLSError) {
    guard ratchets[leaf] == nil else { return }
    guard shape.contains(leaf) else { throw MLSError(.unknownSender) }
    var node = NodeIndex(leaf)
    while nodes[node] == nil {
      guard let parent = shape.parent(of: node) else { throw MLSError(.keyConsumed) }
      node = parent
    }
    guard var secret = nodes.removeValue(forKey: node) else { throw MLSError(.fault) }
    while let children = node.children {
      let expander = suite.expander(secret)
      let left = try expander.expand("tree", context: "left".utf8, length: suite.hashSize)
      let right = try expander.expand("tree", context: "right".utf8, length: suite.hashSize)
      let goesLeft = children.left.contains(leaf)
      nodes[goesLeft ? children.right : children.left] = goesLeft ? right : left
      (node, secret) = goesLeft ? (children.left, left) : (children.right, right)
    }
    let expander = suite.expander(secret)
    ratchets[leaf] = Ratchets(
      handshake: Ratchet(secret: try expander.derive("handshake")),
      application: Ratchet(secret: try expander.derive("application")))
  }

  /// For an epoch that is over: its handshakes are of no more use, nor is what we would have sent.
  mutating func retire(own: LeafIndex) {
    for leaf in ratchets.keys { ratchets[leaf]?.handshake = nil }
    ratchets[own] = nil
    nodes[NodeIndex(own)] = nil
  }
}

extension SecretTree {
  init(from reader: inout Reader) throws(WireError) {
    let leafCount = try reader.readUInt32()
    guard leafCount > 0, leafCount <= UInt32(Bounds.leaves), leafCount.nonzeroBitCount == 1 else {
      throw WireError(.invalidValue)
    }
    shape = TreeShape(leaves: Int(leafCount))
    nodes = [:]
    for _ in 0..<(try reader.readCount()) {
      let node = NodeIndex(try reader.readUInt32())
      guard shape.contains(node) else { throw WireError(.invalidValue) }
      nodes[node] = try reader.readSecret(max: Bounds.hash)
    }
    for _ in 0..<(try reader.readCount()) {
      let leaf = try LeafIndex(from: &reader)
      guard shape.contains(leaf) else { throw WireError(.invalidValue) }
      ratchets[leaf] = Ratchets(
        handshake: try reader.readBool() ? try Ratchet(from: &reader) : nil,
        application: try Ratchet(from: &reader))
    }
  }

  func encode(into writer: inout SecretWriter) {
    writer.write(shape.leafCount)
    writer.writeCount(nodes.count)
    for node in nodes.keys.sorted() {
      guard let secret = nodes[node] else { continue }
      writer.write(node.rawValue)
      writer.write(secret)
    }
    writer.writeCount(ratchets.count)
    for leaf in ratchets.keys.sorted() {
      guard let pair = ratchets[leaf] else { continue }
      writer.write(leaf)
      writer.write(pair.handshake != nil)
      if let handshake = pair.handshake { handshake.encode(into: &writer) }
      pair.application.encode(into: &writer)
    }
  }
}
