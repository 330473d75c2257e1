import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Long random stories in which members leave, change who they are, and bring all kinds of proposals of the application's
/// own, by value and by reference, with restarts in between: whoever follows agrees.
@Suite struct ExtensionWalkTests {
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }
  }

  private static let custom: UInt16 = 0xf001
  private static let capabilities = Capabilities(
    extensions: [0xff01, Extension.appDataDictionaryType],
    proposals: [custom, 8, 9, Proposal.selfRemoveType])

  private static var policy: GroupPolicy {
    var policy = GroupPolicy()
    policy.customProposals = [CustomProposalType(type: custom, requiresPath: false, allowsExternalCommit: true)]
    policy.components = [ComponentID(0x8000): AppDataTests.Sum(), ComponentID(0x8001): ReplacingComponent()]
    return policy
  }

  private func anything(_ random: inout Seeded) -> Proposal {
    let component = ComponentID(UInt16.random(in: 0x8000...0x8001, using: &random))
    // A zero is refused by one of the components, and so never gets into a commit.
    let data = [UInt8.random(in: 0...7, using: &random)]
    return switch Int.random(in: 0..<5, using: &random) {
    case 0: .custom(type: Self.custom, data: data)
    case 1: .appEphemeral(AppEphemeral(component: component, data: [data[0] | 1]))
    case 2: .appDataUpdate(AppDataUpdate(component: component, operation: .remove))
    default: .appDataUpdate(AppDataUpdate(component: component, operation: .update(data)))
    }
  }

  @Test(arguments: 0..<4) func walk(_ number: Int) throws {
    let seed = Random.uint64()
    print("seed of extension walk \(number): \(seed)")
    var random = Seeded(state: seed)
    var members = try Members(4, capabilities: Self.capabilities, policy: Self.policy)
    var (names, kinds) = (0, Set<UInt16>())
    for _ in 0..<30 {
      var leavers: [(client: Client, message: [UInt8])] = []
      for proposer in members.all where Int.random(in: 0..<3, using: &random) == 0 {
        let message: [UInt8]
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where members.all.count - leavers.count > 3:
          message = try proposer.group.proposeSelfRemove()
          leavers.append((proposer, message))
        case 1:
          names += 1
          message = try proposer.group.proposeUpdate(identity: Client.identity("renamed \(names)"))
        default:
          // What a component refuses, its proposer refuses to send.
          let proposal = anything(&random)
          guard let sent = try? proposer.group.propose(proposal, now: someday) else { continue }
          message = sent
        }
        for other in members.all where other !== proposer { try other.note(message) }
      }
      if Bool.random(using: &random) { members = try members.reopened() }
      let gone = Set(leavers.map { $0.client.group.ownLeafIndex })
      let effects: CommitEffects
      if Int.random(in: 0..<4, using: &random) == 0 {
        names += 1
        effects = try comeIn("joiner \(names)", &members, leavers.map(\.message))
      } else {
        let staying = members.all.indices.filter { !gone.contains(members[$0].group.ownLeafIndex) }
        let place = try #require(staying.randomElement(using: &random))
        var options = CommitOptions()
        names += 1
        if Bool.random(using: &random) { options.identity = Client.identity("renamed \(names)") }
        let invitees =
          members.all.count < 6 ? [try Invitee("invited \(names)", capabilities: Self.capabilities)] : []
        effects = try members.commit(by: place, joining: invitees, options: options)
      }
      // Whatever else was proposed: who wanted to leave is gone.
      #expect(Set(effects.removed.map(\.leafIndex)) == gone)
      kinds.formUnion(effects.proposals.map(\.proposal.type))
      try members.expectAgreement(talking: false)
    }
    try members.expectAgreement()
    #expect(kinds.isSuperset(of: [Self.custom, 8, 9, 10]), "the walk was too short to meet all")
  }

  /// Has somebody join by an external commit, which takes the leavers along.
  private func comeIn(_ name: String, _ members: inout Members, _ selfRemoves: [[UInt8]]) throws -> CommitEffects {
    let identity = Client.identity(name)
    let joining = try Group.joinExternally(
      groupInfo: try members[0].group.groupInfo(), identity: identity, capabilities: Self.capabilities,
      proposals: [.custom(type: Self.custom, data: [1])], selfRemoves: selfRemoves, policy: Self.policy)
    let message = joining.message
    let all = try members.all.map { try $0.follow(message) }
    members.all.removeAll { !$0.isActive }
    members.all.append(
      Client(name, suite: .x25519ChaCha20Poly1305, identity: identity, group: joining.adopt()))
    return try #require(all.first)
  }
}

extension Members {
  /// All of them after a restart, each as who it is by now.
  func reopened() throws -> Members {
    Members(
      try all.map { member in
        let identity = try ClientIdentity(restoring: member.group.identity.encodeState())
        let group = try Group(
          restoring: member.group.encodeState(), identity: identity, policy: member.group.policy)
        return Client(member.name, suite: member.suite, identity: identity, group: group)
      })
  }
}
