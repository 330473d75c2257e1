import Content
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

// Taking in the log: each entry once, in order, on disk together with the cursor before anything is told.
extension Room {
  /// What one transaction has come to, to be told after it.
  struct Batch {
    var events: [Event] = []
    var delivered: [Message.ID] = []
    var isEpochNew = false
    var isGroupChanged = false
    /// Identities to ask for before the next entry can be taken.
    var wanted: Set<UserID> = []
  }

  // MARK: Entries come

  /// Takes a pushed entry. Returns at once unless very much waits.
  func push(_ entry: LogEntry) async {
    inbox.append(entry)
    inboxBytes += entry.message.bytes.count
    if drain == nil {
      drain = Task { await drainInbox() }
    } else if inbox.count > 1000 || inboxBytes > Limits.bytesPerPage {
      await drain?.value
    }
  }

  private func drainInbox() async {
    while !inbox.isEmpty {
      let entries = inbox
      (inbox, inboxBytes) = ([], 0)
      // What fails here is fetched again with the next look at the log.
      do { try await exclusively { try await take(entries) } } catch {
        guard (try? await context.environment.sleep(.seconds(1))) != nil else { break }
        try? await pull()
      }
    }
    drain = nil
  }

  /// Brings the room up to the log's end.
  func pull() async throws { try await exclusively { try await pullLog() } }

  private func take(_ entries: [LogEntry]) async throws {
    for action in machine.received(entries) {
      switch action {
      case .process(let entries): try await process(entries)
      case .pull: try await pullLog()
      case .restart: break
      }
    }
  }

  /// To be called inside the gate.
  func pullLog() async throws {
    var restarts = 0
    while true {
      let promised = stored.promises
      let page: LogResponse
      do {
        page = try await context.api.log(of: id, after: machine.position)
      } catch let error as ChatError where error.relayCode == .incarnationChanged && restarts < 2 {
        restarts += 1
        try restart(at: try await context.api.room(id).position)
        continue
      } catch let error as ChatError where error.relayCode == .roomNotFound {
        try lostMembership()
        throw error
      }
      if machine.heard(page.last).contains(where: { if case .restart = $0 { true } else { false } }) {
        try restart(at: page.last)
      }
      let before = machine.position
      for case .process(let entries) in machine.received(page.entries) { try await process(entries) }
      if machine.isCaughtUp { return try missPromises(promised, beyond: page.last.sequence) }
      // A page that leads nowhere must not be asked for for ever.
      guard machine.position != before else {
        try tellOfGap()
        throw ChatError(.protocolViolation)
      }
    }
  }

  /// The relay's log began anew: what it holds is read from its start, and what was read before is recognised.
  private func restart(at newest: StreamPosition) throws {
    let finding = context.finding(.historyLost, room: id, "the relay's log of the room began anew")
    var next = stored
    next.position = StreamPosition(incarnation: newest.incarnation, sequence: 0)
    next.order = RoomOrder()
    (next.promises, next.followed) = ([], [])
    try write { store in
      try store.save(next)
      try store.add(finding)
    }
    stored = next
    machine = SyncMachine(position: next.position)
    _ = machine.heard(newest)
    context.hub.tell([.relayMismatch(finding)])
  }

  /// The relay says that this account is not a member.
  func lostMembership() throws {
    guard stored.health != .left else { return }
    var next = stored
    // That is its word alone: if it takes it back, the room goes on.
    (next.health, next.mayReturn) = (.left, true)
    try write { try $0.save(next) }
    stored = next
    context.hub.tell([.removedFromRoom(RoomChange(room: id, name: next.name, by: nil))])
  }

  // MARK: One entry after the other

  private func process(_ entries: [LogEntry]) async throws {
    var rest = entries[...]
    var asked: Set<UserID> = []
    while let first = rest.first {
      var batch = Batch()
      try write { store in
        while let entry = rest.first {
          guard try take(entry, in: store, asked: asked, &batch) else { break }
          rest.removeFirst()
          asked = []
        }
        if rest.first != first {
          if batch.isGroupChanged, let box { try save(box, wholeEpoch: batch.isEpochNew, in: store) }
          try store.save(stored)
        }
      }
      tell(batch)
      for user in batch.wanted {
        asked.insert(user)
        do { try await Trust(context: context).fetch(user: user) } catch let error as ChatError {
          // An identity that proves nothing is a verdict; a relay that does not answer is none.
          guard error == ChatError(.identityInvalid) || error == ChatError(.userNotFound) else { throw error }
        }
      }
    }
    scheduleCommit()
  }

  private func tell(_ batch: Batch) {
    context.hub.tell(batch.events)
    for message in batch.delivered { settle(message) }
  }

  /// Takes one entry in, or returns `false` if identities are needed first: they stand in `batch.wanted`.
  private func take(
    _ entry: LogEntry, in store: any StoreTransaction, asked: Set<UserID>, _ batch: inout Batch
  ) throws -> Bool {
    let hash = entry.kind == .erased ? entry.message.bytes : ClientContext.hash(entry.message.bytes)
    let epoch = stored.epoch
    if let index = outbox.firstIndex(where: { $0.hash == hash }) {
      try acknowledge(outbox[index], at: entry.sequence, in: store, &batch)
      try tellOwn(entry, in: store, &batch)
    } else if let own = pending, own.hash == hash, entry.kind == .commit {
      try mergeOwn(own, in: store, &batch)
    } else if try store.message(at: entry.sequence, in: id)?.hash == hash {
      // Acknowledged before the log brought it.
      try tellOwn(entry, in: store, &batch)
    } else if entry.kind == .erased {
      try note(.erased, entry, "not kept by the relay until this device read it", in: store, &batch)
    } else if stored.health == .left || (stored.health == .stopped && entry.epoch != stored.epoch) {
      // Nothing more can be read here; the place in the log is kept.
    } else {
      guard try receive(entry, hash, in: store, asked: asked, &batch) else { return false }
    }
    try keepPromises(at: entry.sequence, hash, in: store, &batch)
    advance(past: entry, hash, beganEpoch: stored.epoch != epoch)
    return true
  }

  /// An own message has its turn in the room's order, which is the same for all.
  private func tellOwn(_ entry: LogEntry, in store: any StoreTransaction, _ batch: inout Batch) throws {
    guard let record = try store.message(at: entry.sequence, in: id) else { return }
    batch.events.append(.message(record.message))
  }

  private func advance(past entry: LogEntry, _ hash: [UInt8], beganEpoch: Bool) {
    if beganEpoch, let authenticator = box?.group.epochAuthenticator.withBytes({ Array($0) }) {
      stored.order.begin(authenticator: authenticator, sequence: entry.sequence)
      stored.followed.append(FollowedCommit(epoch: entry.epoch, hash: hash))
      if stored.followed.count > FollowedCommit.kept { stored.followed.removeFirst() }
    } else {
      stored.order.take(entry, hash: hash)
    }
    stored.position.sequence = entry.sequence
    machine.took(entry.sequence)
  }

  private func receive(
    _ entry: LogEntry, _ hash: [UInt8], in store: any StoreTransaction, asked: Set<UserID>, _ batch: inout Batch
  ) throws -> Bool {
    guard EntryHeader.fits(entry, room: id) else {
      try note(.undecryptable, entry, "not a message of this room, epoch and kind", in: store, &batch)
      return true
    }
    // A proposal that is refused is forgotten by going back to what is on disk.
    if entry.kind == .proposal, batch.isGroupChanged { return false }
    let box = try group(in: store)
    let received: Received
    do throws(MLSError) {
      received = try box.group.receive(opened(entry, box))
    } catch {
      try refuse(entry, hash, error, in: store, &batch)
      return true
    }
    switch consume received {
    case .application(let message):
      batch.isGroupChanged = true
      try take(message, entry, hash, in: store, &batch)
    case .proposal(let proposal):
      try take(proposal, entry, box, in: store, &batch)
    case .commit(let commit):
      return try take(commit, entry, box, in: store, asked: asked, &batch)
    }
    return true
  }

  /// What the group is to receive: of a sealed join what is inside.
  private func opened(_ entry: LogEntry, _ box: GroupBox) -> [UInt8] {
    let bytes = entry.message.bytes
    guard SealedJoin.isSealedJoin(bytes) else { return bytes }
    let key = { try box.group.export(label: SealedJoin.label, length: Door.keySize) }
    return SealedJoin.open(bytes, key: key, room: id, epoch: box.group.epoch.rawValue) ?? bytes
  }

  private func refuse(
    _ entry: LogEntry, _ hash: [UInt8], _ error: MLSError, in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    switch error.code {
    case .staleHandshake where leadsElsewhere(entry, hash), .epochTooOld where leadsElsewhere(entry, hash):
      try note(.forked, entry, "a second commit for an epoch that another has ended", in: store, &batch)
    case .ownMessage, .keyConsumed, .staleHandshake:
      try note(.replayed, entry, "an entry that was read before", in: store, &batch)
    case .epochTooOld:
      try note(.undecryptable, entry, "of an epoch whose keys are erased", in: store, &batch)
    case .futureEpoch:
      // No reason to stop: nobody has vouched for the epoch that the entry claims.
      try note(.invalidCommit, entry, "of an epoch that this device has not reached", in: store, &batch)
    case _ where entry.kind == .commit && entry.epoch == stored.epoch:
      try stop(
        .invalidCommit, entry, "damaged or forged: \(error.code)", mayReplace: true, mayReturn: true, in: store, &batch)
    default:
      try note(.undecryptable, entry, "damaged or forged: \(error.code)", in: store, &batch)
    }
  }

  func note(
    _ code: Finding.Code, _ entry: LogEntry, _ detail: String, person: Person? = nil, in store: any StoreTransaction,
    _ batch: inout Batch
  ) throws {
    let finding = context.finding(code, room: id, person: person, sequence: entry.sequence, detail)
    try store.add(finding)
    batch.events.append(code == .undecryptable ? .undecryptable(finding) : .refused(finding))
  }

  // MARK: Messages

  private func take(
    _ message: ApplicationMessage, _ entry: LogEntry, _ hash: [UInt8], in store: any StoreTransaction,
    _ batch: inout Batch
  ) throws {
    guard let user = LeafCheck.user(of: message.senderCredential) else {
      return try note(.invalidLeaf, entry, "the sender's leaf proves nothing", in: store, &batch)
    }
    let sender = try person(user, in: store)
    // Of somebody whom this account blocks, nothing is taken in a room of two. They are not told.
    if try isBlocked(user, in: store), try roomState().pair != nil { return }
    let opened: Envelope.Opened
    do { opened = try Envelope.open(message.content) } catch {
      return try note(.unreadableContent, entry, "content of another kind", person: sender, in: store, &batch)
    }
    let id = try Envelope.id(opened.encoded, salt: opened.content.salt, sender: sender.id, room: self.id)
    guard try store.message(id, in: self.id) == nil else {
      return try note(.replayed, entry, "a message that was sent before", person: sender, in: store, &batch)
    }
    if let head = opened.order, stored.order.contradicts(head, in: entry.sequence) {
      let finding = context.finding(
        .orderDiffers, room: self.id, person: sender, sequence: head.sequence, "another saw this room in another order")
      try store.add(finding)
      batch.events.append(.relayMismatch(finding))
    }
    let own = try context.identity().user
    let shown = Message(
      id: id, room: self.id, sender: sender, text: opened.content.plainText,
      sentAt: Moment(millisecondsSince1970: opened.sentAt), receivedAt: context.moment, sequence: entry.sequence,
      state: sender.id == own ? .sent : .received)
    try store.insert(
      MessageRecord(
        message: shown, hash: hash, content: opened.encoded, isOwn: sender.id == own, position: entry.sequence))
    stored.lastActivity = max(stored.lastActivity, context.now)
    batch.events.append(.message(shown))
  }

  private func isBlocked(_ user: UserID, in store: any StoreTransaction) throws -> Bool {
    try store.decode(ContactRecord.self, user.bytes)?.contact?.state == .blocked
  }

  func person(_ user: UserID, in store: any StoreTransaction) throws -> Person {
    let own = try context.identity().person
    return user == own.id
      ? own : try store.decode(Pin.self, user.bytes)?.person ?? Person(id: user, username: "\(user)")
  }
}
