import Networking
import Observability
import RelayProtocol
import Synchronization

/// Who serves clients of this node, as the ``Lookout`` asks them what to look for.
protocol Lookouts: AnyObject, Sendable {
  /// What is served now.
  func served() async -> Served
}

/// What a part of this node serves.
struct Served: Sendable {
  var rooms: Set<RoomID> = []
  var sessions: [UInt64: DeviceID] = [:]

  mutating func formUnion(_ other: Served) {
    rooms.formUnion(other.rooms)
    sessions.merge(other.sessions) { first, _ in first }
  }
}

/// Finds in the store what other nodes did, for the clients of this one.
///
/// A wake of another node makes it look at once. Should wakes be lost, or Redis be dead, it looks at all that is served again and
/// again: what it finds then is late by one interval and no more. What it says to this node's listeners is what the store holds.
final class Lookout: BusListener {
  private struct Reading {
    /// Where the read under way began, and what was asked for since.
    var start: UInt64
    var again: UInt64?
  }

  private struct State {
    var readings: [RoomID: Reading] = [:]
    /// The logs' ends as of the last round, so that a room at rest wakes nobody.
    var lasts: [RoomID: UInt64] = [:]
    var welcomes: [DeviceID: UInt64] = [:]
    var isLooking = false
    var isAsked = false
  }

  /// Entries and bytes of one read.
  private static let page = (entries: 500, bytes: 1 << 20)
  /// Places asked for in one statement.
  static let batch = 512

  private let store: any RelayStore
  private let local: LocalBus
  private let log: Log
  private let rounds: Histogram
  private let found: Counter
  private let state = Mutex(State())
  private let posts = Mutex<[any Lookouts]>([])
  private let timer = Mutex<EventLoop.Timer?>(nil)

  init(store: any RelayStore, local: LocalBus, metrics: Metrics, log: Log) {
    (self.store, self.local, self.log) = (store, local, log)
    rounds = metrics.histogram(
      "kin_lookout_round_seconds", help: "Time to look for what other nodes did.",
      .microseconds([1000, 5000, 20_000, 100_000, 500_000, 2_000_000]))
    found = metrics.counter("kin_lookout_entries_total", help: "Entries of other nodes that were read for this one.")
  }

  /// Begins to look at what these serve.
  func start(_ posts: [any Lookouts], every interval: Duration, on loop: EventLoop) {
    self.posts.withLock { $0 = posts }
    timer.withLock { $0 = loop.schedule(every: interval) { [weak self] in self?.look() } }
  }

  func stop() {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
    posts.withLock { $0 = [] }
  }

  func hear(_ wakes: [Wake]) {
    for wake in wakes {
      switch wake {
      case .doubted(let doubt): Task { await check(doubt) }
      case .everything: look()
      case .stored, .grown, .look, .sessionEnded, .devicesGone: break
      case .tell, .changed, .rumoured, .asks, .asked: break
      }
    }
  }

  // MARK: Entries

  /// Reads a room's entries after `sequence` and tells this node's listeners of them. Calls while a read is under way share the
  /// next one.
  func fetch(_ room: RoomID, after sequence: UInt64) {
    let isFirst = state.withLock { state in
      guard let reading = state.readings[room] else {
        state.readings[room] = Reading(start: sequence)
        return true
      }
      // Whoever asks for what is being read may ask because there is more by now.
      state.readings[room]?.again = min(reading.again ?? .max, sequence)
      return false
    }
    if isFirst { Task { await read(room, after: sequence) } }
  }

  private func read(_ room: RoomID, after sequence: UInt64) async {
    var after = sequence
    while true {
      do throws(RelayError) {
        let entries = try await store.feed(
          of: room, after: after, limit: Self.page.entries, bytes: Self.page.bytes)
        if let last = entries.last?.entry.sequence {
          after = last
          found.add(UInt64(entries.count))
          local.publish(entries.map { .stored(StoredEntry($0.entry, removed: $0.removed)) })
          continue
        }
      } catch {
        // Followers ask again for as long as they miss something.
        log.debug("a room cannot be read", ["status": error.code.status])
      }
      let next: UInt64? = state.withLock { state in
        guard let reading = state.readings[room], let again = reading.again else {
          state.readings[room] = nil
          return nil
        }
        // From before what was read only if somebody needs that.
        let start = again < reading.start ? again : after
        state.readings[room] = Reading(start: start)
        return start
      }
      guard let next else { return }
      after = next
    }
  }

  // MARK: Rounds

  /// Looks at all that is served; once more if it is asked meanwhile.
  func look() {
    let isFirst = state.withLock { state in
      state.isAsked = true
      guard !state.isLooking else { return false }
      state.isLooking = true
      return true
    }
    guard isFirst else { return }
    Task {
      while state.withLock({ state in
        state.isLooking = state.isAsked
        state.isAsked = false
        return state.isLooking
      }) {
        let start = ContinuousClock.now
        await round()
        rounds.record(start.duration(to: .now))
      }
    }
  }

  private func served() async -> Served {
    var all = Served()
    for post in posts.withLock({ $0 }) { all.formUnion(await post.served()) }
    return all
  }

  private func round() async {
    let served = await served()
    do throws(RelayError) {
      try await lookAtRooms(served.rooms)
      try await lookAtWelcomes(Set(served.sessions.values))
      try await lookAtSessions(Array(served.sessions.keys))
    } catch {
      // The next round comes by itself.
      log.debug("the store cannot be looked at", ["status": error.code.status])
    }
  }

  private func lookAtRooms(_ rooms: Set<RoomID>) async throws(RelayError) {
    var lasts: [RoomID: UInt64] = [:]
    for batch in Array(rooms).chunks(of: Self.batch) {
      lasts.merge(try await store.ends(of: batch)) { first, _ in first }
    }
    let grown = state.withLock { state in
      // A room that is new here may have grown since its followers read it.
      let grown = lasts.filter { state.lasts[$0.key] != $0.value }
      state.lasts = lasts
      return grown
    }
    if !grown.isEmpty { local.publish(grown.map { .grown($0.key, last: $0.value) }) }
  }

  private func lookAtWelcomes(_ devices: Set<DeviceID>) async throws(RelayError) {
    var newest: [DeviceID: UInt64] = [:]
    for batch in Array(devices).chunks(of: Self.batch) {
      newest.merge(try await store.newestWelcomes(for: batch)) { first, _ in first }
    }
    let waiting = state.withLock { state in
      let waiting = newest.filter { state.welcomes[$0.key] != $0.value }.map(\.key)
      state.welcomes = newest
      return waiting
    }
    if !waiting.isEmpty { local.publish([.look(.welcomes, waiting)]) }
  }

  private func lookAtSessions(_ sessions: [UInt64]) async throws(RelayError) {
    for batch in sessions.chunks(of: Self.batch) {
      let live = try await store.liveSessions(among: batch)
      let ended = batch.filter { !live.contains($0) }
      if !ended.isEmpty { local.publish(ended.map { .sessionEnded($0) }) }
    }
  }

  private func check(_ doubt: Doubt) async {
    let served = await served()
    let doubted = served.sessions.filter { doubt.sessions.contains($0.key) || doubt.devices.contains($0.value) }
    // If the store does not answer, the next round asks again.
    try? await lookAtSessions(Array(doubted.keys))
  }
}

extension Array {
  fileprivate func chunks(of count: Int) -> [[Element]] {
    stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
  }
}
