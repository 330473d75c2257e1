import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Saved state is unreadable without its key, bound to what it is, whole, and of a version that is known.
@Suite struct SealedStateTests {
  private let key = Secret.random(count: 32)

  private func discard(_ group: consuming Group) {}
  private func discard(_ pending: consuming PendingCommit) {}

  @Test func groupsComeBack() throws {
    var members = try Members(3)
    for member in members.all {
      let sealed = try member.group.seal(with: key)
      let again = try member.group.seal(with: key)
      #expect(sealed != again, "the same nonce twice")
      member.group = try Group(
        opening: sealed, key: key, groupID: member.group.groupID, identity: member.identity)
    }
    try members.expectAgreement()
    let pending = try members[0].commit([.remove(LeafIndex(2))])
    let message = pending.message
    let recovered = try PendingCommit(
      opening: try pending.seal(with: key), key: key, groupID: members[0].group.groupID)
    try members[0].group.merge(recovered)
    for place in 1...2 { try members[place].follow(message) }
    members.all.removeLast()
    try members.expectAgreement()
    let invitee = try Invitee("guest")
    let reference = try invitee.keyPackage.reference()
    let bundle = try KeyPackageBundle(opening: try invitee.bundle.seal(with: key), key: key, reference: reference)
    #expect(bundle.keyPackage == invitee.keyPackage && bundle.initKey == invitee.bundle.initKey)
  }

  @Test func nothingShowsThrough() throws {
    let members = try Members(2)
    let group = members[0].group.state
    let sealed = try members[0].group.seal(with: key)
    for secret in [group.secrets.initSecret, group.secrets.senderData, group.privateKeys.leafKey.secret] {
      #expect(!sealed.contains(secret.exposed))
    }
    for open in [group.groupID.bytes, Array("member 0".utf8), group.context.treeHash] {
      #expect(!sealed.contains(open), "even what is public in the group is not for a thief")
    }
  }

  @Test func onlyTheRightKeyAndGroupOpen() throws {
    let members = try Members(2)
    let (id, identity) = (members[0].group.groupID, members[0].identity)
    let sealed = try members[0].group.seal(with: key)
    func open(_ sealed: [UInt8], key: Secret, as id: GroupID) throws {
      discard(try Group(opening: sealed, key: key, groupID: id, identity: identity))
    }
    #expect(throws: MLSError(.decryptionFailed)) { try open(sealed, key: .random(count: 32), as: id) }
    #expect(throws: MLSError(.decryptionFailed)) { try open(sealed, key: key, as: GroupID([1])) }
    for length in [0, 16, 31, 33, 64] {
      #expect(throws: MLSError(.outOfBounds)) { try open(sealed, key: .random(count: length), as: id) }
      #expect(throws: MLSError(.outOfBounds)) { try members[0].group.seal(with: .random(count: length)) }
    }
    #expect(throws: MLSError(.identityMismatch)) {
      discard(try Group(opening: sealed, key: key, groupID: id, identity: members[1].identity))
    }
    // One kind does not pass for another, under the same key and name.
    let pending = try members[0].commit()
    let sealedCommit = try pending.seal(with: key)
    #expect(throws: MLSError(.decryptionFailed)) { try open(sealedCommit, key: key, as: id) }
    #expect(throws: MLSError(.decryptionFailed)) {
      discard(try PendingCommit(opening: sealed, key: key, groupID: id))
    }
    try open(sealed, key: key, as: id)
  }

  @Test func damageIsRefused() throws {
    let members = try Members(2)
    let (id, identity) = (members[0].group.groupID, members[0].identity)
    let sealed = try members[0].group.seal(with: key)
    func refuses(_ bytes: [UInt8]) -> Bool {
      do {
        discard(try Group(opening: bytes, key: key, groupID: id, identity: identity))
        return false
      } catch { return true }
    }
    for place in stride(from: 0, to: sealed.count, by: 5) {
      var damaged = sealed
      damaged[place] ^= 1 << UInt8(place % 8)
      #expect(refuses(damaged), "a bit of byte \(place) was turned")
    }
    for length in Array(0..<64) + Array(stride(from: 64, to: sealed.count, by: 97)) {
      #expect(refuses(Array(sealed.prefix(length))), "\(length) bytes are left")
    }
    #expect(refuses(sealed + [0]) && !refuses(sealed))
  }

  /// What another version wrote is told apart from what is damaged, whether sealed or not.
  @Test func otherVersionsAreRefusedAsSuch() throws {
    let members = try Members(2)
    let (id, identity) = (members[0].group.groupID, members[0].identity)
    for version in [0, 1, 3, 255] as [UInt8] {
      var sealed = try members[0].group.seal(with: key)
      // The seal's own version is 1, that of what is within 2.
      sealed[1] = version == 1 ? 2 : version
      #expect(throws: MLSError(.stateVersion)) {
        discard(try Group(opening: sealed, key: key, groupID: id, identity: identity))
      }
      func changed(_ secret: Secret) -> Secret {
        var bytes = secret.exposed
        bytes[1] = version
        return Secret(copying: bytes)
      }
      let state = members[0].group.encodeState()
      for parts in [
        GroupState(epochPart: changed(state.epochPart), messagePart: state.messagePart),
        GroupState(epochPart: state.epochPart, messagePart: changed(state.messagePart)),
      ] {
        #expect(throws: MLSError(.stateVersion)) { discard(try Group(restoring: parts, identity: identity)) }
      }
      let pending = try members[0].commit()
      #expect(throws: MLSError(.stateVersion)) {
        discard(try PendingCommit(restoring: changed(pending.encodeState())))
      }
      let bundle = try Invitee("guest").bundle
      #expect(throws: MLSError(.stateVersion)) { try KeyPackageBundle(restoring: changed(bundle.encodeState())) }
    }
    for length in 0...1 {
      #expect(throws: MLSError(.malformed)) { try KeyPackageBundle(restoring: .random(count: length)) }
    }
  }
}
