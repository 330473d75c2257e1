/// What a client decides for itself about a group. Not part of the group's state: it is given again on restoring.
public struct GroupPolicy: Sendable {
  /// Of how many past epochs messages can still be read.
  public var maxPastEpochs = 3
  /// How many keys of messages that have not come are kept for one sender and epoch.
  public var maxSkippedKeys = 1000
  /// How many generations ahead of the next one a message may be.
  public var maxForwardDistance: UInt32 = 1000
  /// Of how many epochs, the current one included, the resumption key is kept (RFC 9420 section 8.6).
  public var maxResumptionEpochs = 4
  /// The longest lifetime of a leaf, in seconds; all members of a group must agree on it (RFC 9420 section 7.2).
  public var maxLifetime: UInt64 = 400 * 86_400
  /// How many proposals of one epoch are kept for a commit to refer to.
  public var maxProposals = 1024
  /// How many threads may share the work that grows with the group: checking the leaves of a tree, sealing to many members.
  /// They are the call's own and end with it; below some tens of members there are none.
  public var maxThreads = 1
  /// Whether members may send proposals and commits as PublicMessage. External senders and joiners always do.
  public var acceptsPublicHandshakes = false
  /// Whether our own proposals and commits are sent as PublicMessage, for groups whose delivery service must read them.
  /// They show it who is in the group and what changes.
  public var sendsPublicHandshakes = false
  /// Whether ``Group/protect(_:authenticatedData:paddedTo:)`` refuses while received proposals wait for a commit, as
  /// RFC 9420 section 12.4 demands.
  public var commitsBeforeSending = true
  /// The proposal types of the application's own. All members of a group must agree on them. They are listed in the own
  /// capabilities when a group is made or joined from outside; a key package is made with its own list.
  public var customProposals: [CustomProposalType] = []
  /// The components of the application that proposals can bring data for. All members of a group must agree on them.
  public var components: [ComponentID: any ApplicationComponent] = [:]
  /// Is asked about every credential that enters the group or changes; nil accepts all, which leaves the check to what
  /// the application makes of the effects of each commit and welcome.
  public var credentialValidator: (any CredentialValidator)? {
    get { validator?.value }
    set { validator = newValue.map(Validator.init) }
  }

  /// Held by reference. A stored existential would make the policy, each group and each pending join a value without a size
  /// that is known in advance, and of those Swift 6.3 frees fields too early: in release builds a message that was taken out
  /// of a pending join was gone once that had been adopted.
  private var validator: Validator?

  private final class Validator: Sendable {
    let value: any CredentialValidator
    init(_ value: any CredentialValidator) { self.value = value }
  }

  public init() {}

  var ratchetLimits: RatchetLimits { RatchetLimits(skipped: max(0, maxSkippedKeys), forward: maxForwardDistance) }
}
