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

  /// The leaves of revoked devices that this account may take out.
  func revokedLeaves() throws -> [RevokedLeaf] {
    let state = try roomState()
    let own = try context.identity().user
    let places = try group().group.members.compactMap { member in
      CommitClaim.Leaf(member).map { (index: member.leafIndex, leaf: $0) }
    }
    let revoked = try context.store.read { store in
      var lists: [UserID: SignedDeviceList] = [:]
      for user in Set(places.map(\.leaf.user)) {
        // While another identity waits to be accepted, nobody's word is taken.
        if let pin = try pin(user, in: store), pin.candidate == nil { lists[user] = pin.list }
      }
      return places.compactMap { place -> RevokedLeaf? in
        guard let list = lists[place.leaf.user], list.revokes(place.leaf) else { return nil }
        return RevokedLeaf(index: place.index, leaf: place.leaf, list: list)
      }
    }
    let gone = Set(revoked.map(\.leaf))
    let staying = Set(places.map(\.leaf).filter { !gone.contains($0) }.map(\.user))
    let ownDevice = try context.identity().device.device
    return Array(
      revoked.filter { item in
        if item.leaf.user == own { return item.leaf.device != ownDevice }
        if staying.contains(item.leaf.user) { return true }
        // Where no other device of the account is here, it ends a membership: that takes the right to.
        return state.pair == nil && state.role(of: own) >= .admin
          && state.role(of: item.leaf.user) <= state.role(of: own)
      }.prefix(Revocations.maxLists))
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
