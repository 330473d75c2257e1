import Synchronization

/// Events as they happen, from the moment the sequence was asked for; ends when the client closes.
public struct Events: AsyncSequence, Sendable {
  public typealias Element = Event
  public typealias Failure = any Error

  let stream: AsyncThrowingStream<Event, any Error>

  public struct AsyncIterator: AsyncIteratorProtocol {
    var iterator: AsyncThrowingStream<Event, any Error>.Iterator

    public mutating func next() async throws -> Event? { try await iterator.next(isolation: #isolation) }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Event? {
      try await iterator.next(isolation: actor)
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(iterator: stream.makeAsyncIterator()) }
}

/// Hands each event to all who listen.
final class EventHub: Sendable {
  private struct State {
    var next = 0
    var isClosed = false
    var listeners: [Int: Listener] = [:]
  }

  private struct Listener {
    let accepts: @Sendable (Event) -> Bool
    let continuation: AsyncThrowingStream<Event, any Error>.Continuation
  }

  private let state = Mutex(State())
  /// What is added to each event as it goes out.
  private let completed: @Sendable (Event) -> Event

  init(_ completed: @escaping @Sendable (Event) -> Event = { $0 }) { self.completed = completed }

  /// A new listener, for the events that `accepts` lets through.
  func events(where accepts: @escaping @Sendable (Event) -> Bool) -> Events {
    let (stream, continuation) = AsyncThrowingStream.makeStream(of: Event.self)
    let isClosed = state.withLock { state in
      guard !state.isClosed else { return true }
      let key = state.next
      state.next += 1
      state.listeners[key] = Listener(accepts: accepts, continuation: continuation)
      continuation.onTermination = { [weak self] _ in self?.remove(key) }
      return false
    }
    if isClosed { continuation.finish() }
    return Events(stream: stream)
  }

  func tell(_ events: [Event]) {
    guard !events.isEmpty else { return }
    let listeners = state.withLock { Array($0.listeners.values) }
    for event in events.map(completed) {
      for listener in listeners where listener.accepts(event) { listener.continuation.yield(event) }
    }
  }

  func close(throwing error: (any Error)? = nil) {
    let listeners = state.withLock { state in
      defer { state.listeners = [:] }
      state.isClosed = true
      return Array(state.listeners.values)
    }
    for listener in listeners { listener.continuation.finish(throwing: error) }
  }

  private func remove(_ key: Int) {
    state.withLock { _ = $0.listeners.removeValue(forKey: key) }
  }
}
