import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// All commits on groups of up to five: every set of proposals, each by value or by reference, with and without a path, by
/// every member; and every pair of commits that compete. Members and joiners must come out equal each time.
///
/// By default a covering part runs; `KIN_EXHAUSTIVE=1` runs all.
@Suite struct EveryCommitTests {
  enum Form: CaseIterable {
    case absent, byValue, byReference
  }

  /// One commit.
  struct Plan {
    var committer: Int
    var add = Form.absent
    var remove = Form.absent
    var psk = Form.absent
    var extensions = Form.absent
    /// By reference, the only way there is.
    var update = false
    var forcesPath = false
    /// Which of the others is removed, and which updates itself.
    var turn = 0

    static func all(for count: Int) -> [Plan] {
      var plans: [Plan] = []
      for committer in 0..<count {
        for add in Form.allCases {
          for remove in count > 1 ? Form.allCases : [.absent] {
            for psk in Form.allCases {
              for extensions in Form.allCases {
                for update in count > (remove == .absent ? 1 : 2) ? [false, true] : [false] {
                  for forcesPath in [false, true] {
                    plans.append(
                      Plan(
                        committer: committer, add: add, remove: remove, psk: psk, extensions: extensions,
                        update: update, forcesPath: forcesPath, turn: plans.count))
                  }
                }
              }
            }
          }
        }
      }
      return plans
    }
  }

  private static let psk = ExternalPSK(id: [9], secret: Secret(copying: [UInt8](repeating: 5, count: 32)))

  private func start(_ count: Int, filled: Bool) throws -> Members {
    var members = try Members(count)
    if filled { for place in 0..<count { try members.commit(by: place) } }
    for member in members.all { member.group.setPreSharedKey(Self.psk) }
    return members
  }

  /// Carries a plan out and returns the members after it.
  private func run(_ plan: Plan, on members: inout Members) throws {
    let committer = members[plan.committer]
    let others = members.all.filter { $0 !== committer }
    let removed = plan.remove == .absent ? nil : others[plan.turn % others.count]
    let staying = others.filter { $0 !== removed }
    let invitee = try Invitee("new")
    var own: [Proposal] = []
    var count = 0
    func take(_ proposal: Proposal, _ form: Form, proposer: Int) throws {
      guard form != .absent else { return }
      count += 1
      guard form == .byReference else { return own.append(proposal) }
      // Proposed by any of the members, the committer and the one who goes included.
      let proposer = members[(plan.committer + proposer) % members.all.count]
      try note(try proposer.group.propose(proposal, now: someday), from: proposer, members)
    }
    try take(.add(invitee.keyPackage), plan.add, proposer: plan.turn)
    if let removed { try take(.remove(removed.group.ownLeafIndex), plan.remove, proposer: plan.turn / 2) }
    try take(committer.group.preSharedKeyProposal(externalID: Self.psk.id), plan.psk, proposer: plan.turn / 3)
    try take(
      .groupContextExtensions([Extension(type: 0xff01, data: [UInt8(truncatingIfNeeded: plan.turn)])]),
      plan.extensions, proposer: plan.turn / 5)
    let updated = plan.update ? staying[plan.turn % staying.count] : nil
    if let updated {
      count += 1
      try note(try updated.group.proposeUpdate(), from: updated, members)
    }

    var options = CommitOptions()
    options.forcesPath = plan.forcesPath
    let pending = try committer.commit(own, options: options)
    let (message, welcome, effects) = (pending.message, pending.welcome, pending.effects)
    #expect(effects.proposals.count == count && effects.added.count == (plan.add == .absent ? 0 : 1), "\(plan)")
    #expect(effects.removed.map(\.leafIndex) == (removed.map { [$0.group.ownLeafIndex] } ?? []), "\(plan)")
    #expect(effects.proposals.count { !$0.isByReference } == own.count, "\(plan)")
    let renewed = Set(effects.updated.map(\.before.leafIndex)).subtracting([committer.group.ownLeafIndex])
    #expect(renewed == Set(updated.map { [$0.group.ownLeafIndex] } ?? []), "\(plan)")
    try committer.group.merge(pending)
    for member in others {
      let theirs = try member.follow(message)
      #expect(theirs.proposals == effects.proposals && theirs.updated == effects.updated, "\(plan)")
      #expect(theirs.removesSelf == (member === removed) && member.isActive == (member !== removed), "\(plan)")
    }
    members.all.removeAll { $0 === removed }
    if plan.add != .absent {
      members.all.append(try invitee.join(try #require(welcome), psks: plan.psk == .absent ? [] : [Self.psk]))
    } else {
      #expect(welcome == nil)
    }
  }

  private func note(_ message: [UInt8], from sender: Client, _ members: Members) throws {
    for member in members.all where member !== sender { try member.note(message) }
  }

  private func expectSound(_ members: Members, talking: Bool = false) throws {
    try members.expectAgreement(talking: talking)
    var tree = members[0].group.state.tree
    try tree.validate(members[0].group.state.context, maxLifetime: .max)
  }

  /// From three members on, by default, one commit of seven runs: so any three choices that go together at all (of kinds,
  /// forms, path and committer) still meet in some commit.
  @Test(arguments: 1...5, [false, true])
  func everyCommit(_ count: Int, filled: Bool) throws {
    guard count > 1 || !filled else { return }
    let step = triesAll ? 1 : [1, 1, 7, 7, 7][count - 1]
    let start = try start(count, filled: filled)
    let plans = Plan.all(for: count)
    var ran = 0
    for place in stride(from: filled ? step / 2 : 0, to: plans.count, by: step) {
      var members = try start.restored()
      try run(plans[place], on: &members)
      try expectSound(members, talking: ran.isMultiple(of: 50))
      ran += 1
    }
    print("exhaustive: \(ran) of \(plans.count) commits on \(filled ? "filled" : "fresh") groups of \(count)")
    #expect(ran > 20)
  }

  // MARK: Commits that compete

  /// What two members may want at the same time.
  private static func wishes(of place: Int, against other: Int, count: Int) -> [Plan] {
    var wishes = [
      Plan(committer: place), Plan(committer: place, add: .byValue),
      Plan(committer: place, add: .byValue, forcesPath: true), Plan(committer: place, psk: .byValue),
      Plan(committer: place, extensions: .byValue, turn: place),
    ]
    // Each of the others is removed in turn, the rival among them.
    for turn in 0..<count - 1 { wishes.append(Plan(committer: place, remove: .byValue, turn: turn)) }
    return wishes
  }

  /// One commit is accepted and the other refused by all, its author included, who then makes it anew.
  @Test(arguments: 2...5) func everyPairOfRivals(_ count: Int) throws {
    let start = try start(count, filled: true)
    let step = triesAll ? 1 : [1, 3, 17, 41][count - 2]
    var (number, ran) = (0, 0)
    for winner in 0..<count {
      for loser in 0..<count where loser != winner {
        for first in Self.wishes(of: winner, against: loser, count: count) {
          for second in Self.wishes(of: loser, against: winner, count: count) {
            defer { number += 1 }
            guard number.isMultiple(of: step) else { continue }
            var members = try start.restored()
            try compete(first, second, &members)
            ran += 1
          }
        }
      }
    }
    print("exhaustive: \(ran) of \(number) pairs of rival commits in groups of \(count)")
    #expect(ran > 20)
  }

  private func compete(_ first: Plan, _ second: Plan, _ members: inout Members) throws {
    let loser = members[second.committer]
    let pending = try loser.commit(try proposals(of: second, members))
    let lost = pending.message
    try run(first, on: &members)
    do {
      try loser.group.merge(pending)
      Issue.record("a commit was merged after its rival")
    } catch { #expect(error == MLSError(loser.isActive ? .epochMoved : .inactive)) }
    for member in members.all {
      #expect(throws: MLSError(.staleHandshake)) { try member.follow(lost) }
    }
    try expectSound(members)
    guard let place = members.all.firstIndex(where: { $0 === loser }) else { return #expect(!loser.isActive) }
    // Made anew, unless there is nobody left to remove.
    var again = second
    again.committer = place
    if members.all.count < 2 { again.remove = .absent }
    for member in members.all { member.group.setPreSharedKey(Self.psk) }
    try run(again, on: &members)
    try expectSound(members)
  }

  private func proposals(of plan: Plan, _ members: Members) throws -> [Proposal] {
    let committer = members[plan.committer]
    let others = members.all.filter { $0 !== committer }
    var proposals: [Proposal] = []
    if plan.add != .absent { proposals.append(.add(try Invitee("rival").keyPackage)) }
    if plan.remove != .absent { proposals.append(.remove(others[plan.turn % others.count].group.ownLeafIndex)) }
    if plan.psk != .absent { proposals.append(committer.group.preSharedKeyProposal(externalID: Self.psk.id)) }
    if plan.extensions != .absent {
      proposals.append(.groupContextExtensions([Extension(type: 0xff01, data: [0xee])]))
    }
    return proposals
  }

  // MARK: Commits that stand alone

  /// A ReInit by every member, by value and by reference from every other; joins and returns from outside, with and without
  /// a key that all know.
  @Test(arguments: 1...5) func endsAndExternalJoins(_ count: Int) throws {
    let start = try start(count, filled: false)
    let parameters = ReInit(groupID: GroupID([1, 2]), cipherSuite: 3, extensions: [])
    for committer in 0..<count {
      for proposer in 0..<count {
        let members = try start.restored()
        var own = [Proposal.reInit(parameters)]
        if proposer != committer {
          let message = try members[proposer].group.propose(own.removeFirst(), now: someday)
          try note(message, from: members[proposer], members)
        }
        let pending = try members[committer].commit(own)
        let message = pending.message
        #expect(pending.effects.reInit == parameters)
        try members[committer].group.merge(pending)
        for member in members.all where member !== members[committer] {
          #expect(try member.follow(message).reInit == parameters)
        }
        let authenticator = members[0].group.epochAuthenticator
        #expect(members.all.allSatisfy { !$0.isActive && $0.group.epochAuthenticator == authenticator })
      }
    }
    for returning in [nil] + (0..<count).map(Optional.some) {
      for psks in [[], [Self.psk]] {
        var members = try start.restored()
        let info = try members[0].group.groupInfo()
        let old = returning.map { members[$0] }
        let identity = old?.identity ?? Client.identity("outsider")
        let join = try Group.joinExternally(
          groupInfo: info, identity: identity, capabilities: Capabilities(extensions: [0xff01]),
          removing: old?.group.ownLeafIndex, psks: psks)
        for member in members.all {
          let effects = try member.follow(join.message)
          #expect(effects.preSharedKeys.count == psks.count && effects.added.count == 1)
          #expect(effects.removesSelf == (member === old))
        }
        members.all.removeAll { $0 === old }
        members.all.append(Client("new", suite: start[0].suite, identity: identity, group: join.adopt()))
        try expectSound(members, talking: true)
        // Whoever is added next must come to the same tree.
        try members.commit(by: members.all.count - 1, joining: [try Invitee("next")])
        try expectSound(members)
      }
    }
  }
}
