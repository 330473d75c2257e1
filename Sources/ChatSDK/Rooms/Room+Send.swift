import Content
import CryptoPrimitives
import E2ECrypto
import RelayProtocol

// The outbox: sealed and on disk before it leaves, the same bytes under the same id until the relay has them.
extension Room {
  /// Sends a text.
  ///
  /// It is on this device's disk, sealed, before it leaves. Without a relay within reach the message comes back in state
  /// `pending`, and goes out by itself, exactly once.
  ///
  /// - Throws: `messageTooLong`, `notAMember`, `roomStopped`; `identityChanged`: a verified contact has a new identity.
  @discardableResult
  public func send(_ text: String) async throws -> Message {
    try await chatErrors {
      try requireGood()
      try requireTrusted()
      try await expelRevoked()
      let message = try seal(text)
      startFlush()
      await withCheckedContinuation { continuation in
        guard outbox.contains(where: { $0.message == message.id }) else { return continuation.resume() }
        deliveries[message.id, default: []].append(continuation)
      }
      return try context.store.read { try $0.message(message.id, in: id) }?.message ?? message
    }
  }

  /// - Throws: `identityChanged` if somebody who was verified has an identity that was not accepted.
  private func requireTrusted() throws {
    let users = Set(try credentials().map(\.user))
    let blocking = try context.store.read { store in
      try users.compactMap { try store.decode(Pin.self, $0.bytes) }.first(where: \.blocksSending)
    }
    if let blocking { throw ChatError(.identityChanged, detail: blocking.username) }
  }

  private func seal(_ text: String) throws -> Message {
    let now = context.now
    let (content, encoded) = try Envelope.text(text, sentAt: now, order: stored.order.head)
    let identity = try context.identity()
    let id = try Envelope.id(encoded, salt: content.salt, sender: identity.user, room: self.id)
    let moment = Moment(millisecondsSince1970: now)
    let message = Message(
      id: id, room: self.id, sender: identity.person, text: text, sentAt: moment, receivedAt: moment, sequence: nil,
      state: .pending)
    let box = try group()
    let ciphertext = try protect(encoded, box)
    let entry = OutboxEntry(
      room: self.id, route: .message, sendID: .random(), epoch: box.group.epoch.rawValue, ciphertext: ciphertext,
      hash: ClientContext.hash(ciphertext), message: id)
    let last = outbox.last?.number ?? 0
    var next = stored
    next.lastActivity = max(next.lastActivity, now)
    let put = try write { store in
      try save(box, wholeEpoch: false, in: store)
      let put = try store.put(entry)
      let record = MessageRecord(
        message: message, hash: entry.hash, content: encoded, isOwn: true,
        position: MessageRecord.unsent + max(put.number, last + 1))
      try store.insert(record)
      try store.save(next)
      return put
    }
    stored = next
    outbox.append(put)
    return message
  }

  private func protect(_ encoded: [UInt8], _ box: GroupBox) throws -> [UInt8] {
    do { return try box.group.protect(Envelope.pad(encoded)) } catch {
      self.box = nil
      throw ChatError(.internalError, detail: "\(error.code)", underlying: error)
    }
  }

  // MARK: Delivery

  /// Sends what waits, and returns when nothing waits any more or the relay cannot be reached.
  func flushOutbox() async {
    startFlush()
    await flush?.value
  }

  private func startFlush() {
    guard flush == nil, !outbox.isEmpty else { return }
    flush = Task {
      await deliverAll()
      flush = nil
      // Whoever still waits is told that it takes longer.
      for (_, continuations) in deliveries { for continuation in continuations { continuation.resume() } }
      deliveries = [:]
    }
  }

  private func deliverAll() async {
    var backoff = Backoff(first: .milliseconds(100), longest: .seconds(5))
    var failures = 0
    while let entry = outbox.first, failures < 8 {
      do {
        try await deliver(entry)
        failures = 0
        backoff.reset()
      } catch {
        failures += 1
        let error = ChatError(wrapping: error)
        // A full relay says when to come again; one that cannot be reached is tried at the next connection.
        guard error == ChatError(.rateLimited) || error == ChatError(.relayUnavailable) else { return }
        let pause = backoff.next(random: context.environment.random(), atLeast: error.retryAfter)
        guard (try? await context.environment.sleep(min(pause, .seconds(10)))) != nil else { return }
      }
    }
  }

  private func deliver(_ entry: OutboxEntry) async throws {
    do {
      switch entry.route {
      case .message:
        let request = SendRequest(sendID: entry.sendID, epoch: entry.epoch, message: entry.ciphertext)
        let response =
          if let link = context.link { try await link.send(request, to: id) } else {
            try await context.api.send(request, to: id)
          }
        try acknowledge(entry, at: response.position)
      case .leave:
        try await context.api.leave(
          LeaveRequest(sendID: entry.sendID, epoch: entry.epoch, proposal: entry.ciphertext), id)
        try finishLeaving(entry)
      }
    } catch let error as ChatError {
      switch error.relayCode {
      case .epochStale?, .epochUnknown?, .epochConflict?, .sendIDReused?:
        // A refusal says that the relay has no record of this send id: it may be sealed anew.
        try await pull()
        // Without a step forward the answer would be the same for ever.
        guard stored.epoch != entry.epoch || error.relayCode == .sendIDReused else { throw error }
        try reseal(entry)
      case .roomNotFound? where entry.route == .leave:
        try finishLeaving(entry)
      case .some where !error.isRetryable && error.family != .login:
        try giveUp(entry, error)
      default: throw error
      }
    }
  }

  private func acknowledge(_ entry: OutboxEntry, at position: StreamPosition) throws {
    // The log may have brought it before the answer came.
    guard outbox.contains(where: { $0.number == entry.number && $0.hash == entry.hash }) else { return }
    var batch = Batch()
    try write { store in
      try acknowledge(entry, at: position.sequence, in: store, &batch)
      // What stands in a log that began anew is looked for once that is known here.
      guard let message = entry.message, position.incarnation == stored.position.incarnation else { return }
      let promise = RelayPromise(sequence: position.sequence, hash: entry.hash, message: message)
      try self.promise(promise, in: store, &batch)
    }
    context.hub.tell(batch.events)
    for message in batch.delivered { settle(message) }
  }

  /// The relay has the entry, at this place of the log.
  func acknowledge(
    _ entry: OutboxEntry, at sequence: UInt64, in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    try store.removeOutbox(entry.number)
    outbox.removeAll { $0.number == entry.number }
    guard let id = entry.message, var record = try store.message(id, in: self.id) else { return }
    record.message.sequence = sequence
    record.message.state = .sent
    record.hash = entry.hash
    record.position = sequence
    try store.update(record)
    batch.events.append(.sent(record.message))
    batch.delivered.append(id)
  }

  func settle(_ message: Message.ID) {
    for continuation in deliveries.removeValue(forKey: message) ?? [] { continuation.resume() }
  }

  /// Seals the same content anew, under the same message id, in the present epoch.
  private func reseal(_ entry: OutboxEntry) throws {
    guard outbox.contains(where: { $0.number == entry.number && $0.hash == entry.hash }) else { return }
    guard stored.health == .good else { return try giveUp(entry, ChatError(.notAMember)) }
    let box = try group()
    var fresh = entry
    switch entry.route {
    case .message:
      guard let id = entry.message, let record = try context.store.read({ try $0.message(id, in: self.id) }) else {
        return try giveUp(entry, ChatError(.internalError))
      }
      fresh.ciphertext = try protect(record.content, box)
    case .leave:
      fresh.ciphertext = try box.group.propose(.remove(box.group.ownLeafIndex), now: context.timestamp)
    }
    fresh.sendID = .random()
    fresh.epoch = box.group.epoch.rawValue
    fresh.hash = ClientContext.hash(fresh.ciphertext)
    _ = try write { store in
      try save(box, wholeEpoch: false, in: store)
      return try store.put(fresh)
    }
    if let index = outbox.firstIndex(where: { $0.number == fresh.number }) { outbox[index] = fresh }
  }

  private func giveUp(_ entry: OutboxEntry, _ error: ChatError) throws {
    let finding = context.finding(.notSent, room: id, "the relay refused: \(error.code)")
    try write { store in
      try store.removeOutbox(entry.number)
      try store.add(finding)
      guard let id = entry.message, var record = try store.message(id, in: self.id) else { return }
      record.message.state = .failed
      try store.update(record)
    }
    outbox.removeAll { $0.number == entry.number }
    context.hub.tell([.refused(finding)])
    if let message = entry.message { settle(message) }
    if error.relayCode == .roomNotFound { try lostMembership() }
  }

  // MARK: Leaving

  /// Ends the membership of this account.
  ///
  /// History stays. Others commit the removal of the leaf; nothing can be read here from now on.
  public func leave() async throws {
    try await chatErrors {
      try await exclusively {
        if stored.health == .left { return }
        // Nothing could be said in it, this neither; and nobody is to be told that it was.
        try requireGood()
        try requireAnotherOwner()
        try await settlePending()
        try await pullLog()
        let box = try group()
        let proposal = try box.group.propose(.remove(box.group.ownLeafIndex), now: context.timestamp)
        let entry = OutboxEntry(
          room: id, route: .leave, sendID: .random(), epoch: box.group.epoch.rawValue, ciphertext: proposal,
          hash: ClientContext.hash(proposal), message: nil)
        let put = try write { store in
          try save(box, wholeEpoch: false, in: store)
          return try store.put(entry)
        }
        outbox.append(put)
      }
      await flushOutbox()
      guard stored.health != .good else { throw ChatError(.relayUnreachable) }
    }
  }

  /// A room whose only owner goes could never change its roles again.
  private func requireAnotherOwner() throws {
    let (state, own) = (try roomState(), try context.identity().user)
    let users = Set(try credentials().map(\.user))
    guard state.pair == nil, users.count > 1, state.role(of: own) == .owner else { return }
    let others = state.roles.filter { $0.key != own && $0.value == .owner && users.contains($0.key) }
    guard !others.isEmpty else { throw ChatError(.lastOwner) }
  }

  private func finishLeaving(_ entry: OutboxEntry) throws {
    var next = stored
    (next.health, next.mayReturn) = (.left, false)
    try write { store in
      try store.removeOutbox(entry.number)
      try store.save(next)
    }
    outbox.removeAll { $0.number == entry.number }
    stored = next
  }
}
