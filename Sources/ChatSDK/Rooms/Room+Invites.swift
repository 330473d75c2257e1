import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

// Ways into the room that its admins open and close, and the owner's last words.
extension Room {
  // MARK: Links

  /// Makes a link by which whoever has it joins at once.
  ///
  /// Only this call has the link: the room keeps what it needs to know its holders, and not its secret.
  ///
  /// - Parameters:
  ///   - lifetime: how long it is good, or `nil` for as long as it is not revoked.
  ///   - uses: how many people may join by it, or `nil`.
  /// - Throws: `notPermitted` unless this account is an admin; `roomClosed` if the room lets nobody in.
  public func newLink(lifetime: Duration? = nil, uses: Int? = nil) async throws -> InviteLink {
    try await chatErrors {
      let secret = try InviteSecret.random()
      let own = try context.identity().user
      let expires = lifetime.map { context.now + UInt64(min(max(0, $0.components.seconds), 1 << 48)) * 1000 } ?? 0
      let keys = secret.keys(madeBy: own, expires: expires, uses: UInt32(clamping: uses ?? 0))
      let now = context.now
      try await perform(
        .change { state, _ in
          guard state.settings.joinPolicy != .closed, state.pair == nil else { throw ChatError(.roomClosed) }
          // What is over makes room.
          state.invites = state.invites.filter { $0.value.expires == 0 || $0.value.expires > now }
          guard state.invites.count < Limits.invitesPerRoom else { throw ChatError(.refused, detail: "too many links") }
          state.invites[secret.id] = keys
        })
      return InviteLink(relay: context.configuration.relay, secret)
    }
  }

  /// The links that are good.
  public func links() async throws -> [Invite] {
    try await chatErrors {
      let state = try roomState()
      let leaves = try group().group.members.compactMap { CommitClaim.Leaf($0) }
      return try context.store.read { store in
        try state.invites.map { id, keys in
          Invite(
            id: "\(id)", madeBy: try person(keys.madeBy, in: store),
            expires: keys.expires == 0 ? nil : Moment(millisecondsSince1970: keys.expires),
            uses: keys.uses == 0 ? nil : Int(keys.uses),
            used: Set(leaves.filter { $0.invite == id }.map(\.user)).count)
        }
      }.sorted { $0.id < $1.id }
    }
  }

  /// Ends a link, or all.
  public func revokeLinks(_ id: String? = nil) async throws {
    try await chatErrors {
      var wanted: InviteID?
      if let id {
        guard let invite = InviteID(id), try roomState().invites[invite] != nil else { throw ChatError(.noSuchLink) }
        wanted = invite
      }
      let revoked = wanted
      try await perform(
        .change { state, _ in
          if let revoked { state.invites[revoked] = nil } else { state.invites = [:] }
        })
    }
  }

  // MARK: Codes

  /// Draws a code by which others can ask to come in; the one before is good no more.
  ///
  /// - Throws: `notPermitted` unless this account is an admin; `roomClosed` if the room lets nobody in.
  public func newCode(lifetime: Duration = .seconds(86_400), uses: Int = 100) async throws -> RoomCode {
    try await chatErrors {
      try require(.admin)
      let state = try roomState()
      guard state.settings.joinPolicy != .closed, state.pair == nil else { throw ChatError(.roomClosed) }
      let request = CodeRequest(
        lifetime: UInt64(max(0, lifetime.components.seconds)), uses: UInt32(clamping: uses))
      return RoomCode(try await context.api.newCode(request, of: id))
    }
  }

  /// The code that is good now, or `nil`.
  public func code() async throws -> RoomCode? {
    try await chatErrors {
      do { return RoomCode(try await context.api.code(of: id)) } catch let error as ChatError
        where error.relayCode == .notFound
      {
        return nil
      }
    }
  }

  public func revokeCode() async throws {
    try await chatErrors {
      try require(.admin)
      try await context.api.revokeCode(of: id)
    }
  }

  // MARK: Directory

  /// Shows the room's name and topic to everybody at the relay, as they are now.
  ///
  /// - Throws: `notPermitted` unless this account is an owner.
  public func publish() async throws {
    try await chatErrors {
      try require(.owner)
      let settings = try roomState().settings
      try await context.api.publish(
        ListingRequest(
          name: Self.prefix(settings.name, Limits.listingName), topic: Self.prefix(settings.topic, Limits.listingTopic)),
        of: id)
    }
  }

  public func withdraw() async throws {
    try await chatErrors {
      try require(.owner)
      try await context.api.withdraw(id)
    }
  }

  /// What the relay would refuse by its mirror of the roles is refused here first, by the room's own.
  private func require(_ role: Role) throws {
    try requireGood()
    guard try roomState().role(of: try context.identity().user) >= role else { throw ChatError(.notPermitted) }
  }

  /// As many whole characters as fit.
  private static func prefix(_ text: String, _ bytes: Int) -> String {
    var text = text
    while text.utf8.count > bytes { text.removeLast() }
    return text
  }

  // MARK: Repair

  /// Puts a commit in the place of the one at which this room stands still, whatever that was.
  ///
  /// What a later version of Kin might take is not replaced by itself: whoever does it here decides that the room goes the
  /// way of this version. Members who took the refused commit come back by themselves.
  ///
  /// - Throws: `notPermitted` unless this account is an admin. Does nothing to a room that works.
  public func repair() async throws {
    try await chatErrors {
      guard stored.health == .stopped else { return try requireGood() }
      guard try roomState().role(of: try context.identity().user) >= .admin else { throw ChatError(.notPermitted) }
      guard stored.refused != nil else { return try await comeBack() }
      try await perform(.replace)
    }
  }

  // MARK: Status

  /// How the room stands, here and at the relay.
  public func status() async throws -> RoomStatus {
    try await chatErrors {
      let theirs = stored.health == .left ? nil : try await context.api.room(id)
      let leaves = try credentials()
      let (state, own) = (try roomState(), try context.identity().user)
      let users = Set(leaves.map(\.user))
      let online = stored.health == .left ? 0 : try await countOnline(users.subtracting([own])) + 1
      return RoomStatus(
        id: id, name: stored.name, health: stored.health, role: state.role(of: own), settings: state.settings,
        isDirect: state.pair != nil, members: users.count, devices: leaves.count, online: online, epoch: stored.epoch,
        sequence: stored.position.sequence, relayEpoch: theirs?.epoch, relaySequence: theirs?.position.sequence)
    }
  }

  /// How many of these show that they are there.
  private func countOnline(_ users: Set<UserID>) async throws -> Int {
    let all = Array(users)
    var count = 0
    for start in stride(from: 0, to: all.count, by: Limits.presenceQuery) {
      let part = Array(all[start..<min(start + Limits.presenceQuery, all.count)])
      count += try await context.api.presence(of: part).count {
        users.contains($0.user) && $0.status != Presence.Status.offline.rawValue
      }
    }
    return count
  }

  /// Whether this is the room of this account and another that both can use.
  func isDirect(with user: UserID) async -> Bool {
    guard let pair = try? roomState().pair, pair.contains(user) else { return false }
    // The other may have left meanwhile.
    try? await pull()
    guard stored.health == .good, !stored.leaving.contains(user), let members = try? credentials() else { return false }
    return stored.epoch == 0 || members.contains { $0.user == user }
  }

  // MARK: Deletion

  /// - Throws: `notPermitted` unless this account is an owner.
  func deletionProof() throws -> [UInt8] {
    let identity = try context.identity()
    guard try roomState().role(of: identity.user) == .owner else { throw ChatError(.notPermitted) }
    return try DeletionProof.make(room: id, identity).encoded
  }

  /// The owner who signed the room's end, if one did.
  func owner(provenBy bytes: [UInt8]) throws -> Person? {
    guard let proof = try? DeletionProof(decoding: bytes), let state = try? roomState() else { return nil }
    let leaf = try group().group.members.compactMap { CommitClaim.Leaf($0) }
      .first { $0.user == proof.user && $0.device == proof.device }
    guard let leaf, state.role(of: leaf.user) == .owner, proof.isValid(room: id, by: leaf.signatureKey) else {
      return nil
    }
    return try context.store.read { try person(leaf.user, in: $0) }
  }

  /// Erases all that is here of the room.
  func erase() async throws {
    try await exclusively {
      try context.store.write { try $0.eraseRoom(id) }
      stored.health = .left
      (box, pending, outbox, inbox) = (nil, nil, [], [])
      for (_, waiting) in deliveries { for continuation in waiting { continuation.resume() } }
      deliveries = [:]
    }
  }
}

/// An owner's signed word that a room has ended, which its members check: the relay alone cannot make them erase it.
struct DeletionProof: WireCodable {
  let user: UserID
  let device: DeviceID
  /// Ed25519, by the device's key.
  let signature: [UInt8]

  private init(user: UserID, device: DeviceID, signature: [UInt8]) {
    (self.user, self.device, self.signature) = (user, device, signature)
  }

  init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    device = try DeviceID(from: &reader)
    signature = try reader.readVector(max: 64)
  }

  func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(device)
    writer.writeVector(signature)
  }

  private static func bytes(_ room: RoomID, _ user: UserID, _ device: DeviceID) -> [UInt8] {
    var writer = Writer()
    writer.write("Kin 1.0 room deletion")
    writer.write(room)
    writer.write(user)
    writer.write(device)
    return writer.bytes
  }

  static func make(room: RoomID, _ identity: Identity) throws -> DeletionProof {
    let signature = try identity.client.signingKey.sign(bytes(room, identity.user, identity.device.device))
    return DeletionProof(user: identity.user, device: identity.device.device, signature: signature)
  }

  func isValid(room: RoomID, by key: [UInt8]) -> Bool {
    SignatureScheme.ed25519.verify(publicKey: key, message: Self.bytes(room, user, device), signature: signature)
  }
}
