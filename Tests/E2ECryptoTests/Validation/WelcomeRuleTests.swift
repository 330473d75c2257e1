import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 7.1, 7.9.2, 12.4.3.1 and 12.4.3.3: welcomes and trees that a malicious member makes up.
@Suite struct WelcomeRuleTests {
  let members: Members
  let invitee: Invitee
  var alice: Client { members[0] }

  init() throws {
    // Leaves 0 to 5 of eight, all inner nodes above them set but the one over 4 to 7; the invitee would be leaf 6.
    members = try Members(6)
    var all = members
    for place in 0..<6 { try all.commit(by: place) }
    invitee = try Invitee("eve")
  }

  private func expectRefused(
    _ rule: Rule, _ welcome: [UInt8], _ place: SourceLocation = #_sourceLocation
  ) {
    #expect(throws: MLSError.rejected(rule), sourceLocation: place) { try discard(invitee.join(welcome)) }
  }

  private func discard(_ client: Client) {}

  /// A welcome whose tree is changed, with the tree hash to fit and all signatures right.
  private func welcome(changing change: (inout RatchetTree.Nodes) -> Void) throws -> [UInt8] {
    var (context, nodes) = try alice.withMember(invitee)
    change(&nodes)
    // A tree that cannot even be read has no hash.
    if let hash = try? nodes.rootHash(alice.suiteOf) { context.treeHash = hash }
    return try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded)
  }

  @Test func allIsRightButTheJoinerSecret() throws {
    expectRefused(.welcomeConfirmation, try welcome { _ in })
  }

  @Test func welcomeIsForUs() throws {
    let (context, nodes) = try alice.withMember(invitee)
    let other = try Invitee("other")
    let welcome = try alice.forgeWelcome(to: other, context: context, tree: nodes.encoded)
    #expect(throws: MLSError(.notForUs)) { try discard(invitee.join(welcome)) }
    #expect(throws: MLSError(.unsupported)) { try discard(invitee.join(invitee.keyPackage.message)) }
    #expect(throws: MLSError(.identityMismatch)) {
      _ = try Group.join(welcome: welcome, keyPackage: invitee.bundle, identity: other.identity)
    }
  }

  @Test func signerAndSignature() throws {
    let (context, nodes) = try alice.withMember(invitee)
    for signer in [7, 8, UInt32.max] {
      expectRefused(
        .welcomeSigner,
        try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, signer: LeafIndex(signer)))
    }
    expectRefused(
      .welcomeSignature,
      try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, signer: LeafIndex(1)))
    expectRefused(
      .welcomeSignature,
      try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, signedBy: .generate()))
    // We ourselves as the signer, as somebody might who has stolen our key.
    expectRefused(
      .welcomeSigner,
      try alice.forgeWelcome(
        to: invitee, context: context, tree: nodes.encoded, signer: LeafIndex(6),
        signedBy: invitee.identity.signingKey))
  }

  @Test func suitesAgree() throws {
    let (honest, nodes) = try alice.withMember(invitee)
    var context = honest
    expectRefused(
      .welcomeSuite, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, suite: 1))
    context.cipherSuite = 1
    expectRefused(.welcomeSuite, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
    #expect(throws: MLSError(.unsupportedSuite)) {
      try discard(
        invitee.join(
          try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, suite: 0x4141)))
    }
  }

  @Test func treeHash() throws {
    let made = try alice.withMember(invitee)
    var context = made.context
    context.treeHash[0] ^= 1
    expectRefused(
      .welcomeTreeHash, try alice.forgeWelcome(to: invitee, context: context, tree: made.nodes.encoded))
  }

  @Test func unmergedLeaves() throws {
    // The root has the invitee as an unmerged leaf, and the parents between are blank.
    let root = 3
    func unmerged(_ leaves: [UInt32]) throws -> [UInt8] {
      try welcome { $0.parents[root]?.unmergedLeaves = leaves.map(LeafIndex.init) }
    }
    try expectTreeHasRoot(root)
    expectRefused(.unmergedSorted, try unmerged([6, 6]))
    expectRefused(.unmergedSorted, try unmerged([6, 0]))
    for stranger in [7, 8, UInt32.max] { expectRefused(.welcomeUnmerged, try unmerged([6, stranger])) }
    // A member below a parent that does not note it.
    expectRefused(.welcomeUnmerged, try unmerged([0, 6]))
    expectRefused(
      .welcomeUnmerged, try welcome { $0.parents[0]?.unmergedLeaves = [LeafIndex(2)] })
    // An unmerged leaf that nobody notes shows in the parent hash.
    expectRefused(.parentHashValid, try unmerged([]))
  }

  private func expectTreeHasRoot(_ place: Int) throws {
    let nodes = try alice.withMember(invitee).nodes
    #expect(nodes.parents[place]?.unmergedLeaves == [LeafIndex(6)])
  }

  @Test func parentHashes() throws {
    let key = HPKEPrivateKey.generate(.dhkemX25519).publicKey
    for place in [0, 1, 2, 3, 4] {
      expectRefused(.parentHashValid, try welcome { $0.parents[place]?.encryptionKey = key })
      if place != 3 {
        expectRefused(.parentHashValid, try welcome { $0.parents[place]?.parentHash = Random.bytes(32) })
      }
    }
    // A parent that nobody set: its key is known to an insider alone.
    expectRefused(
      .parentHashValid,
      try welcome {
        $0.parents[5] = ParentNode(encryptionKey: key, parentHash: [], unmergedLeaves: [LeafIndex(6)])
      })
  }

  @Test func keysAreUnique() throws {
    let nodes = try alice.withMember(invitee).nodes
    let leaf = try #require(nodes.leaves[3])
    let parent = try #require(nodes.parents[1])
    expectRefused(.welcomeKeysUnique, try welcome { $0.parents[0]?.encryptionKey = leaf.encryptionKey })
    expectRefused(.welcomeKeysUnique, try welcome { $0.parents[0]?.encryptionKey = parent.encryptionKey })
    expectRefused(.leafEncryptionKeyUnique, try welcome { $0.leaves[2]?.encryptionKey = leaf.encryptionKey })
    expectRefused(.leafSignatureKeyUnique, try welcome { $0.leaves[2]?.signatureKey = leaf.signatureKey })
  }

  @Test func leavesAreValid() throws {
    // Any change to a leaf breaks its signature, or the parent hashes that it stands under.
    expectRefused(
      .parentHashValid, try welcome { $0.leaves[3]?.credential = .basic(identity: Array("mallory".utf8)) })
    expectRefused(
      .leafSignature, try welcome { $0.leaves[5]?.credential = .basic(identity: Array("mallory".utf8)) })
    var (context, nodes) = try alice.withMember(try Invitee("other"))
    nodes.leaves[6]?.credential = .basic(identity: Array("mallory".utf8))
    context.treeHash = try nodes.rootHash(alice.suiteOf)
    expectRefused(.leafSignature, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
    // Extensions of the group that a member does not support, us included.
    (context, nodes) = try alice.withMember(invitee)
    context.extensions = [Extension(type: 0xff99, data: [])]
    expectRefused(
      .groupExtensionsSupported, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
    context.extensions = [.requiredCapabilities(RequiredCapabilities(proposals: [0xff98]))]
    expectRefused(
      .leafRequiredCapabilities, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
    context.extensions = [Extension(type: 0xff01, data: []), Extension(type: 0xff01, data: [])]
    expectRefused(.extensionsUnique, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
  }

  @Test func ownLeafIsThere() throws {
    let (context, nodes) = try alice.withMember(try Invitee("other"))
    expectRefused(.welcomeOwnLeaf, try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded))
  }

  @Test func pathSecretFitsTheTree() throws {
    let (context, nodes) = try alice.withMember(invitee)
    for length in [32, 5, 0] {
      expectRefused(
        .welcomePathKeys,
        try alice.forgeWelcome(
          to: invitee, context: context, tree: nodes.encoded, pathSecret: .random(count: length)))
    }
  }

  @Test func resumptionKeys() throws {
    let (context, nodes) = try alice.withMember(invitee)
    func id(_ usage: PreSharedKeyID.Usage, nonce: Int = 32) -> PreSharedKeyID {
      PreSharedKeyID(
        source: .resumption(usage: usage, groupID: GroupID([1]), epoch: Epoch(3)), nonce: Random.bytes(nonce))
    }
    expectRefused(
      .welcomeOneResumption,
      try alice.forgeWelcome(
        to: invitee, context: context, tree: nodes.encoded, psks: [id(.reInit), id(.branch)]))
    expectRefused(
      .pskNonceLength,
      try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, psks: [id(.application, nonce: 3)]))
    let unknown = try alice.forgeWelcome(
      to: invitee, context: context, tree: nodes.encoded, psks: [id(.application)])
    #expect(throws: MLSError(.unknownPSK)) { try discard(invitee.join(unknown)) }
    // A branch or successor is joined by way of the group that it follows, and by no other.
    for usage in [PreSharedKeyID.Usage.reInit, .branch] {
      expectRefused(
        .welcomeOrigin,
        try alice.forgeWelcome(to: invitee, context: context, tree: nodes.encoded, psks: [id(usage)]))
    }
  }

  // MARK: The tree's form

  @Test func treeHasItsForm() throws {
    expectRefused(
      .treeEndsNonBlank,
      try forgedTree { (nodes) in
        var writer = Writer()
        writer.writeNested { (writer) in
          writer.writeBytes(nodes)
          writer.writeBytes([0, 0])
        }
        return writer.bytes
      })
    expectRefused(
      .treeNodeKinds,
      try forgedTree { (nodes) in
        // A blank in front moves every node to a place of the other kind.
        var writer = Writer()
        writer.writeNested { (writer) in
          writer.write(UInt8(0))
          writer.writeBytes(nodes)
        }
        return writer.bytes
      })
    expectRefused(.treeEndsNonBlank, try forgedTree { _ in [0] })
    expectRefused(.treeEndsNonBlank, try forgedTree { _ in [1, 0] })
    #expect(throws: MLSError(.malformed)) { try discard(invitee.join(try forgedTree { _ in [] })) }
    #expect(throws: MLSError(.malformed)) { try discard(invitee.join(try forgedTree { _ in [1, 7] })) }
    // More blank leaves than a tree may have.
    #expect(throws: MLSError(.malformed)) {
      let welcome = try forgedTree { _ in
        var writer = Writer()
        writer.writeVector([UInt8](repeating: 0, count: 4 * Bounds.leaves))
        return writer.bytes
      }
      try discard(invitee.join(welcome))
    }
    // A tree that ends in a parent.
    expectRefused(
      .welcomeTreeHash,
      try forgedTree { _ in
        var nodes = RatchetTree.Nodes()
        nodes.leaves = [alice.group.state.tree.leaf(LeafIndex(0)), nil]
        nodes.parents = [ParentNode(encryptionKey: Random.bytes(32), parentHash: [])]
        return nodes.encoded
      })
  }

  /// A welcome with any bytes for a tree; `make` is given the body of the right one.
  private func forgedTree(_ make: ([UInt8]) -> [UInt8]) throws -> [UInt8] {
    let (context, nodes) = try alice.withMember(invitee)
    var reader = Reader(nodes.encoded)
    let body = try reader.readVector()
    return try alice.forgeWelcome(to: invitee, context: context, tree: make(body))
  }

  @Test func treeGivenApartIsJudgedAlike() throws {
    var options = CommitOptions()
    options.welcomeIncludesTree = false
    let pending = try alice.group.commit([.add(invitee.keyPackage)], options: options, now: someday)
    let welcome = try pending.requireWelcome()
    let other = try Members(4)[0].group.ratchetTree
    #expect(throws: MLSError.rejected(.welcomeSignature)) { try discard(invitee.join(welcome, tree: other)) }
    #expect(throws: MLSError.rejected(.welcomeTreeHash)) {
      try discard(invitee.join(welcome, tree: alice.group.ratchetTree))
    }
    #expect(throws: MLSError(.malformed)) { try discard(invitee.join(welcome, tree: [1, 2, 3])) }
    try discard(invitee.join(welcome, tree: pending.ratchetTree))
  }
}
