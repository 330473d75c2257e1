import CryptoPrimitives
import WireCodec

@testable import E2ECrypto

/// A group with everything that a tree can have, made once and restored for each input: blank leaves and parents, filled
/// parents, unmerged leaves. Member 0 is the dishonest one.
struct Stage {
  static let names = ["member 0", "member 1", "member 3", "member 4", "member 5"]
  let suite: Suite
  /// By place in ``names``.
  var boxes: [Fixture.Box]
  let victim: Outsider

  private struct Scene: @unchecked Sendable {
    let states: [GroupState]
    let victim: Secret
  }

  /// Made before the first input; libFuzzer calls from one thread.
  private static let scene: Scene = {
    do {
      FixedRandom.restart(4242)
      let fixture = try Fixture(5)
      var boxes = (0..<5).map { fixture[$0] }
      func commit(_ proposals: [Proposal], by place: Int, path: Bool = true) throws -> [UInt8]? {
        var options = CommitOptions()
        options.forcesPath = path
        let pending = try boxes[place].group.commit(proposals, options: options, now: today)
        let (message, welcome) = (pending.message, pending.welcome)
        try boxes[place].group.merge(pending)
        for other in boxes.indices where other != place { try boxes[other].follow(message) }
        return welcome
      }
      _ = try commit([], by: 3)
      _ = try commit([.remove(LeafIndex(2))], by: 0)
      boxes.remove(at: 2)
      // Into the blank leaf, without a path: it stays unmerged above.
      let last = try Outsider("member 5")
      guard let welcome = try commit([.add(last.bundle.keyPackage)], by: 1, path: false) else { found("no welcome") }
      boxes.append(
        Fixture.Box(try Group.join(welcome: welcome, keyPackage: last.bundle, identity: last.identity).adopt()))
      return Scene(
        states: boxes.map { $0.group.encodeState() }, victim: try Outsider("victim").bundle.encodeState())
    } catch { found("the stage cannot be set: \(error)") }
  }()

  init() throws {
    let scene = Self.scene
    suite = try CipherSuite.algorithms(of: 3)
    boxes = []
    for (name, state) in zip(Self.names, scene.states) {
      boxes.append(Fixture.Box(try Group(restoring: state, identity: fixedIdentity(name))))
    }
    victim = Outsider("victim", try KeyPackageBundle(restoring: scene.victim))
    FixedRandom.restart()
  }

  var liar: Fixture.Box { boxes[0] }
  var honest: ArraySlice<Fixture.Box> { boxes[1...] }

  /// The key that signs for a leaf, if we know it: ours are all known.
  static func key(of leaf: LeafNode) -> SigningKey? { keys[leaf.signatureKey] }

  private static let keys: [[UInt8]: SigningKey] = {
    var keys: [[UInt8]: SigningKey] = [:]
    for name in names + ["victim", "stranger"] {
      let key = fixedIdentity(name).signingKey
      keys[key.publicKey] = key
    }
    return keys
  }()
}

/// Changes that no honest client makes, as the bytes say.
struct Forger {
  var choices: Choices
  let suite: Suite
  let groupID: GroupID

  // MARK: Trees

  mutating func spoil(_ nodes: inout RatchetTree.Nodes) {
    for _ in 0..<(choices.byte() % 5) { spoilOnce(&nodes) }
  }

  private mutating func spoilOnce(_ nodes: inout RatchetTree.Nodes) {
    let kind = choices.byte() % 14
    guard let leaf = choices.pick(Array(nodes.leaves.indices)) else { return }
    let parent = choices.pick(Array(nodes.parents.indices))
    switch kind {
    case 0: nodes.leaves[leaf] = nil
    case 1: if let parent { nodes.parents[parent] = nil }
    case 2: if let other = choices.pick(Array(nodes.leaves.indices)) { nodes.leaves[leaf] = nodes.leaves[other] }
    case 3:
      if let parent, let other = choices.pick(Array(nodes.parents.indices)) { nodes.parents.swapAt(parent, other) }
    case 4:
      let entry = choices.byte()
      if let parent {
        nodes.parents[parent]?.unmergedLeaves.append(LeafIndex(entry == 255 ? .max : UInt32(entry % 16)))
      }
    case 5: if let parent { nodes.parents[parent]?.unmergedLeaves.reverse() }
    case 6: if let parent { nodes.parents[parent]?.unmergedLeaves.removeAll() }
    case 7:
      if let parent, let key = nodes.parents[parent]?.encryptionKey {
        nodes.parents[parent]?.encryptionKey = spoiled(key)
      }
    case 8:
      if let parent, let hash = nodes.parents[parent]?.parentHash { nodes.parents[parent]?.parentHash = spoiled(hash) }
    case 9:
      // Twice as large, with a copy of a leaf at the end or not.
      let size = nodes.leaves.count
      guard size < 64 else { return }
      nodes.leaves += [LeafNode?](repeating: nil, count: size)
      nodes.parents += [ParentNode?](repeating: nil, count: size)
      if choices.flip() { nodes.leaves[2 * size - 1] = nodes.leaves[leaf] }
    case 10:
      if let parent, nodes.parents[parent] == nil {
        nodes.parents[parent] = ParentNode(
          encryptionKey: HPKEPrivateKey.generate(suite.kem).publicKey,
          parentHash: choices.flip() ? [] : Random.bytes(32))
      }
    case 11:
      // Leaves and parents alternate, a leaf first: more cannot be written.
      if nodes.leaves.count > 1 { nodes.leaves.removeLast() }
      nodes.parents = Array(nodes.parents.prefix(nodes.leaves.count))
    case 12: relink(leaf, &nodes)
    default:
      if var node = nodes.leaves[leaf] {
        spoil(&node, at: LeafIndex(UInt32(leaf)))
        nodes.leaves[leaf] = node
      }
    }
  }

  /// Makes the parent hashes above a leaf right for the tree as it is, and signs the leaf anew.
  private func relink(_ place: Int, _ nodes: inout RatchetTree.Nodes) {
    guard nodes.leaves.indices.contains(place), var tree = try? RatchetTree(suite: suite, nodes: nodes),
      var leaf = tree.leaf(LeafIndex(UInt32(place)))
    else { return }
    let path = tree.filteredDirectPath(of: LeafIndex(UInt32(place))).filter { tree.parent($0.node) != nil }
    let keys = path.compactMap { tree.parent($0.node)?.encryptionKey }
    guard let hashes = try? tree.parentHashes(along: path, keys: keys) else { return }
    for (step, hash) in zip(path, hashes.nodes) where nodes.parents.indices.contains(step.node.parentPosition) {
      nodes.parents[step.node.parentPosition]?.parentHash = hash
    }
    leaf.source = .commit(parentHash: hashes.leaf)
    sign(&leaf, at: LeafIndex(UInt32(place)))
    nodes.leaves[place] = leaf
  }

  // MARK: Leaves and lists

  mutating func spoil(_ leaf: inout LeafNode, at place: LeafIndex?) {
    switch choices.byte() % 16 {
    case 0: leaf.encryptionKey = spoiled(leaf.encryptionKey)
    case 1: leaf.signatureKey = spoiled(leaf.signatureKey)
    case 2: leaf.credential = .x509(choices.flip() ? [] : [[1], []])
    case 3: leaf.credential = .basic(identity: [])
    case 4: leaf.capabilities.versions = []
    case 5: leaf.capabilities.cipherSuites = [0x1a1a]
    case 6: leaf.capabilities.credentials = choices.flip() ? [] : [1, 1, 2]
    case 7: leaf.capabilities.extensions = [1, 2, knownExtension, knownExtension, UInt16(choices.byte())]
    case 8: leaf.capabilities.proposals = [10, 8, 9, 0xf001, 10]
    case 9: leaf.source = .update
    case 10: leaf.source = .commit(parentHash: choices.flip() ? [] : Random.bytes(32))
    case 11:
      leaf.source = .keyPackage(
        Lifetime(
          notBefore: Timestamp(secondsSinceEpoch: choices.flip() ? 0 : .max),
          notAfter: Timestamp(secondsSinceEpoch: choices.flip() ? 0 : .max)))
    case 12: leaf.extensions = extensions()
    case 13: leaf.signatureKey = fixedIdentity(choices.flip() ? "stranger" : "member 1").signingKey.publicKey
    case 14: leaf.encryptionKey = HPKEPrivateKey.generate(suite.kem).publicKey
    default: break
    }
    if choices.byte() % 8 != 0 { sign(&leaf, at: place) }
  }

  func sign(_ leaf: inout LeafNode, at place: LeafIndex?) {
    guard let key = Stage.key(of: leaf) else { return }
    try? leaf.sign(suite, key: key, at: place.map { LeafPlace(groupID: groupID, index: $0) })
  }

  mutating func extensions() -> [Extension] {
    (0..<(choices.byte() % 4)).map { _ in
      let data: [UInt8] =
        switch choices.byte() % 5 {
        case 0: RequiredCapabilities(extensions: [UInt16(choices.byte())], proposals: [10], credentials: [1]).encoded
        case 1: [0]
        case 2: Extension.externalSenders([ExternalSender(signatureKey: [], credential: .x509([]))]).data
        case 3: []
        default: [choices.byte(), choices.byte(), choices.byte()]
        }
      let types: [UInt16] = [1, 2, 3, 4, 5, 6, 7, 10, knownExtension, 0x0a0a, 0xf000]
      return Extension(type: choices.pick(types) ?? 0, data: data)
    }
  }

  mutating func spoiled(_ bytes: [UInt8]) -> [UInt8] {
    switch choices.byte() % 6 {
    case 0: return []
    case 1: return Array(bytes.dropLast())
    case 2: return bytes + [0]
    case 3: return [UInt8](repeating: 0, count: bytes.count)
    case 4: return [UInt8](repeating: 0xff, count: bytes.count)
    default:
      var bytes = bytes
      if !bytes.isEmpty { bytes[Int(choices.byte()) % bytes.count] ^= 1 << (choices.byte() & 7) }
      return bytes
    }
  }

  mutating func keyPackage(_ name: String = "stranger") throws -> KeyPackage {
    let outsider = try Outsider(name)
    var leaf = outsider.bundle.keyPackage.leafNode
    if choices.flip() { spoil(&leaf, at: nil) }
    var initKey = outsider.bundle.keyPackage.initKey
    if choices.byte() % 8 == 0 { initKey = choices.flip() ? leaf.encryptionKey : spoiled(initKey) }
    let package = KeyPackage(
      cipherSuite: choices.byte() % 8 == 0 ? UInt16(choices.byte()) : 3, initKey: initKey, leafNode: leaf,
      extensions: choices.byte() % 4 == 0 ? extensions() : [])
    return try package.signed(suite, key: outsider.identity.signingKey)
  }

  mutating func proposal(for box: Fixture.Box) throws -> Proposal {
    switch choices.byte() % 12 {
    case 0, 1: return .add(try keyPackage())
    case 2:
      var leaf = box.group.member(at: LeafIndex(UInt32(choices.byte() % 6)))?.leafNode
      leaf?.source = .update
      leaf?.encryptionKey = HPKEPrivateKey.generate(suite.kem).publicKey
      guard var leaf else { return .selfRemove }
      spoil(&leaf, at: LeafIndex(UInt32(choices.byte() % 6)))
      return .update(leaf)
    case 3, 4: return .remove(LeafIndex(choices.byte() == 255 ? .max : UInt32(choices.byte() % 8)))
    case 5: return .externalPSK(id: [1], suite: .x25519ChaCha20Poly1305)
    case 6:
      return .preSharedKey(
        PreSharedKeyID(
          source: .resumption(
            usage: choices.flip() ? .application : .branch, groupID: groupID, epoch: Epoch(UInt64(choices.byte()))),
          nonce: Random.bytes(choices.flip() ? 32 : 31)))
    case 7:
      return .reInit(
        ReInit(groupID: GroupID([choices.byte()]), cipherSuite: UInt16(choices.byte() % 9), extensions: extensions()))
    case 8: return .groupContextExtensions(extensions())
    case 9: return .externalInit(kemOutput: spoiled(Random.bytes(32)))
    case 10: return .selfRemove
    default: return .custom(type: UInt16(choices.byte()) << 8 | 11, data: [choices.byte()])
    }
  }
}
