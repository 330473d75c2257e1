import Networking
import Observability
import RelayProtocol

/// The one way into rooms' logs: stores, and when it is on disk tells everyone.
struct LogWriter: Sendable {
  let store: any RelayStore
  let bus: any Bus
  let instruments: Instruments

  /// Stores messages in one batch. `completion` comes on the store's thread, after the broadcast was handed on; what both
  /// lead to on `loop` is done in one turn, so that a sender's answer and its own copy leave in one write.
  func append(
    _ messages: [NewMessage], for loop: EventLoop? = nil,
    completion: @escaping @Sendable ([Result<Appended, RelayError>]) -> Void
  ) {
    let begun = Monotonic.nanoseconds
    store.append(messages) { [bus, instruments] results in
      instruments.store[.append].record(nanoseconds: Monotonic.nanoseconds &- begun)
      var wakes: [Wake] = []
      wakes.reserveCapacity(results.count)
      for case .success(let appended) in results {
        if let entry = appended.entry { wakes.append(.stored(StoredEntry(entry))) }
      }
      guard let loop else {
        bus.publish(wakes)
        return completion(results)
      }
      loop.gather {
        bus.publish(wakes)
        completion(results)
      }
    }
  }

  func append(_ message: NewMessage) async throws(RelayError) -> Appended {
    let result: Result<Appended, RelayError> = await withCheckedContinuation { continuation in
      append([message]) { results in
        continuation.resume(
          returning: results.first ?? .failure(RelayError(.internalError, "The store gave no outcome.")))
      }
    }
    return try result.get()
  }

  func commit(_ commit: NewCommit) async throws(RelayError) -> Appended {
    let begun = Monotonic.nanoseconds
    return try await store.commit(commit) { [bus, instruments] appended in
      instruments.store[.commit].record(nanoseconds: Monotonic.nanoseconds &- begun)
      guard let entry = appended.entry else { return }
      instruments.commits.add()
      var wakes = [Wake.stored(StoredEntry(entry, removed: commit.request.removed))]
      if !commit.request.recipients.isEmpty { wakes.append(.look(.welcomes, commit.request.recipients)) }
      bus.publish(wakes)
    }
  }

  func join(_ join: NewJoin) async throws(RelayError) -> Appended {
    try await store.join(join) { [bus] appended in
      if let entry = appended.entry { bus.publish([.stored(StoredEntry(entry))]) }
    }
  }

  func leave(_ message: NewMessage) async throws(RelayError) -> Appended {
    try await store.leave(message) { [bus] appended in
      if let entry = appended.entry { bus.publish([.stored(StoredEntry(entry, removed: [message.sender]))]) }
    }
  }
}
