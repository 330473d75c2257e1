import CryptoPrimitives
import Foundation
import Testing
import WireCodec

@testable import E2ECrypto

/// Whether the environment asks for the whole of what is tried exhaustively, and not for the part that fits into a minute.
let triesAll = ProcessInfo.processInfo.environment["KIN_EXHAUSTIVE"] == "1"

/// Adds, updates, removes and commits on small trees, each compared with the naive tree. Keys are numbers here: the tree
/// does not look at them.
@Suite struct TreeOperationTests {
  private enum Operation {
    case add
    case update(Int)
    case remove(Int)
    case commit(Int)
  }

  /// The tree and its picture, side by side.
  private struct Pair {
    var tree: RatchetTree
    var naive: NaiveTree
    /// How many keys have been given out; they are the numbers below.
    private var keys = 0

    init() throws {
      let suite = try CipherSuite.x25519ChaCha20Poly1305.algorithms()
      let creator = Self.leaf(0, .keyPackage(someYear))
      tree = try RatchetTree(suite: suite, creator: creator)
      naive = NaiveTree(suite: suite, leaves: [creator])
      keys = 2
    }

    private static func key(_ number: Int) -> [UInt8] { UInt64(number).encoded + [UInt8](repeating: 7, count: 24) }

    private static func leaf(_ number: Int, _ source: LeafNode.Source) -> LeafNode {
      LeafNode(
        encryptionKey: key(number), signatureKey: key(number + 1), credential: .basic(identity: [1]),
        capabilities: Capabilities(), source: source, extensions: [])
    }

    private mutating func nextLeaf(_ source: LeafNode.Source) -> LeafNode {
      defer { keys += 2 }
      return Self.leaf(keys, source)
    }

    var operations: [Operation] {
      let members = naive.members
      return [.add] + members.flatMap { [.update($0), .commit($0)] }
        + (members.count > 1 ? members.map { .remove($0) } : [])
    }

    mutating func apply(_ operation: Operation) throws {
      switch operation {
      case .add:
        let node = nextLeaf(.keyPackage(someYear))
        #expect(try tree.add(node).position == naive.add(node))
      case .update(let place):
        let node = nextLeaf(.update)
        let index = LeafIndex(UInt32(place))
        tree.release([index])
        try tree.update(index, to: node)
        naive.update(place, to: node)
      case .remove(let place):
        let index = LeafIndex(UInt32(place))
        tree.release([index])
        tree.removeReleased(index)
        tree.truncate()
        naive.remove(place)
      case .commit(let place):
        let index = LeafIndex(UInt32(place))
        let path = tree.filteredDirectPath(of: index)
        #expect(path.map(\.node) == naive.filteredPath(of: place).map(\.node.nodeIndex))
        #expect(path.map(\.sibling) == naive.filteredPath(of: place).map(\.sibling.nodeIndex))
        let fresh = path.map { _ in
          keys += 1
          return Self.key(keys - 1)
        }
        let hashes = try tree.parentHashes(along: path, keys: fresh)
        let node = nextLeaf(.commit(parentHash: hashes.leaf))
        try tree.apply(
          leaf: node, at: index, keys: path.indices.map { (path[$0].node, fresh[$0], hashes.nodes[$0]) })
        naive.commit(place, keys: fresh) { (parentHash) in
          #expect(parentHash == hashes.leaf)
          return node
        }
      }
    }

    /// Compares all that can be asked of the tree; of each node too if `thoroughly`.
    mutating func compare(thoroughly: Bool, _ story: @autoclosure () -> String) throws {
      #expect(try tree.rootHash() == naive.hash(naive.root), "\(story())")
      #expect(tree.encoded == naive.encoded, "\(story())")
      #expect(tree.memberIndices.map(\.position) == naive.members, "\(story())")
      #expect(naive.parentHashesAreValid, "\(story())")
      #expect(throws: Never.self, "\(story())") { try tree.verifyParentHashes() }
      #expect(tree.index.memberCount == naive.members.count)
      let used = Set(
        naive.leaves.compactMap { $0?.encryptionKey } + naive.parents.values.map(\.encryptionKey))
      let signing = Set(naive.leaves.compactMap { $0?.signatureKey })
      let noted = (0..<keys).map(Self.key)
      #expect(noted.filter(tree.index.containsEncryptionKey).count == used.count, "\(story())")
      #expect(used.allSatisfy(tree.index.containsEncryptionKey), "\(story())")
      #expect(noted.filter(tree.index.containsSignatureKey).count == signing.count, "\(story())")
      guard thoroughly else { return }
      var fresh = try RatchetTree(decoding: tree.encoded, suite: tree.suite)
      #expect(fresh.shape == tree.shape, "\(story())")
      for span in naive.spans {
        let node = span.nodeIndex
        #expect(tree.isBlank(node) == naive.isBlank(span), "\(story())")
        #expect(tree.resolution(of: node) == naive.resolution(span).map(\.nodeIndex), "\(story())")
        let hash = naive.hash(span)
        #expect(try tree.hash(of: node) == hash && fresh.hash(of: node) == hash, "\(story())")
      }
    }
  }

  /// Every sequence of four operations (five, if all is asked for), on groups of one to five that were just made and on
  /// those in which everybody has committed. What is remembered of hashes and blanks depends on the way, so none is left out.
  @Test(arguments: 1...5) func everySequence(_ count: Int) throws {
    let depth = (triesAll ? 5 : 4) - (count > 2 ? 1 : 0) - (count > 3 ? 1 : 0)
    var fresh = try Pair()
    for _ in 1..<count { try fresh.apply(.add) }
    var filled = fresh
    for place in 0..<count { try filled.apply(.commit(place)) }
    var sequences = 0
    for start in count > 1 ? [fresh, filled] : [fresh] {
      try follow(start, depth: depth, story: [], &sequences)
    }
    print("exhaustive: \(sequences) sequences of up to \(depth) operations on trees of \(count)")
    #expect(sequences > 100)
  }

  private func follow(_ pair: Pair, depth: Int, story: [Operation], _ sequences: inout Int) throws {
    guard depth > 0 else { return }
    for operation in pair.operations {
      if case .add = operation, pair.naive.members.count == 5 { continue }
      var next = pair
      try next.apply(operation)
      let story = story + [operation]
      try next.compare(thoroughly: false, "\(story)")
      sequences += 1
      try follow(next, depth: depth - 1, story: story, &sequences)
    }
  }

  /// Every operation on every form of tree that up to five members can bring about, however long it takes them (up to seven,
  /// if all is asked for).
  @Test func everyForm() throws {
    let most = triesAll ? 7 : 5
    var known: Set<String> = []
    var waiting = [try Pair()]
    var steps = 0
    while let pair = waiting.popLast() {
      for operation in pair.operations {
        if case .add = operation, pair.naive.members.count == most { continue }
        var next = pair
        try next.apply(operation)
        steps += 1
        let isNew = known.insert(next.naive.form).inserted
        try next.compare(thoroughly: isNew, "\(operation) on \(pair.naive.form)")
        if isNew { waiting.append(next) }
      }
    }
    print("exhaustive: \(known.count) forms of trees of up to \(most) members, \(steps) operations on them")
    #expect(known.count > 500)
  }
}
