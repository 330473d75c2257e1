public import CryptoPrimitives
import WireCodec

/// How a commit is made.
public struct CommitOptions: Sendable {
  /// Renews the own keys even where the proposals do not require it.
  public var forcesPath = false
  /// Public to the delivery service and authenticated to the members.
  public var authenticatedData: [UInt8] = []
  /// The least length of the sealed plaintext; zeros fill it up.
  public var paddedTo = 0
  /// Whether the welcome carries the ratchet tree; otherwise ``PendingCommit/ratchetTree`` must reach new members.
  public var welcomeIncludesTree = true
  /// Whether to make a group info of the new epoch for external commits.
  public var makesGroupInfo = false
  /// Whether that group info carries the ratchet tree.
  public var groupInfoIncludesTree = true
  /// Covers exactly these of ``Group/pendingProposals``, in this order, and fails if they cannot stand together. None
  /// leaves the choice to `includingReceived`.
  public var covers: [ProposalRef]?
  /// Who we are from the new epoch on: another credential, another signature key, or both. The commit itself is still
  /// signed with the present key. Merging makes it ``Group/identity``; store it with the group's state then.
  public var identity: ClientIdentity?
  /// Capabilities for the own leaf in place of the present ones. What the leaf itself uses is entered besides.
  public var capabilities: Capabilities?
  /// Extensions for the own leaf in place of the present ones.
  public var leafExtensions: [Extension]?
  /// What the group infos, in the welcome and by itself, tell new members besides.
  public var groupInfoExtensions: [Extension] = []

  public init() {}
}

/// A commit of ours that the delivery service has not yet accepted.
///
/// Send the message; merge with ``Group/merge(_:)-(PendingCommit)`` once it is accepted, or let go of the value if another
/// commit came first. The new epoch's keys go with it.
public struct PendingCommit: ~Copyable, Sendable {
  /// The commit, an MLSMessage.
  public let message: [UInt8]
  /// The welcome for all that were added, an MLSMessage.
  public let welcome: [UInt8]?
  /// A group info of the new epoch, an MLSMessage, if asked for.
  public let groupInfo: [UInt8]?
  public let effects: CommitEffects
  let base: EpochBase
  let next: EpochState
  /// Who we are in the new epoch, if another than before.
  let identity: ClientIdentity?

  /// The epoch that the commit was made in.
  public var baseEpoch: Epoch { base.epoch }
  /// The epoch that the commit begins.
  public var epoch: Epoch { next.epoch }
  /// The tree of the new epoch, for new members that do not get it in their welcome.
  public var ratchetTree: [UInt8] { next.tree.encoded }
  /// The new epoch's authenticator.
  public var epochAuthenticator: Secret { next.secrets.authenticator }

  /// A secret of the new epoch, which holds once the commit is merged (RFC 9420 section 8.5).
  public func export(label: String, context: [UInt8] = [], length: Int) throws(MLSError) -> Secret {
    try next.secrets.export(next.suite, label: Array(label.utf8), context: context, length: length)
  }
}

/// A commit of another member, checked but not yet merged.
///
/// Look at the effects; merge with ``Group/merge(_:)-(ReceivedCommit)``, or let go of the value to refuse it. Until the
/// merge the group is as before, and the same message can be received again.
public struct ReceivedCommit: ~Copyable, Sendable {
  public let effects: CommitEffects
  public let authenticatedData: [UInt8]
  let base: EpochBase
  /// Who we are in the new epoch, if the commit covers an update of ours that changes it.
  let identity: ClientIdentity?
  /// The new epoch; none if the commit removes us.
  let next: EpochState?

  public var sender: HandshakeSender { effects.sender }
  public var baseEpoch: Epoch { base.epoch }
  public var epoch: Epoch { effects.epoch }

  /// A secret of the new epoch, which holds once the commit is merged (RFC 9420 section 8.5).
  /// - Throws: ``MLSError/Code/inactive`` if the commit removes us.
  public func export(label: String, context: [UInt8] = [], length: Int) throws(MLSError) -> Secret {
    guard let next else { throw MLSError(.inactive) }
    return try next.secrets.export(next.suite, label: Array(label.utf8), context: context, length: length)
  }
}

/// What a message turned out to be.
public enum Received: ~Copyable, Sendable {
  case application(ApplicationMessage)
  case proposal(ReceivedProposal)
  case commit(ReceivedCommit)
}

/// What a member said.
public struct ApplicationMessage: Hashable, Sendable {
  /// Where the sender stood in the tree at ``epoch``.
  public let sender: LeafIndex
  /// The sender's credential at ``epoch``.
  public let senderCredential: Credential
  /// The key that the message was signed with.
  public let senderSignatureKey: [UInt8]
  public let epoch: Epoch
  /// The number of the message's key in the sender's ratchet: each is accepted once.
  public let generation: UInt32
  public let authenticatedData: [UInt8]
  public let content: [UInt8]
}

/// A proposal that a later commit may cover. Nothing of it holds before that commit is merged.
public struct ReceivedProposal: Hashable, Sendable {
  public let proposal: Proposal
  public let sender: HandshakeSender
  public let reference: ProposalRef
  public let authenticatedData: [UInt8]
}

extension Group {
  /// Moves to the epoch that a commit of ours begins. Call it when the delivery service has accepted the commit.
  /// - Throws: ``MLSError/Code/epochMoved`` if another commit was merged in between: make the commit anew.
  public mutating func merge(_ pending: consuming PendingCommit) throws(MLSError) {
    try requireCurrent(pending.base)
    if let identity = pending.identity { self.identity = identity }
    enter(pending.next, with: pending.effects)
  }

  /// Moves to the epoch that another's commit begins.
  /// - Throws: ``MLSError/Code/epochMoved`` if another commit was merged in between: drop this one.
  public mutating func merge(_ commit: consuming ReceivedCommit) throws(MLSError) {
    try requireCurrent(commit.base)
    guard let next = commit.next else {
      status = .removed
      proposals.clear()
      past = PastEpochs()
      psks = PSKStore()
      state.forgetForRemoval()
      return
    }
    if let identity = commit.identity { self.identity = identity }
    enter(next, with: commit.effects)
  }
}
