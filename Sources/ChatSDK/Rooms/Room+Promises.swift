import E2ECrypto
import RelayProtocol

// What the relay owes: entries that it has acknowledged, entries that it says there are, and one commit for each epoch.
extension Room {
  /// Remembers that the relay says that a message stands there, until the log shows it.
  func promise(_ promise: RelayPromise, in store: any StoreTransaction, _ batch: inout Batch) throws {
    // That place of the log was read, and the message was not there.
    guard promise.sequence > stored.position.sequence else { return try miss(promise, in: store, &batch) }
    stored.promises.append(promise)
    if stored.promises.count > RelayPromise.kept { stored.promises.removeFirst() }
    try store.save(stored)
  }

  /// The log shows what stands at a place.
  func keepPromises(
    at sequence: UInt64, _ hash: [UInt8], in store: any StoreTransaction, _ batch: inout Batch
  ) throws {
    guard !stored.promises.isEmpty else { return }
    let due = stored.promises.filter { $0.sequence == sequence && $0.hash != hash }
    stored.promises.removeAll { $0.sequence <= sequence }
    for promise in due { try miss(promise, in: store, &batch) }
  }

  /// The whole log was read, and ends before what was promised before it was asked for.
  func missPromises(_ promised: [RelayPromise], beyond last: UInt64) throws {
    let due = promised.filter { $0.sequence > last && stored.promises.contains($0) }
    guard !due.isEmpty else { return }
    var batch = Batch()
    var next = stored
    next.promises.removeAll { due.contains($0) }
    try write { store in
      for promise in due { try miss(promise, in: store, &batch) }
      try store.save(next)
    }
    stored = next
    context.hub.tell(batch.events)
  }

  private func miss(_ promise: RelayPromise, in store: any StoreTransaction, _ batch: inout Batch) throws {
    let finding = context.finding(
      .withheld, room: id, sequence: promise.sequence, "the relay acknowledged a message and does not show it")
    try store.add(finding)
    batch.events.append(.relayMismatch(finding))
    guard var record = try store.message(Message.ID(bytes: promise.message), in: id), record.isOwn else { return }
    // As one that was never sent: whoever wrote it sees that, and may send it again.
    record.message.sequence = nil
    record.message.state = .failed
    record.position = MessageRecord.unsent + min(promise.sequence, MessageRecord.unsent - 1)
    try store.update(record)
  }

  /// Entries that the relay speaks of do not come.
  func tellOfGap() throws {
    guard toldGap != machine.position else { return }
    let finding = context.finding(
      .withheld, room: id, sequence: machine.position.sequence + 1, "the relay's log leaves entries out")
    try context.store.write { try $0.add(finding) }
    toldGap = machine.position
    context.hub.tell([.relayMismatch(finding)])
  }

  /// Whether it is a commit for an epoch that was ended here by another one: whoever follows it is led away.
  func leadsElsewhere(_ entry: LogEntry, _ hash: [UInt8]) -> Bool {
    guard entry.kind == .commit else { return false }
    return stored.followed.contains { $0.epoch == entry.epoch && $0.hash != hash }
  }
}
