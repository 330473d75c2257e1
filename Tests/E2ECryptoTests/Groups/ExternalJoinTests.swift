import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Who comes in by an external commit (RFC 9420 section 12.4.3.2), in the cases that are easily got wrong.
@Suite struct ExternalJoinTests {
  private func join(
    _ member: Client, _ identity: ClientIdentity, capabilities: Capabilities = Capabilities(extensions: [0xff01]),
    removing: LeafIndex? = nil
  ) throws -> PendingExternalJoin {
    try Group.joinExternally(
      groupInfo: try member.group.groupInfo(), identity: identity, capabilities: capabilities, removing: removing)
  }

  private func adopt(_ join: consuming PendingExternalJoin, _ old: Client) -> Client {
    Client(old.name, suite: old.suite, identity: old.identity, group: join.adopt())
  }

  /// The tree is empty between the remove and the join. It must have shrunk to one leaf by then, or nobody who is added
  /// later would come to the same tree hash.
  @Test(arguments: [2, 3, 5]) func theLastMemberReturnsAndInvites(_ count: Int) throws {
    var members = try Members(count)
    for place in 0..<count - 1 { try members.commit(by: members.all.count - 1, [.remove(LeafIndex(UInt32(place)))]) }
    let alone = members[0]
    #expect(members.all.count == 1 && alone.group.ownLeafIndex == LeafIndex(UInt32(count - 1)))
    let join = try join(alone, alone.identity, removing: alone.group.ownLeafIndex)
    let effects = try alone.follow(join.message)
    #expect(effects.removesSelf)
    var again = Members([adopt(join, alone)])
    #expect(again[0].group.ownLeafIndex == LeafIndex(0) && again[0].group.state.tree.leaves.count == 1)
    try again.commit(by: 0, joining: try (0..<3).map { try Invitee("guest \($0)") })
    try again.expectAgreement()
  }

  /// A client that does not know the group's extensions must not claim to, and stays outside (RFC 9420 section 13.4).
  @Test func oneWhoDoesNotSupportTheGroupStaysOutside() throws {
    let identity = Client.identity("newcomer")
    let extended = try Members(2, extensions: [Extension(type: 0xff01, data: [1])])
    #expect(throws: MLSError.rejected(.groupExtensionsSupported)) {
      _ = try join(extended[0], identity, capabilities: Capabilities())
    }
    let demanding = try Members(
      2, extensions: [.requiredCapabilities(RequiredCapabilities(extensions: [0xff01], credentials: [1]))])
    #expect(throws: MLSError.rejected(.leafRequiredCapabilities)) {
      _ = try join(demanding[0], identity, capabilities: Capabilities())
    }
    for members in [extended, demanding] {
      let join = try join(members[0], identity)
      for member in members.all { try member.follow(join.message) }
    }
  }
}
