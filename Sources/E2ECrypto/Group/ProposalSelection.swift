import CryptoPrimitives

/// Chooses from the received proposals those that can stand together in one commit of ours (RFC 9420 section 12.2).
///
/// Later and stronger ones are preferred: removes before updates, a member's last update, the last set of extensions, a
/// reinitialisation only alone. One that could not be committed is left out, so that nobody can keep us from committing.
struct ProposalSelection {
  private let committer: LeafIndex
  private let tree: RatchetTree
  /// The tree with those taken out of its index who are removed so far.
  private var remaining: RatchetTree
  /// The group's extensions after the commit.
  private var extensions: [Extension]
  private let psks: PSKStore
  private let policy: GroupPolicy
  private var taken: Set<Int> = []
  private var changedLeaves: Set<LeafIndex> = []
  private var newKeys: Set<[UInt8]> = []
  private var hasExtensions = false
  private var appData = AppDataChanges()
  private var pskNames: Set<PreSharedKeyID> = []

  /// The chosen ones, in the order of arrival. `own` are those that are in the commit anyway.
  static func choose(
    from entries: [ProposalCache.Entry], with own: [Proposal], committer: LeafIndex, tree: RatchetTree,
    extensions: [Extension], psks: PSKStore, policy: GroupPolicy
  ) -> [ProposalCache.Entry] {
    if own.contains(where: { if case .reInit = $0 { true } else { false } }) { return [] }
    var selection = ProposalSelection(
      committer: committer, tree: tree, extensions: extensions, psks: psks, policy: policy, own: own)
    // Removes first, so that they win over updates of the same member; before them those who go by themselves. Then the
    // extensions, by which all leaves are judged that come in (RFC 9420 section 12.3).
    for urgency in 0...3 {
      for place in entries.indices.reversed() where entries[place].proposal.urgency == urgency {
        selection.consider(entries[place], at: place)
      }
    }
    if selection.taken.isEmpty, own.isEmpty,
      let last = entries.last(where: { if case .reInit = $0.proposal { true } else { false } })
    {
      return [last]
    }
    return entries.indices.filter(selection.taken.contains).map { entries[$0] }
  }

  private init(
    committer: LeafIndex, tree: RatchetTree, extensions: [Extension], psks: PSKStore, policy: GroupPolicy,
    own: [Proposal]
  ) {
    self.committer = committer
    self.tree = tree
    self.extensions = extensions
    remaining = tree
    self.psks = psks
    self.policy = policy
    for proposal in own {
      switch proposal {
      case .remove(let leaf): _ = leaves(leaf)
      case .add(let keyPackage): take(keyPackage.leafNode)
      case .groupContextExtensions(let extensions):
        self.extensions = extensions
        hasExtensions = true
      case .preSharedKey(let id): pskNames.insert(id)
      case .appDataUpdate(let update): try? appData.append(update)
      case .update, .externalInit, .reInit, .selfRemove, .appEphemeral, .custom: break
      }
    }
  }

  private mutating func take(_ leaf: LeafNode) {
    newKeys.insert(leaf.signatureKey)
    newKeys.insert(leaf.encryptionKey)
  }

  /// Notes that a member goes. False if its leaf changes already, or it is none.
  private mutating func leaves(_ leaf: LeafIndex) -> Bool {
    guard tree.leaf(leaf) != nil, changedLeaves.insert(leaf).inserted else { return false }
    remaining.release([leaf])
    return true
  }

  /// Whether a leaf could come in: its keys are nobody else's (its own old signature key may stay), all know its
  /// credential's type, and it knows what the group asks for.
  private func fits(_ leaf: LeafNode, replacing old: LeafNode?) -> Bool {
    guard !newKeys.contains(leaf.signatureKey), !newKeys.contains(leaf.encryptionKey) else { return false }
    guard !remaining.index.containsEncryptionKey(leaf.encryptionKey) else { return false }
    guard leaf.signatureKey == old?.signatureKey || !remaining.index.containsSignatureKey(leaf.signatureKey) else {
      return false
    }
    return remaining.index.allSupportCredential(leaf.credential.type)
      && extensions.allSatisfy { leaf.capabilities.supportsExtension($0.type) }
      && (try? extensions.requiredCapabilities()).map(leaf.capabilities.supports) ?? true
  }

  /// Whether all who stay know what these extensions ask for.
  private func areSupported(_ extensions: [Extension]) -> Bool {
    do {
      _ = try extensions.externalSenders()
      guard let required = try extensions.requiredCapabilities() else { return areKnown(extensions) }
      return areKnown(extensions) && remaining.index.allSupport(required)
    } catch { return false }
  }

  private func areKnown(_ extensions: [Extension]) -> Bool {
    extensions.allSatisfy { remaining.index.allSupportExtension($0.type) }
  }

  private mutating func consider(_ entry: ProposalCache.Entry, at place: Int) {
    switch entry.proposal {
    case .remove(let leaf):
      guard leaf != committer, leaves(leaf) else { return }
    case .update(let node):
      guard case .member(let leaf) = entry.sender, leaf != committer, let old = tree.leaf(leaf),
        fits(node, replacing: old), changedLeaves.insert(leaf).inserted
      else { return }
      take(node)
    case .add(let keyPackage):
      guard fits(keyPackage.leafNode, replacing: nil) else { return }
      take(keyPackage.leafNode)
    case .preSharedKey(let id):
      guard (try? psks.secret(for: id)) != nil, pskNames.insert(id).inserted else { return }
    case .groupContextExtensions(let extensions):
      guard !hasExtensions, areSupported(extensions) else { return }
      self.extensions = extensions
      hasExtensions = true
    case .selfRemove:
      guard case .member(let leaf) = entry.sender, leaf != committer, isSupported(entry), leaves(leaf) else { return }
    case .appDataUpdate(let update):
      guard isSupported(entry), (try? appData.append(update)) != nil else { return }
    case .appEphemeral, .custom:
      guard isSupported(entry) else { return }
    case .reInit, .externalInit: return
    }
    taken.insert(place)
  }

  private func isSupported(_ entry: ProposalCache.Entry) -> Bool {
    tree.index.allSupportProposal(entry.proposal.type) && (try? policy.requireKnown(entry.proposal)) != nil
      && (try? policy.validate(entry.proposal)) != nil
  }
}

extension Proposal {
  /// Which proposals are looked at before others, and win over them for the same leaf: the lowest.
  fileprivate var urgency: Int {
    switch self {
    case .selfRemove: 0
    case .remove: 1
    case .groupContextExtensions: 2
    default: 3
    }
  }

  /// How long a proposal is kept in a commit that cannot stand as it is: the application's own go first, those who want to
  /// leave stay to the end.
  var robustness: Int {
    switch self {
    case .appDataUpdate, .appEphemeral, .custom: 0
    case .selfRemove: 2
    default: 1
    }
  }
}
