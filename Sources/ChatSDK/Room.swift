import CryptoPrimitives
import E2ECrypto
public import RelayProtocol
import WireCodec

/// A room of this account: an MLS group, its history and its outbox.
///
/// An actor that owns the group, so that whatever two tasks ask for happens one after the other. Whatever is told or
/// returned is on disk.
public actor Room: Identifiable {
  public nonisolated let id: RoomID

  let context: ClientContext
  /// What is on disk of this room, beside the group.
  var stored: RoomRecord
  var machine: SyncMachine
  /// Loaded when it is first needed, and again after a failed write.
  var box: GroupBox?
  var outbox: [OutboxEntry]
  var pending: PendingRecord?
  /// The epoch that the last merged commit of ours ended.
  var lastOwnEpoch: UInt64?
  /// One at a time takes in entries of the log or changes the group's epoch.
  let gate = Gate()
  /// Pushed entries that wait to be taken in.
  var inbox: [LogEntry] = []
  var inboxBytes = 0
  var drain: Task<Void, Never>?
  var flush: Task<Void, Never>?
  var deliveries: [Message.ID: [CheckedContinuation<Void, Never>]] = [:]
  var isCommitScheduled = false
  /// Whether this device has asked to be added anew since it was started or came back.
  var hasAskedBack = false
  /// What was found of revoked devices, and of which epoch and which lists that is true.
  var knownRevoked: (epoch: UInt64, lists: Int, leaves: [RevokedLeaf])?
  /// The epoch in which the relay's list of members was last compared with the group's.
  var comparedEpoch: UInt64?
  /// Where entries of the log were found missing last.
  var toldGap: StreamPosition?

  init(_ record: RoomRecord, context: ClientContext, box: GroupBox? = nil) throws {
    (id, self.context, stored) = (record.room, context, record)
    machine = SyncMachine(position: record.position)
    self.box = box
    (outbox, pending) = try context.store.read {
      (try $0.outbox(of: record.room), try $0.decode(PendingRecord.self, record.room.bytes))
    }
  }

  /// The name, which members see and the relay does not.
  public var name: String { stored.name }
  public var health: RoomHealth { stored.health }
  /// Whether its name means this room before others of the same name: it was not left, and of two people there are two.
  var isInUse: Bool {
    guard stored.health != .left else { return false }
    return (stored.memberCount > 1 && stored.leaving.isEmpty) || (try? roomState().pair) == nil
  }
  /// The MLS epoch.
  public var epoch: UInt64 { stored.epoch }

  /// What happens in this room from now on; ends when the client closes.
  public nonisolated var events: Events { context.hub.events { [id] in $0.room == id } }

  /// The members, as the group's tree has them.
  public func members() async throws -> [RoomMember] {
    try await chatErrors {
      let credentials = try credentials()
      let state = try roomState()
      let own = try context.identity().user
      let pins = try context.store.read { store in
        try Dictionary(grouping: credentials, by: \.user).mapValues { devices in
          (try store.decode(Pin.self, devices[0].user.bytes), devices.count)
        }
      }
      return pins.map { user, known in
        let username = user == own ? (try? context.identity().username) : known.0?.username
        return RoomMember(
          person: context.profiles.named(Person(id: user, username: username ?? "\(user)")), role: state.role(of: user),
          deviceCount: known.1, isVerified: known.0?.isVerified ?? false, isSelf: user == own)
      }.sorted { ($0.person.username, $0.person.id.text) < ($1.person.username, $1.person.id.text) }
    }
  }

  /// Adds users with all their devices.
  ///
  /// Returns when the relay has accepted it. Whoever is a member already is passed over, so trying again is safe.
  ///
  /// - Throws: `userNotFound`, `noKeyPackage`, `notPermitted`, `identityInvalid`, `identityChanged`; network errors.
  public func invite(_ usernames: String...) async throws { try await invite(usernames) }
  public func invite(_ usernames: [String]) async throws {
    try await chatErrors {
      try requireGood()
      let trust = Trust(context: context)
      var pins: [Pin] = []
      for username in usernames {
        let pin = try await trust.fetch(username: username)
        guard pin.candidate == nil else { throw ChatError(.identityChanged, detail: pin.username) }
        pins.append(pin)
      }
      try await perform(.invite(pins))
    }
  }

  /// Changes this device's keys in the group, which heals it after its state was stolen.
  public func updateKeys() async throws { try await chatErrors { try await perform(.update) } }

  /// Messages in the agreed order, the newest last.
  ///
  /// - Parameter before: only messages before this sequence.
  public func history(before: UInt64? = nil, limit: Int = 50) async throws -> [Message] {
    try await chatErrors {
      let bound = before.map { min($0, UInt64(Int64.max)) } ?? UInt64(Int64.max)
      return try context.store.read { store in
        try store.messages(in: id, before: bound, limit: max(0, min(limit, 100_000))).reversed().map {
          context.profiles.named($0.message)
        }
      }
    }
  }

  /// Remembers that everything up to now was read.
  public func markRead() async throws {
    try await chatErrors {
      var next = stored
      next.lastRead = next.position.sequence
      try context.store.write { try $0.save(next) }
      stored = next
    }
  }

  func summary() throws -> RoomSummary {
    let unread = try context.store.read { try $0.countMessages(in: id, after: stored.lastRead) }
    return RoomSummary(
      id: id, name: stored.name, memberCount: Int(stored.memberCount), epoch: stored.epoch, unread: unread,
      lastActivity: Moment(millisecondsSince1970: stored.lastActivity), health: stored.health)
  }

  /// Members by name; names of members need no question to the relay.
  func users(_ usernames: [String]) async throws -> [UserID] {
    let members = try await members()
    return try usernames.map { name in
      guard let found = members.first(where: { $0.person.username == name.lowercased() }) else {
        throw ChatError(.notInRoom, detail: name)
      }
      return found.person.id
    }
  }
}

// MARK: The group

extension Room {
  /// The group, read from the store if it is not in memory.
  func group() throws -> GroupBox {
    if let box { return box }
    let fresh = try context.store.read { try load(from: $0) }
    box = fresh
    return fresh
  }

  /// The same inside a transaction.
  func group(in store: any StoreTransaction) throws -> GroupBox {
    if let box { return box }
    let fresh = try load(from: store)
    box = fresh
    return fresh
  }

  func load(from store: any StoreTransaction) throws -> GroupBox {
    guard let epochPart = try store.record(.groupEpoch, id.bytes),
      let messagePart = try store.record(.groupMessage, id.bytes)
    else { throw ChatError(.roomStopped) }
    return GroupBox(
      try Group(
        restoring: GroupState(
          epochPart: .init(copying: epochPart), messagePart: .init(copying: messagePart)),
        identity: try context.identity().client, policy: context.groupPolicy))
  }

  func save(_ box: GroupBox, wholeEpoch: Bool, in store: any StoreTransaction) throws {
    if wholeEpoch {
      let state = box.group.encodeState()
      try store.set(.groupEpoch, id.bytes, to: state.epochPart.withBytes { Array($0) })
      try store.set(.groupMessage, id.bytes, to: state.messagePart.withBytes { Array($0) })
    } else {
      try store.set(.groupMessage, id.bytes, to: box.group.encodeMessagePart().withBytes { Array($0) })
    }
  }

  func roomState() throws -> RoomState {
    guard let state = RoomState.of(try group().group.extensions) else { throw ChatError(.roomStopped) }
    return state
  }

  /// The devices in the tree. Each was checked when it entered.
  func credentials() throws -> [DeviceCredential] {
    try group().group.members.compactMap { member in
      member.credential.identity.flatMap { try? DeviceCredential(decoding: $0) }
    }
  }

  func requireGood() throws {
    switch stored.health {
    case .good: return
    case .stopped: throw ChatError(.roomStopped)
    case .left: throw ChatError(.notAMember)
    }
  }

  /// Runs `body` while nobody else takes in entries or changes the epoch.
  func exclusively<T>(_ body: () async throws -> T) async throws -> T {
    await gate.enter()
    defer { gate.leave() }
    return try await body()
  }

  /// Writes, and forgets what is in memory if that fails: the disk is the truth.
  func write<T>(_ body: (any StoreTransaction) throws -> T) throws -> T {
    let (before, machineBefore) = (stored, machine)
    do { return try context.store.write(body) } catch {
      (stored, machine, box) = (before, machineBefore, nil)
      if let known = try? context.store.read({
        (try $0.outbox(of: id), try $0.decode(PendingRecord.self, id.bytes))
      }) {
        (outbox, pending) = known
      }
      throw error
    }
  }
}
