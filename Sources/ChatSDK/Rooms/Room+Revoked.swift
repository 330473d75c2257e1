import E2ECrypto
import RelayProtocol

// Leaves of devices that their accounts have revoked since: they are taken out as soon as a member sees the newer list.
extension Room {
  /// A leaf that its account's newest known list lacks, with that list.
  struct RevokedLeaf {
    var index: LeafIndex
    var leaf: CommitClaim.Leaf
    var list: SignedDeviceList
  }

  /// The leaves of revoked devices that this account may take out: looked for once in each epoch, and when a list changes.
  func revokedLeaves() throws -> [RevokedLeaf] {
    let version = context.listVersion
    if let known = knownRevoked, known.epoch == stored.epoch, known.lists == version { return known.leaves }
    let found = try findRevokedLeaves()
    knownRevoked = (stored.epoch, version, found)
    return found
  }

  private func findRevokedLeaves() throws -> [RevokedLeaf] {
    let identity = try context.identity()
    let members = try group().group.members
    let users = members.map { LeafCheck.user(of: $0.credential) }
    let revoked = try context.store.read { store in
      var lists: [UserID: SignedDeviceList] = [:]
      for user in Set(users.compactMap(\.self)) {
        // While another identity waits to be accepted, nobody's word is taken.
        if let pin = try pin(user, in: store), pin.candidate == nil { lists[user] = pin.list }
      }
      return zip(members, users).compactMap { member, user -> RevokedLeaf? in
        guard let list = user.flatMap({ lists[$0] }) else { return nil }
        // Without a signature to check, most are seen to be good.
        guard !list.list.devices.contains(where: { $0.signatureKey == member.signatureKey }),
          let leaf = CommitClaim.Leaf(member), list.revokes(leaf)
        else { return nil }
        return RevokedLeaf(index: member.leafIndex, leaf: leaf, list: list)
      }
    }
    guard !revoked.isEmpty else { return [] }
    let gone = Set(revoked.map(\.index))
    let staying = Set(zip(members, users).filter { !gone.contains($0.0.leafIndex) }.compactMap(\.1))
    let state = try roomState()
    let own = state.role(of: identity.user)
    return Array(
      revoked.filter { item in
        if item.leaf.user == identity.user { return item.leaf.device != identity.device.device }
        if staying.contains(item.leaf.user) { return true }
        // Where no other device of the account is here, it ends a membership: that takes the right to.
        return state.pair == nil && own >= .admin && state.role(of: item.leaf.user) <= own
      }.prefix(Revocations.maxLists))
  }

  /// Takes revoked devices out before something is sealed that they could read. Without the relay it is sealed all the same:
  /// it waits here, and is sealed anew if the epoch has changed by then.
  func expelRevoked() async throws {
    guard try !revokedLeaves().isEmpty else { return }
    do { try await commitReceived() } catch let error as ChatError {
      guard error.family == .network || error.family == .tryAgain else { throw error }
    }
  }

  /// How many devices would be before this one to do what every member may: admins first, in the order of the tree.
  func rank() throws -> Int {
    let state = try roomState()
    let device = try context.identity().device.device
    let credentials = try group().group.members.compactMap { LeafCheck.credential(of: $0) }
    let (admins, others) = (
      credentials.filter { state.role(of: $0.user) >= .admin }, credentials.filter { state.role(of: $0.user) < .admin }
    )
    return (admins + others).firstIndex { $0.entry.device == device } ?? credentials.count
  }
}
