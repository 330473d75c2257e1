import E2ECrypto
import RelayProtocol
import WireCodec

/// What a commit claims to do, in the terms of a room: what ``RoomPolicy`` judges.
struct CommitClaim: Hashable {
  /// A device as it stands in the tree.
  struct Leaf: Hashable {
    var user: UserID
    var device: DeviceID
    var signatureKey: [UInt8]
    /// The account key that vouched for the device, and since when the device is the account's, in seconds since 1970.
    var accountKey: [UInt8]
    var added: UInt64
    /// The link by which it came, if it came by one.
    var invite: InviteID?
  }

  /// Who made the commit, as it was before, or as it comes in.
  var sender: Leaf
  /// What lets somebody commit from outside; `nil` for a member's commit.
  var authority: JoinAuthority?
  /// The epoch that the commit ends.
  var epoch: UInt64
  var added: [Leaf] = []
  /// Leaves that the sender takes out.
  var removed: [Leaf] = []
  /// Leaves that asked to be taken out.
  var left: [Leaf] = []
  /// By what the sender shows that leaves are of revoked devices.
  var revocations: Revocations?
  /// The state after the commit, if it changes it.
  var next: RoomState?
}

extension CommitClaim.Leaf {
  /// A link's name in the leaf of whoever came by it, which the leaf keeps: so everybody can count. In the range for
  /// private use.
  static let inviteExtension: UInt16 = 0xF0A2

  /// A leaf whose credential holds together.
  init?(_ member: Member) {
    self.init(credential: member.credential, signatureKey: member.signatureKey, extensions: member.extensions)
  }

  init?(_ leaf: LeafNode) {
    self.init(credential: leaf.credential, signatureKey: leaf.signatureKey, extensions: leaf.extensions)
  }

  private init?(credential: Credential, signatureKey: [UInt8], extensions: [Extension]) {
    guard let device = LeafCheck.credential(of: credential, signatureKey: signatureKey) else { return nil }
    var invite: InviteID?
    if let data = extensions[type: Self.inviteExtension]?.data {
      guard let id = InviteID(bytes: data) else { return nil }
      invite = id
    }
    self.init(
      user: device.user, device: device.entry.device, signatureKey: signatureKey, accountKey: device.accountKey,
      added: device.entry.added, invite: invite)
  }
}

extension CommitClaim {
  /// Puts a commit's effects into a room's terms.
  ///
  /// - Throws: the violation, if it does what no room's commit does.
  init(_ effects: CommitEffects, authenticatedData: [UInt8]) throws(RoomPolicy.Violation) {
    guard effects.reInit == nil, effects.preSharedKeys.isEmpty else { throw .feature }
    epoch = effects.epoch.rawValue &- 1
    switch effects.sender {
    case .member(let member):
      guard let leaf = Leaf(member) else { throw .senderIsNoMember }
      sender = leaf
      if !authenticatedData.isEmpty {
        guard let shown = try? Revocations(decoding: authenticatedData) else { throw .feature }
        revocations = shown
      }
    case .newMember(let node):
      guard let leaf = Leaf(node), let authority = try? JoinAuthority(decoding: authenticatedData) else {
        throw .senderIsNoMember
      }
      (sender, self.authority) = (leaf, authority)
    case .external: throw .senderIsNoMember
    }
    for update in effects.updated {
      // Leaves only renew their encryption key; another device or name is another leaf.
      guard update.before.credential == update.after.credential,
        update.before.signatureKey == update.after.signatureKey, update.before.extensions == update.after.extensions
      else { throw .leafIdentity }
    }
    for member in effects.added {
      guard let leaf = Leaf(member) else { throw .leafIdentity }
      added.append(leaf)
    }
    let removedMembers = Dictionary(uniqueKeysWithValues: effects.removed.map { ($0.leafIndex, $0) })
    for item in effects.proposals { try take(item, removedMembers, committer: effects.sender) }
  }

  private mutating func take(
    _ item: CommitEffects.Item, _ members: [LeafIndex: Member], committer: HandshakeSender
  ) throws(RoomPolicy.Violation) {
    switch item.proposal {
    case .add where !item.isByReference: break
    case .externalInit where authority != nil: break
    case .remove(let index):
      guard let member = members[index], let leaf = Leaf(member) else { throw .remove }
      guard item.isByReference else {
        removed.append(leaf)
        return
      }
      // What others propose is that they leave, and nothing else.
      guard case .member(let proposer) = item.sender, proposer.leafIndex == index else { throw .feature }
      left.append(leaf)
    case .groupContextExtensions(let extensions) where !item.isByReference && authority == nil:
      guard let state = RoomState.of(extensions), state.extensions == extensions else { throw .unreadableState }
      next = state
    default: throw .feature
    }
  }
}
