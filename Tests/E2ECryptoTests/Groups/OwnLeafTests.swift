import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// A member that changes more of its leaf than the key: who it is, what it can do, and its extensions.
@Suite struct OwnLeafTests {
  private func renamed(_ name: String) -> ClientIdentity { Client.identity(name) }

  private func leaf(of client: Client) throws -> LeafNode {
    let member = client.group.member(at: client.group.ownLeafIndex)
    return try #require(member).leafNode
  }

  @Test func byCommit() throws {
    var members = try Members(3)
    let (old, new) = (members[1].identity, renamed("bob, later"))
    var options = CommitOptions()
    options.identity = new
    options.capabilities = Capabilities(extensions: [0xff01, 0xff02], proposals: [0xf00f])
    options.leafExtensions = [Extension(type: 0xff03, data: [1])]
    options.makesGroupInfo = true
    let invitee = try Invitee("new")
    let pending = try members[1].commit([.add(invitee.keyPackage)], options: options)
    let (message, welcome) = (pending.message, try pending.requireWelcome())
    let groupInfo = try #require(pending.groupInfo.map { $0 })

    let update = try #require(pending.effects.updated.first)
    #expect(update.changesCredential && update.changesSignatureKey)
    #expect(update.after.credential == new.credential && update.after.signatureKey == new.signingKey.publicKey)
    // Until the merge it is the old one, with all that depends on it.
    #expect(members[1].group.identity.credential == old.credential)
    #expect(try members[0].read(try members[1].say("still me")).senderCredential == old.credential)
    // The commit outlives a restart, with the new key in it.
    let restored = try PendingCommit(restoring: pending.encodeState())
    try members[1].group.merge(restored)
    #expect(members[1].group.identity.signingKey == new.signingKey)
    for place in [0, 2] { #expect(try members[place].follow(message).updated == [update]) }
    members.all.append(try invitee.join(welcome))

    // Welcome and group info are signed by the new key.
    _ = try PublicGroup(groupInfo: groupInfo)
    let after = try leaf(of: members[1])
    #expect(after.capabilities.extensions == [0xff01, 0xff02, 0xff03] && after.capabilities.proposals == [0xf00f])
    #expect(after.extensions == options.leafExtensions)
    #expect(try members[0].read(try members[1].say("me anew")).senderCredential == new.credential)
    let stored = members[1].group.identity.encodeState()
    let identity = try ClientIdentity(restoring: stored)
    #expect(identity.credential == new.credential && identity.signingKey == new.signingKey)
    let half = stored.withBytes { Secret(copying: Array($0.dropLast())) }
    #expect(throws: MLSError(.malformed)) { _ = try ClientIdentity(restoring: half) }
    // Who restores the group must be who it is now.
    let state = members[1].group.encodeState()
    #expect(throws: MLSError(.identityMismatch)) { _ = try Group(restoring: state, identity: old) }
    members.all[1] = Client(
      "bob", suite: members[1].suite, identity: new, group: try Group(restoring: state, identity: new))
    try members.expectAgreement()
    try members.commit(by: 1)
    try members.expectAgreement()
  }

  @Test func aDroppedCommitKeepsTheOldOne() throws {
    var members = try Members(2)
    let old = members[0].identity
    var options = CommitOptions()
    options.identity = renamed("never")
    let loser = try members[0].commit(options: options)
    let (message, stored) = (loser.message, loser.encodeState())
    // Let go of: the next one starts from who it is.
    _ = consume loser
    try members.commit(by: 1)
    #expect(members[0].group.identity.signingKey == old.signingKey)
    #expect(throws: MLSError(.epochMoved)) { try members[0].group.merge(try PendingCommit(restoring: stored)) }
    #expect(throws: MLSError(.staleHandshake)) { try members[1].follow(message) }
    #expect(members[0].group.identity.signingKey == old.signingKey)
    try members.restored().expectAgreement()
  }

  @Test func byProposalThatAnotherCommits() throws {
    var members = try Members(3)
    let (old, new) = (members[2].identity, renamed("carol, later"))
    let message = try members[2].group.proposeUpdate(
      identity: new, capabilities: Capabilities(extensions: [0xff01, 0xff07]),
      leafExtensions: [Extension(type: 0xff07, data: [2])])
    for place in [0, 1] { try members[place].note(message) }
    // The key waits in the saved state, and is not in use yet.
    members = try members.restored()
    #expect(members[2].group.identity.signingKey == old.signingKey)
    let effects = try members.commit(by: 0)
    #expect(effects.updated.contains { $0.after.credential == new.credential && $0.changesSignatureKey })
    #expect(members[2].group.identity.signingKey == new.signingKey)
    #expect(members[2].group.identity.credential == new.credential)
    try members.expectAgreement()
    #expect(try members[0].read(try members[2].say("hello")).senderSignatureKey == new.signingKey.publicKey)
    #expect(try leaf(of: members[2]).extensions == [Extension(type: 0xff07, data: [2])])
  }

  @Test func aProposalThatNobodyCommitsChangesNothing() throws {
    var members = try Members(3)
    let old = members[1].identity
    let update = try members[1].group.proposeUpdate(identity: renamed("never"))
    try members[0].note(update)
    // Carol does not know of it, and commits without.
    try members.commit(by: 2)
    #expect(members[1].group.identity.signingKey == old.signingKey)
    try members.restored().expectAgreement()
  }

  @Test func aKeyThatAnotherHasIsRefused() throws {
    let members = try Members(3)
    var options = CommitOptions()
    options.identity = ClientIdentity(credential: .basic(identity: [1]), signingKey: members[2].identity.signingKey)
    #expect(throws: MLSError.rejected(.leafSignatureKeyUnique)) { _ = try members[0].commit(options: options) }
    // A credential of a type that the others do not know.
    options.identity = ClientIdentity(credential: .x509([[1]]), signingKey: .generate())
    #expect(throws: MLSError.rejected(.leafCredentialSupport)) { _ = try members[0].commit(options: options) }
    options.identity = ClientIdentity(credential: .custom(type: 1, data: [1]), signingKey: .generate())
    #expect(throws: MLSError(.outOfBounds)) { _ = try members[0].commit(options: options) }
    options.identity = ClientIdentity(credential: .basic(identity: [1]), signingKey: .generate(.ed448))
    #expect(throws: MLSError(.identityMismatch)) { _ = try members[0].commit(options: options) }
    try members.expectAgreement()
  }

  @Test func groupInfoExtensions() throws {
    let members = try Members(2)
    let hint = Extension(type: 0xff77, data: [1, 2])
    var options = CommitOptions()
    options.groupInfoExtensions = [hint, .grease()]
    options.makesGroupInfo = true
    let invitee = try Invitee("new")
    let pending = try members[0].commit([.add(invitee.keyPackage)], options: options)
    let join = try Group.join(
      welcome: try pending.requireWelcome(), keyPackage: invitee.bundle, identity: invitee.identity)
    #expect(join.effects.groupInfoExtensions.contains(hint) && join.effects.groupInfoExtensions.count == 2)
    let outside = try Group.joinExternally(
      groupInfo: try members[1].group.groupInfo(extensions: [hint]), identity: renamed("outsider"))
    #expect(outside.effects.groupInfoExtensions.contains(hint))
    for type in [Extension.ratchetTreeType, Extension.externalPubType] {
      #expect(throws: MLSError(.outOfBounds)) {
        _ = try members[1].group.groupInfo(extensions: [Extension(type: type, data: [])])
      }
    }
    #expect(throws: MLSError(.outOfBounds)) { _ = try members[1].group.groupInfo(extensions: [hint, hint]) }
  }
}
