/// Decides whether somebody is who a credential says (RFC 9420 section 5.3.1): the Authentication Service of the RFC, as far
/// as this client can ask it without waiting.
///
/// A group asks at each place where a credential enters it or changes, before anything of the message in question is
/// adopted, and asks the same of what this client commits itself. What is refused makes the whole message refused, with
/// ``MLSError/Code/credentialRefused``: the group stays as it is, and the message can be received again once the validator
/// has learned what it lacked.
///
/// All members should come to the same verdict on one credential: a commit that one of them refuses leaves that member
/// behind. So ask for nothing that depends on when one looks, such as whether a certificate has expired since.
public protocol CredentialValidator: Sendable {
  /// Whether the credential may stand for the key, and in the place of what it replaces.
  ///
  /// Other checks of the same message may follow, and fail: do not act on a claim, act on the effects of the commit.
  func accepts(_ claim: CredentialClaim) -> Bool
}

/// A credential, as it enters a group or changes.
public struct CredentialClaim: Hashable, Sendable {
  /// How the credential comes in.
  public enum Event: Hashable, Sendable {
    /// It is ours, and we make the group.
    case create
    /// It is a member's, ourselves included, of a group that we are about to join.
    case join
    /// Somebody adds it.
    case add
    /// A member proposes it for itself.
    case update
    /// A committer takes it for itself.
    case commit
    /// Its holder joins by an external commit.
    case externalCommit
    /// It is that of one who may propose from outside.
    case externalSender
  }

  /// A credential and the key that it stands for.
  public struct Holder: Hashable, Sendable {
    public let credential: Credential
    public let signatureKey: [UInt8]

    init(credential: Credential, signatureKey: [UInt8]) {
      self.credential = credential
      self.signatureKey = signatureKey
    }

    init(_ leaf: LeafNode) { self.init(credential: leaf.credential, signatureKey: leaf.signatureKey) }
  }

  public let groupID: GroupID
  public let event: Event
  public let holder: Holder
  /// What was in its place: the member's own before an update or commit, that of the leaf that an external joiner removes
  /// as its old self. The new one must be a fit successor (RFC 9420 section 5.3.1).
  public let replaced: Holder?

  public var credential: Credential { holder.credential }
  public var signatureKey: [UInt8] { holder.signatureKey }
}

/// Asks the policy's validator at each event.
struct CredentialCheck {
  let validator: (any CredentialValidator)?
  let groupID: GroupID

  /// Asks about a leaf. One that keeps both credential and key has nothing new to tell.
  func require(
    _ leaf: LeafNode, _ event: CredentialClaim.Event, replacing old: LeafNode? = nil
  ) throws(MLSError) {
    guard validator != nil else { return }
    let (holder, replaced) = (CredentialClaim.Holder(leaf), old.map(CredentialClaim.Holder.init))
    if event == .update || event == .commit, holder == replaced { return }
    try require(holder, event, replacing: replaced)
  }

  /// Asks about the senders that new extensions bring in.
  func requireExternalSenders(in extensions: [Extension], before: [Extension] = []) throws(MLSError) {
    let senders = try extensions.externalSenders()
    guard validator != nil, !senders.isEmpty else { return }
    // What stood in the context before has been asked about, or is not for this commit to judge.
    let known = Set((try? before.externalSenders()) ?? [])
    for sender in senders where !known.contains(sender) {
      let holder = CredentialClaim.Holder(credential: sender.credential, signatureKey: sender.signatureKey)
      try require(holder, .externalSender, replacing: nil)
    }
  }

  private func require(
    _ holder: CredentialClaim.Holder, _ event: CredentialClaim.Event, replacing replaced: CredentialClaim.Holder?
  ) throws(MLSError) {
    guard let validator else { return }
    let claim = CredentialClaim(groupID: groupID, event: event, holder: holder, replaced: replaced)
    guard validator.accepts(claim) else { throw MLSError(.credentialRefused) }
  }
}

extension GroupPolicy {
  func credentials(in groupID: GroupID) -> CredentialCheck {
    CredentialCheck(validator: credentialValidator, groupID: groupID)
  }
}

extension EpochState {
  /// Asks about all members of a group that we are about to join, and about who may propose to it from outside.
  func requireCredentials(_ policy: GroupPolicy) throws(MLSError) {
    let check = policy.credentials(in: groupID)
    if check.validator != nil {
      for index in tree.memberIndices {
        guard let leaf = tree.leaf(index) else { continue }
        try check.require(leaf, .join)
      }
    }
    try check.requireExternalSenders(in: context.extensions)
  }
}
