import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 6, 7.5, 7.6, 7.9 and 12.4: framing, senders, paths and tags, broken by members and by strangers.
@Suite struct CommitRuleTests {
  let members: Members
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  var dave: Client { members[3] }

  init() throws {
    members = try Members(4)
    // A full tree with no unmerged leaves, so that paths have a known form.
    var all = members
    for place in 0..<4 { try all.commit(by: place) }
  }

  // MARK: Framing

  @Test func paddingIsZero() throws {
    let suite = alice.suiteOf
    let signed = try alice.group.sign(.application([1]), authenticatedData: [])
    var plaintext = Writer()
    signed.content.content.encode(into: &plaintext)
    signed.auth.encode(into: &plaintext)
    plaintext.writeBytes([0, 0, 1])
    let key = try alice.group.state.secretTree.nextKey(suite, leaf: LeafIndex(0), handshake: false)
    var aad = Writer()
    aad.write(alice.group.groupID)
    aad.write(alice.group.epoch)
    aad.write(ContentType.application)
    let header = aad.bytes
    aad.writeVector([])
    let data = SenderData(leaf: LeafIndex(0), generation: key.generation, reuseGuard: [1, 2, 3, 4])
    let ciphertext = try key.seal(
      plaintext.bytes, suite: suite, reuseGuard: data.reuseGuard, authenticatedData: aad.bytes)
    let sealing = try SenderData.key(
      suite, secret: alice.group.state.secrets.senderData, ciphertext: ciphertext)
    var message = Writer()
    message.write(ProtocolVersion.mls10)
    message.write(WireFormat.privateMessage)
    message.writeBytes(aad.bytes)
    message.writeVector(
      try suite.aead.seal(
        key: sealing.key, nonce: sealing.nonce, associatedData: header, plaintext: data.encoded))
    message.writeVector(ciphertext)
    try expectRefusal(.paddingIsZero, by: bob, of: message.bytes)
  }

  @Test func senderIsAMember() throws {
    var all = try Members(3)
    try all.commit(by: 0, [.remove(LeafIndex(1))])
    let suite = all[0].suiteOf
    let signed = try all[0].group.sign(.application([1]), authenticatedData: [])
    let content = FramedContent(
      groupID: signed.content.groupID, epoch: signed.content.epoch, sender: .member(LeafIndex(1)),
      authenticatedData: [], content: .application([1]))
    let forged = AuthenticatedContent(format: .privateMessage, content: content, auth: signed.auth)
    for leaf in [1, 3, 7, UInt32.max] {
      var secretTree = all[0].group.state.secretTree
      let key = try secretTree.nextKey(suite, leaf: LeafIndex(2), handshake: false)
      let named = AuthenticatedContent(
        format: .privateMessage,
        content: FramedContent(
          groupID: content.groupID, epoch: content.epoch, sender: .member(LeafIndex(leaf)), authenticatedData: [],
          content: content.content), auth: forged.auth)
      let message = try PrivateMessage(
        protecting: named, suite, key: key, senderDataSecret: all[0].group.state.secrets.senderData)
      try expectRefusal(.senderNotBlank, by: all[1], of: MLSMessage.privateMessage(message).encoded)
    }
  }

  @Test func applicationIsPrivate() throws {
    let content = FramedContent(
      groupID: alice.group.groupID, epoch: alice.group.epoch, sender: .member(LeafIndex(0)), authenticatedData: [],
      content: .application([1]))
    var writer = Writer()
    writer.write(ProtocolVersion.mls10)
    writer.write(WireFormat.publicMessage)
    writer.write(content)
    writer.writeVector([UInt8](repeating: 0, count: 64))
    writer.writeVector([UInt8](repeating: 0, count: 32))
    bob.group.policy.acceptsPublicHandshakes = true
    try expectRefusal(.applicationIsPrivate, by: bob, of: writer.bytes)
  }

  @Test func publicHandshakesNeedPolicyAndTag() throws {
    let message = try alice.forgePublic(.proposal(.remove(LeafIndex(3))))
    #expect(throws: MLSError(.publicHandshake)) { try bob.note(message) }
    bob.group.policy.acceptsPublicHandshakes = true
    var damaged = message
    damaged[damaged.count - 1] ^= 1
    #expect(throws: MLSError(.badTag)) { try bob.note(damaged) }
    // The right tag, but signed by another.
    let forged = try alice.forgePublic(.proposal(.remove(LeafIndex(3))), as: .member(LeafIndex(2)))
    #expect(throws: MLSError(.badSignature)) { try bob.note(forged) }
    #expect(throws: MLSError(.unknownSender)) {
      try bob.note(try alice.forgePublic(.proposal(.remove(LeafIndex(3))), as: .member(LeafIndex(9))))
    }
    let past = try alice.forgePublic(.proposal(.remove(LeafIndex(3))), epoch: Epoch(1))
    #expect(throws: MLSError(.staleHandshake)) { try bob.note(past) }
    #expect(try bob.note(message).proposal == .remove(LeafIndex(3)))
  }

  @Test func externalSenders() throws {
    let service = Client.identity("service")
    let sender = ExternalSender(signatureKey: service.signingKey.publicKey, credential: service.credential)
    var all = try Members(2, extensions: [.externalSenders([sender])])
    func send(_ proposal: Proposal, index: UInt32 = 0, key: SigningKey? = nil) throws -> [UInt8] {
      try all[0].forgePublic(.proposal(proposal), as: .external(index), key: key ?? service.signingKey)
    }
    try expectRefusal(.externalSenderKnown, by: all[1], of: try send(.remove(LeafIndex(0)), index: 1))
    try expectRefusal(.externalSenderProposal, by: all[1], of: try send(.update(try all[1].updateLeaf())))
    try expectRefusal(.externalSenderProposal, by: all[1], of: try send(.externalInit(kemOutput: [1])))
    try expectRefusal(
      .externalSenderProposal, by: all[1],
      of: try all[0].forgePublic(.commit(Commit(proposals: [], path: nil)), as: .external(0), key: service.signingKey))
    #expect(throws: MLSError(.badSignature)) {
      try all[1].note(try send(.remove(LeafIndex(0)), key: .generate()))
    }
    let invitee = try Invitee("late")
    let message = try send(.add(invitee.keyPackage))
    for member in all.all {
      #expect(try member.note(message).sender == .external(index: 0, sender))
    }
    let effects = try all.commit(by: 1)
    #expect(effects.added.map(\.credential) == [invitee.identity.credential])
  }

  @Test func newMemberProposals() throws {
    let invitee = try Invitee("knocks")
    let message = try alice.forgePublic(
      .proposal(.add(invitee.keyPackage)), as: .newMemberProposal, key: invitee.identity.signingKey)
    #expect(try bob.note(message).sender == .newMember(invitee.keyPackage.leafNode))
    #expect(throws: MLSError(.badSignature)) {
      try bob.note(try alice.forgePublic(.proposal(.add(invitee.keyPackage)), as: .newMemberProposal))
    }
    try expectRefusal(
      .newMemberProposal, by: bob,
      of: try alice.forgePublic(.proposal(.remove(LeafIndex(0))), as: .newMemberProposal))
    try expectRefusal(
      .newMemberCommit, by: bob, of: try alice.forgePublic(.proposal(.remove(LeafIndex(0))), as: .newMemberCommit))
  }

  @Test func shortenedTagsAreRefused() throws {
    bob.group.policy.acceptsPublicHandshakes = true
    let message = try alice.forgePublic(.proposal(.remove(LeafIndex(3))))
    let withoutTag = Array(message.dropLast(33))
    for length in [0, 1, 16, 31] {
      let shortened = withoutTag + [UInt8(length)] + message.suffix(32).prefix(length)
      #expect(throws: MLSError(.badTag)) { try bob.note(shortened) }
    }
    let sealed = try alice.say("whole")
    guard case .privateMessage(let whole) = try MLSMessage(decoding: sealed) else { return }
    for missing in [1, 12, 16] {
      var writer = Writer()
      writer.write(ProtocolVersion.mls10)
      writer.write(WireFormat.privateMessage)
      writer.write(whole.groupID)
      writer.write(whole.epoch)
      writer.write(whole.contentType)
      writer.writeVector(whole.authenticatedData)
      writer.writeVector(whole.encryptedSenderData)
      writer.writeVector(whole.ciphertext.dropLast(missing))
      #expect(throws: MLSError(.decryptionFailed)) { try bob.hear(writer.bytes) }
    }
    #expect(try bob.hear(sealed) == "whole")
  }

  // MARK: Paths

  @Test func pathIsThereWhereRequired() throws {
    try expectRefusal(.pathRequired, by: bob, of: try alice.forgeCommit([]))
    try expectRefusal(.pathRequired, by: bob, of: try alice.forgeCommit([.remove(LeafIndex(3))]))
    try expectRefusal(.pathRequired, by: bob, of: try alice.forgeCommit([.groupContextExtensions([])]))
    // An add needs none: what is refused then is the tag that the forger made up.
    let invitee = try Invitee("late")
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([.add(invitee.keyPackage)]))
  }

  @Test func pathHasItsForm() throws {
    let path = try alice.path().path
    let tooShort = UpdatePath(leafNode: path.leafNode, nodes: Array(path.nodes.dropLast()))
    let tooLong = UpdatePath(leafNode: path.leafNode, nodes: path.nodes + path.nodes.suffix(1))
    try expectRefusal(.pathLength, by: bob, of: try alice.forgeCommit([], path: tooShort))
    try expectRefusal(.pathLength, by: bob, of: try alice.forgeCommit([], path: tooLong))
    // A ciphertext too few or too many, wherever it is: all members see it, not only those it is for.
    for place in path.nodes.indices {
      for change in [-1, 1] {
        var nodes = path.nodes
        let sealed = nodes[place].encryptedPathSecrets
        nodes[place] = UpdatePath.Node(
          encryptionKey: nodes[place].encryptionKey,
          encryptedPathSecrets: change < 0 ? Array(sealed.dropLast()) : sealed + sealed)
        let message = try alice.forgeCommit([], path: UpdatePath(leafNode: path.leafNode, nodes: nodes))
        for member in [bob, dave] { try expectRefusal(.pathCiphertexts, by: member, of: message) }
      }
    }
  }

  @Test func pathKeysAreNewAndFit() throws {
    let path = try alice.path().path
    let inTree = try #require(bob.group.state.tree.leaf(LeafIndex(3))?.encryptionKey)
    func with(_ key: [UInt8]) -> UpdatePath {
      var nodes = path.nodes
      nodes[1] = UpdatePath.Node(encryptionKey: key, encryptedPathSecrets: nodes[1].encryptedPathSecrets)
      return UpdatePath(leafNode: path.leafNode, nodes: nodes)
    }
    try expectRefusal(.pathKeysAreNew, by: bob, of: try alice.forgeCommit([], path: with(inTree)))
    for bad in [[1, 2], [UInt8](repeating: 0, count: 32)] {
      try expectRefusal(.leafKeysWellFormed, by: bob, of: try alice.forgeCommit([], path: with(bad)))
    }
    // Another new key: the parent hash in the signed leaf tells.
    let other = HPKEPrivateKey.generate(.dhkemX25519).publicKey
    try expectRefusal(.pathParentHash, by: bob, of: try alice.forgeCommit([], path: with(other)))
    let wrong = try alice.path { $0.source = .commit(parentHash: Random.bytes(32)) }.path
    try expectRefusal(.pathParentHash, by: bob, of: try alice.forgeCommit([], path: wrong))
    // The leaf's new key is in the tree already.
    let taken = try alice.path { $0.encryptionKey = inTree }.path
    try expectRefusal(.pathKeysAreNew, by: bob, of: try alice.forgeCommit([], path: taken))
    // The same new key twice.
    let repeated = with(path.nodes[0].encryptionKey)
    try expectRefusal(.pathParentHash, by: bob, of: try alice.forgeCommit([], path: repeated))
  }

  @Test func sealedSecretsMatchTheKeys() throws {
    let (path, context) = try alice.path()
    let receiver = try #require(bob.group.state.tree.leaf(LeafIndex(1))?.encryptionKey)
    func with(_ secret: Secret) throws -> UpdatePath {
      var nodes = path.nodes
      let sealed = try alice.suiteOf.seal(secret, to: receiver, "UpdatePathNode", context: context.encoded)
      nodes[0] = UpdatePath.Node(encryptionKey: nodes[0].encryptionKey, encryptedPathSecrets: [sealed])
      return UpdatePath(leafNode: path.leafNode, nodes: nodes)
    }
    try expectRefusal(
      .pathKeysMatch, by: bob, of: try alice.forgeCommit([], path: try with(.random(count: 32))))
    try expectRefusal(.pathKeysMatch, by: bob, of: try alice.forgeCommit([], path: try with(.random(count: 7))))
    // Sealed under another context, as if for another group.
    var nodes = path.nodes
    nodes[0] = UpdatePath.Node(
      encryptionKey: nodes[0].encryptionKey,
      encryptedPathSecrets: [try alice.suiteOf.seal(.random(count: 32), to: receiver, "UpdatePathNode", context: [])])
    #expect(throws: MLSError(.decryptionFailed)) {
      try bob.follow(try alice.forgeCommit([], path: UpdatePath(leafNode: path.leafNode, nodes: nodes)))
    }
  }

  @Test func confirmationTagIsRight() throws {
    let path = try alice.path().path
    try expectRefusal(.confirmationTag, by: bob, of: try alice.forgeCommit([], path: path))
    try expectRefusal(
      .confirmationTag, by: bob,
      of: try alice.forge(.commit(Commit(proposals: [], path: path)), tag: []))
    // After all that, an honest commit is followed.
    var all = members
    try all.commit(by: 0)
    try all.expectAgreement()
  }
}
