import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// RFC 9420 sections 7.2, 7.3, 10.1 and 13.4: each rule broken in an add, an update or a path, sent by a member.
@Suite struct LeafRuleTests {
  let members: Members
  let invitee: Invitee
  var alice: Client { members[0] }
  var bob: Client { members[1] }
  var carol: Client { members[2] }

  init() throws {
    members = try Members(3)
    invitee = try Invitee("dave")
  }

  private func expectAddRefused(
    _ rule: Rule, _ keyPackage: KeyPackage, _ place: SourceLocation = #_sourceLocation
  ) throws {
    try expectRefusal(rule, by: bob, of: try alice.forgeCommit([.add(keyPackage)]), place)
    try expectRefusal(rule, by: bob, of: try alice.forge(.proposal(.add(keyPackage))), place)
    #expect(throws: MLSError.rejected(rule), sourceLocation: place) { try alice.attempt([.add(keyPackage)]) }
  }

  @Test func keysWellFormed() throws {
    try expectAddRefused(.leafKeysWellFormed, try invitee.forged { $0.encryptionKey.removeLast() })
    try expectAddRefused(.leafKeysWellFormed, try invitee.forged { $0.signatureKey.append(0) })
    try expectAddRefused(.leafKeysWellFormed, try invitee.forged(initKey: [1, 2, 3]))
    // A key of the right length to which nothing can be sealed would keep all others from committing.
    let zero = [UInt8](repeating: 0, count: 32)
    try expectAddRefused(.leafKeysWellFormed, try invitee.forged(initKey: zero))
    try expectAddRefused(.leafKeysWellFormed, try invitee.forged { $0.encryptionKey = zero })
    let update = try bob.updateLeaf { $0.encryptionKey = zero }
    try expectRefusal(.leafKeysWellFormed, by: alice, of: try bob.forge(.proposal(.update(update))))
    let path = try bob.path { $0.encryptionKey = zero }.path
    try expectRefusal(.leafKeysWellFormed, by: alice, of: try bob.forgeCommit([], path: path))
  }

  @Test func leafSignature() throws {
    try expectAddRefused(.leafSignature, try invitee.forged(leafSigner: .generate()))
    let update = try bob.updateLeaf(signedBy: .generate())
    try expectRefusal(.leafSignature, by: alice, of: try bob.forge(.proposal(.update(update))))
    // Signed for another place or group.
    for place in [
      LeafPlace(groupID: bob.group.groupID, index: LeafIndex(0)),
      LeafPlace(groupID: GroupID([1]), index: LeafIndex(1)),
    ] {
      let update = try bob.updateLeaf(at: place)
      try expectRefusal(.leafSignature, by: alice, of: try bob.forge(.proposal(.update(update))))
    }
    let path = try bob.path(signedBy: .generate()).path
    try expectRefusal(.leafSignature, by: alice, of: try bob.forgeCommit([], path: path))
  }

  @Test func requiredCapabilities() throws {
    var strict = try Members(
      3, extensions: [.requiredCapabilities(RequiredCapabilities(extensions: [0xff01], credentials: [1]))])
    let poor = try Invitee("poor", capabilities: Capabilities())
    try expectRefusal(
      .leafRequiredCapabilities, by: strict[1], of: try strict[0].forgeCommit([.add(poor.keyPackage)]))
    #expect(throws: MLSError.rejected(.leafRequiredCapabilities)) {
      try strict[0].attempt([.add(poor.keyPackage)])
    }
    // An update is judged in a commit only, since the demands could change with it.
    let update = try strict[1].forge(.proposal(.update(try strict[1].updateLeaf { $0.capabilities.extensions = [] })))
    for place in [0, 2] { try strict[place].note(update) }
    let reference = try #require(strict[0].group.proposals.entries.last?.reference)
    let commit = Commit(proposals: [.reference(reference)], path: try strict[0].path().path)
    try expectRefusal(.leafRequiredCapabilities, by: strict[2], of: try strict[0].forge(.commit(commit)))
    let path = try strict[1].path { $0.capabilities.extensions = [] }.path
    try expectRefusal(.leafRequiredCapabilities, by: strict[0], of: try strict[1].forgeCommit([], path: path))
    try strict.commit(by: 0, joining: [try Invitee("rich")])
    try strict.expectAgreement()
  }

  @Test func credentialSupport() throws {
    let modern = try invitee.forged {
      $0.credential = .x509([[1]])
      $0.capabilities.credentials = [1, 2]
    }
    try expectRefusal(.leafCredentialSupport, by: bob, of: try alice.forgeCommit([.add(modern)]))
    #expect(throws: MLSError.rejected(.leafCredentialSupport)) { try alice.attempt([.add(modern)]) }
    // One who does not know the credentials of the others.
    let alien = try invitee.forged {
      $0.credential = .x509([[1]])
      $0.capabilities.credentials = [2]
    }
    try expectRefusal(.leafCredentialSupport, by: bob, of: try alice.forgeCommit([.add(alien)]))
  }

  @Test func lifetime() throws {
    let late = try Invitee(
      "late",
      lifetime: Lifetime(
        notBefore: Timestamp(secondsSinceEpoch: 0), notAfter: Timestamp(secondsSinceEpoch: 1000)))
    #expect(throws: MLSError.rejected(.leafLifetime)) { try alice.attempt([.add(late.keyPackage)]) }
    #expect(throws: MLSError.rejected(.leafLifetime)) { try late.keyPackage.validate(now: someday) }
    let early = try Invitee(
      "early",
      lifetime: Lifetime(
        notBefore: Timestamp(secondsSinceEpoch: someday.secondsSinceEpoch + 10), notAfter: someYear.notAfter))
    #expect(throws: MLSError.rejected(.leafLifetime)) { try alice.attempt([.add(early.keyPackage)]) }
    // Whoever receives does not ask the clock, but the length of the lifetime.
    let long = try invitee.forged {
      $0.source = .keyPackage(
        Lifetime(notBefore: Timestamp(secondsSinceEpoch: 0), notAfter: Timestamp(secondsSinceEpoch: .max)))
    }
    try expectAddRefused(.leafLifetime, long)
    let backwards = try invitee.forged {
      $0.source = .keyPackage(Lifetime(notBefore: someYear.notAfter, notAfter: someYear.notBefore))
    }
    try expectAddRefused(.leafLifetime, backwards)
  }

  @Test func extensionsListedAndUnique() throws {
    try expectAddRefused(
      .leafExtensionsListed, try invitee.forged { $0.extensions = [Extension(type: 0xff77, data: [])] })
    let twice = [Extension(type: 0xff01, data: [1]), Extension(type: 0xff01, data: [2])]
    try expectAddRefused(.extensionsUnique, try invitee.forged { $0.extensions = twice })
    try expectAddRefused(.extensionsUnique, try invitee.forged(extensions: twice))
    try expectRefusal(
      .extensionsUnique, by: bob, of: try alice.forgeCommit([.groupContextExtensions(twice)]))
  }

  @Test func source() throws {
    let wrong = try invitee.forged { $0.source = .update }
    try expectAddRefused(.keyPackageLeaf, wrong)
    let update = try bob.updateLeaf { $0.source = .keyPackage(someYear) }
    try expectRefusal(.leafSource, by: alice, of: try bob.forge(.proposal(.update(update))))
    let path = try bob.path { $0.source = .update }.path
    try expectRefusal(.leafSource, by: alice, of: try bob.forgeCommit([], path: path))
  }

  @Test func updateHasNewKey() throws {
    let old = try #require(bob.group.state.tree.leaf(LeafIndex(1))?.encryptionKey)
    let update = try bob.updateLeaf { $0.encryptionKey = old }
    try expectRefusal(.leafUpdateKeyIsNew, by: alice, of: try bob.forge(.proposal(.update(update))))
    let path = try bob.path { $0.encryptionKey = old }.path
    try expectRefusal(.pathLeafKeyIsNew, by: alice, of: try bob.forgeCommit([], path: path))
  }

  @Test func keysAreUnique() throws {
    let carolsLeaf = try #require(bob.group.state.tree.leaf(LeafIndex(2)))
    // The signature key of a member in a new leaf: the general rule's special case for adds.
    let impostor = try Invitee("impostor", identity: carol.identity)
    try expectRefusal(.addIsNew, by: bob, of: try alice.forgeCommit([.add(impostor.keyPackage)]))
    // The encryption key of a member, in an add and in an update.
    let copied = try invitee.forged { $0.encryptionKey = carolsLeaf.encryptionKey }
    try expectRefusal(.leafEncryptionKeyUnique, by: bob, of: try alice.forgeCommit([.add(copied)]))
    let update = try bob.updateLeaf { $0.encryptionKey = carolsLeaf.encryptionKey }
    let message = try bob.forge(.proposal(.update(update)))
    try alice.note(message)
    try carol.note(message)
    let reference = try #require(alice.group.proposals.entries.last?.reference)
    let commit = try alice.forge(.commit(Commit(proposals: [.reference(reference)], path: try alice.path().path)))
    try expectRefusal(.leafEncryptionKeyUnique, by: carol, of: commit)
    // Our own commit leaves it out.
    #expect(try alice.commit().effects.proposals.isEmpty)
    // A path that takes another's signature key.
    let path = try bob.path(signedBy: carol.identity.signingKey) { $0.signatureKey = carolsLeaf.signatureKey }.path
    try expectRefusal(.leafSignatureKeyUnique, by: alice, of: try bob.forgeCommit([], path: path))
  }

  @Test func selfConsistency() throws {
    try expectAddRefused(.leafSelfConsistent, try invitee.forged { $0.capabilities.versions = [] })
    try expectAddRefused(.leafSelfConsistent, try invitee.forged { $0.capabilities.cipherSuites = [1] })
    try expectAddRefused(.leafSelfConsistent, try invitee.forged { $0.capabilities.credentials = [2] })
  }

  @Test func groupExtensionsSupported() throws {
    let strict = try Members(2, extensions: [Extension(type: 0xff01, data: [1])])
    let poor = try Invitee("poor", capabilities: Capabilities())
    try expectRefusal(
      .groupExtensionsSupported, by: strict[1], of: try strict[0].forgeCommit([.add(poor.keyPackage)]))
    let unknown = Proposal.groupContextExtensions([Extension(type: 0xff99, data: [])])
    try expectRefusal(
      .groupExtensionsSupported, by: strict[1],
      of: try strict[0].forgeCommit([unknown], path: try strict[0].path().path))
    #expect(throws: MLSError.rejected(.groupExtensionsSupported)) { try strict[0].attempt([unknown]) }
  }

  // MARK: Key packages

  @Test func keyPackageSuite() throws {
    try expectAddRefused(.keyPackageSuite, try Invitee("other", suite: .x25519AES128GCM).keyPackage)
    try expectAddRefused(.keyPackageSuite, try invitee.forged(number: 1))
  }

  @Test func keyPackageSignature() throws {
    try expectAddRefused(.keyPackageSignature, try invitee.forged(signer: .generate()))
  }

  @Test func keyPackageKeysDiffer() throws {
    try expectAddRefused(
      .keyPackageKeysDiffer, try invitee.forged(initKey: invitee.keyPackage.leafNode.encryptionKey))
  }
}
