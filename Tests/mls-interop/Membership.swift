import CryptoPrimitives
import E2ECrypto

/// A membership of one group: the group, a commit that has not been merged, and the proposals of the epoch by their bytes.
final class Membership {
  let identity: ClientIdentity
  var group: Group
  private var pending: PendingCommit?
  private var pendingMessage: [UInt8]?
  /// The proposals of this epoch that have been made or received, so that each is received once.
  private var proposals: [[UInt8]: ProposalRef] = [:]

  init(_ group: consuming Group, identity: ClientIdentity) {
    self.identity = identity
    self.group = group
  }

  var name: [UInt8] { identity.credential.identity ?? [] }

  var authenticator: JSON { .bytes(group.epochAuthenticator.withBytes { Array($0) }) }

  func reload() throws {
    group = try Group(restoring: group.encodeState(), identity: identity, policy: group.policy)
    if let commit = pending.take() { pending = try PendingCommit(restoring: commit.encodeState()) }
  }

  // MARK: Proposals

  /// Makes a proposal and keeps it, so that a commit can name it.
  func propose(_ make: (inout Group) throws -> [UInt8]) throws -> [String: JSON] {
    let message = try make(&group)
    if let reference = group.pendingProposals.last?.reference { proposals[message] = reference }
    return ["proposal": .bytes(message)]
  }

  /// Receives those of the proposals that are not known yet.
  func take(_ messages: [[UInt8]]) throws -> [ProposalRef] {
    try messages.map { message in
      if let known = proposals[message] { return known }
      switch try group.receive(message) {
      case .proposal(let received):
        proposals[message] = received.reference
        return received.reference
      default: throw Failure(.invalidArgument, "a message among the proposals is none")
      }
    }
  }

  // MARK: Commits

  /// Makes a commit, in place of one that was not merged.
  func commit(_ own: [Proposal], options: CommitOptions, now: Timestamp) throws -> Made {
    let commit = try group.commit(own, options: options, now: now)
    let made = Made(
      answer: [
        "commit": .bytes(commit.message), "welcome": .bytes(commit.welcome ?? []),
        "ratchet_tree": .bytes(options.welcomeIncludesTree ? [] : commit.ratchetTree),
      ], endsGroup: commit.effects.reInit != nil)
    pendingMessage = commit.message
    pending = consume commit
    return made
  }

  /// What a commit is to the other side, and whether it ends the group.
  struct Made {
    let answer: [String: JSON]
    let endsGroup: Bool
  }

  func dropPending() {
    pending = nil
    pendingMessage = nil
  }

  func mergePending() throws {
    guard let commit = pending.take() else { throw Failure(.failedPrecondition, "there is no pending commit") }
    pendingMessage = nil
    proposals = [:]
    try group.merge(commit)
  }

  /// Merges a commit, our own or another's.
  func merge(_ message: [UInt8]) throws {
    if message == pendingMessage { return try mergePending() }
    switch try group.receive(message) {
    case .commit(let commit):
      try group.merge(commit)
      dropPending()
      proposals = [:]
    default: throw Failure(.invalidArgument, "the message is not a commit")
    }
  }

  /// The place of the member with a name.
  func leaf(_ name: [UInt8]) throws -> LeafIndex { try group.members.leaf(name) }
}

extension [Member] {
  func leaf(_ name: [UInt8]) throws -> LeafIndex {
    guard let found = first(where: { $0.credential.identity == name }) else {
      throw Failure(.notFound, "there is no member of that identity")
    }
    return found.leafIndex
  }
}
