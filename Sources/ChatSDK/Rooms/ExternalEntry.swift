import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

/// Makes the external commit by which this device enters a room from outside (RFC 9420 section 12.4.3.2).
struct ExternalEntry {
  let context: ClientContext
  let info: GroupInfoResponse
  let inside: Door.Inside

  /// The room as its group info shows it.
  func read() throws -> (PublicGroup, RoomState) {
    let group: PublicGroup
    do { group = try PublicGroup(groupInfo: inside.groupInfo, policy: context.groupPolicy) } catch {
      throw ChatError(.identityInvalid, detail: "the room's state breaks a rule: \(error.code)", underlying: error)
    }
    guard group.groupID.bytes == info.room.bytes, group.epoch.rawValue == info.epoch,
      let state = RoomState.of(group.extensions), state.extensions == group.extensions
    else { throw ChatError(.identityInvalid, detail: "the state of another room or time") }
    return (group, state)
  }

  /// The commit and the group that it leads to, ready to be stored.
  func make(
    _ group: PublicGroup, _ state: RoomState, name: String, invite: InviteID?,
    authority: (CommitClaim.Leaf) throws -> JoinAuthority
  ) throws -> PendingJoinRecord {
    let identity = try context.identity()
    let leaf = CommitClaim.Leaf(
      user: identity.user, device: identity.device.device, signatureKey: identity.device.signatureKey,
      accountKey: identity.accountKey.publicKey, added: identity.device.added, invite: invite)
    let old = group.members.first { member in
      CommitClaim.Leaf(member).map { $0.user == leaf.user && $0.device == leaf.device } ?? false
    }
    let leafExtensions = invite.map { [Extension(type: CommitClaim.Leaf.inviteExtension, data: $0.bytes)] } ?? []
    let joining: PendingExternalJoin
    do {
      joining = try Group.joinExternally(
        groupInfo: inside.groupInfo, identity: identity.client, capabilities: ClientContext.capabilities,
        leafExtensions: leafExtensions, removing: old?.leafIndex, authenticatedData: try authority(leaf).encoded,
        policy: context.groupPolicy)
    } catch let error as MLSError {
      throw ChatError(.identityInvalid, detail: "the room cannot be entered: \(error.code)", underlying: error)
    }
    let message = try SealedJoin.seal(joining.message, key: inside.key, room: info.room, epoch: info.epoch)
    let members = Set(joining.effects.members.compactMap { LeafCheck.credential(of: $0)?.user })
    let box = GroupBox(joining.adopt())
    let key = try box.group.export(label: SealedJoin.label, length: Door.keySize)
    let door = try Door(
      Door.Inside(groupInfo: try box.group.groupInfo(), key: key), state: state, room: info.room,
      epoch: box.group.epoch.rawValue)
    let sealed = door.encoded
    let saved = box.group.encodeState()
    return try PendingJoinRecord(
      room: info.room, name: name, memberCount: members.count,
      request: JoinRequest(
        sendID: .random(), epoch: info.epoch, message: message, invite: invite,
        groupInfo: sealed.count <= Limits.groupInfo ? sealed : nil),
      epochPart: saved.epochPart.withBytes { Array($0) }, messagePart: saved.messagePart.withBytes { Array($0) })
  }

  /// The room that an accepted commit has led to, as it begins at its place in the log.
  static func record(
    _ pending: PendingJoinRecord, _ context: ClientContext, at position: StreamPosition
  ) throws -> (room: RoomRecord, box: GroupBox) {
    let box = GroupBox(
      try Group(
        restoring: GroupState(
          epochPart: .init(copying: pending.epochPart), messagePart: .init(copying: pending.messagePart)),
        identity: try context.identity().client, policy: context.groupPolicy))
    let record = RoomRecord(
      room: pending.room, name: pending.name, memberCount: Int(pending.memberCount), epoch: box.group.epoch.rawValue,
      position: position, authenticator: box.group.epochAuthenticator.withBytes { Array($0) }, now: context.now)
    return (record, box)
  }

  static func adopt(_ pending: PendingJoinRecord, _ record: RoomRecord, in store: any StoreTransaction) throws {
    try store.save(record)
    try store.set(.groupEpoch, pending.room.bytes, to: pending.epochPart)
    try store.set(.groupMessage, pending.room.bytes, to: pending.messagePart)
    try store.remove(.pendingCommit, pending.room.bytes)
    try store.remove(.pendingJoin, pending.room.bytes)
  }
}
