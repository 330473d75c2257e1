import CryptoPrimitives
import Testing
import WireCodec

@testable import E2ECrypto

/// Every sequence of two commits on groups of up to four: all members must come out equal, and so must one who joins then.
@Suite struct ExhaustiveTests {
  private enum Step: Hashable {
    case empty(by: Int)
    case add(by: Int, path: Bool)
    case remove(Int, by: Int)
    case removeAndAdd(Int, by: Int)
    case update(of: Int, by: Int)
    case extensions(by: Int)
    case externalJoin
    case externalReturn(Int)
  }

  private func steps(for count: Int) -> [Step] {
    var steps: [Step] = [.externalJoin]
    for committer in 0..<count {
      steps += [.empty(by: committer), .add(by: committer, path: true), .add(by: committer, path: false)]
      steps += [.extensions(by: committer)]
      for other in 0..<count where other != committer {
        steps += [
          .remove(other, by: committer), .removeAndAdd(other, by: committer), .update(of: other, by: committer),
        ]
      }
      if count > 1 { steps.append(.externalReturn(committer)) }
    }
    return steps
  }

  private func run(_ step: Step, on members: inout Members) throws {
    var options = CommitOptions()
    switch step {
    case .empty(let place): try members.commit(by: place)
    case .add(let place, let path):
      options.forcesPath = path
      try members.commit(by: place, joining: [try Invitee("new")], options: options)
    case .remove(let other, let place):
      try members.commit(by: place, [.remove(members[other].group.ownLeafIndex)])
    case .removeAndAdd(let other, let place):
      let proposal = Proposal.remove(members[other].group.ownLeafIndex)
      try members.commit(by: place, [proposal], joining: [try Invitee("in place")])
    case .update(let other, let place):
      let proposal = try members[other].group.proposeUpdate()
      for member in members.all where member !== members[other] { try member.note(proposal) }
      try members.commit(by: place)
    case .extensions(let place):
      try members.commit(by: place, [.groupContextExtensions([Extension(type: 0xff01, data: [UInt8(place)])])])
    case .externalJoin:
      try joinExternally(Client.identity("outsider"), replacing: nil, in: &members)
    case .externalReturn(let place):
      let old = members.all.remove(at: place)
      try joinExternally(old.identity, replacing: old.group.ownLeafIndex, in: &members)
    }
  }

  private func joinExternally(_ identity: ClientIdentity, replacing: LeafIndex?, in members: inout Members) throws {
    let join = try Group.joinExternally(
      groupInfo: try members[0].group.groupInfo(), identity: identity,
      capabilities: Capabilities(extensions: [0xff01]), removing: replacing)
    for member in members.all { try member.follow(join.message) }
    members.all.append(Client("outsider", suite: members[0].suite, identity: identity, group: join.adopt()))
  }

  @Test(arguments: 1...4)
  func everyPairOfCommits(_ count: Int) throws {
    let start = try Members(count)
    var sequences = 0
    for first in steps(for: count) {
      var once = try start.restored()
      try run(first, on: &once)
      try once.expectAgreement()
      for second in steps(for: once.all.count) {
        var twice = try once.restored()
        try run(second, on: &twice)
        try twice.expectAgreement(talking: count < 3)
        var tree = twice[0].group.state.tree
        try tree.validate(twice[0].group.state.context, maxLifetime: .max)
        sequences += 1
      }
    }
    print("exhaustive: \(sequences) pairs of commits from \(count) members")
    #expect(sequences > 20)
  }
}
