import Networking
import RelayProtocol
import Synchronization

/// Keeps the leases of this node's users and tells others how they stand, and tells this node's clients how those of other nodes
/// stand: one thing at a time, beside everything else.
///
/// What another node says, and what a lease claims, leads to nothing but a look: what is shown of whom to whom is read from the store.
final class PresenceKeeper: BusListener {
  /// Room mates and contacts who are told at once; beyond that, they see it when they look.
  static let audience = 2000
  /// Accounts in one write.
  private static let batch = 200

  private let store: any RelayStore
  private let leases: any PresenceStore
  private let bus: any Bus
  private let now: @Sendable () -> UInt64
  private let board: Mutex<PresenceBoard>
  private let signals: AsyncStream<Void>
  private let input: AsyncStream<Void>.Continuation

  /// - Parameter lease: in milliseconds.
  init(
    store: any RelayStore, leases: any PresenceStore, bus: any Bus, lease: UInt64 = 60_000,
    now: @escaping @Sendable () -> UInt64
  ) {
    (self.store, self.leases, self.bus, self.now) = (store, leases, bus, now)
    board = Mutex(PresenceBoard(lease: lease))
    // The board remembers what is to be done: one signal stands for all of it.
    (signals, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// From any thread.
  func tell(_ event: PresenceBoard.Event) {
    let time = now()
    board.withLock { $0.handle(event, now: time) }
    input.yield()
  }

  func hear(_ wakes: [Wake]) {
    for wake in wakes {
      switch wake {
      case .rumoured(let news): tell(.rumoured(news))
      case .asked: tell(.retell)
      case .everything: tell(.missed)
      case .stored, .look, .sessionEnded, .devicesGone, .grown, .doubted, .tell, .changed, .asks: break
      }
    }
  }

  /// Does what the board says until its task is cancelled.
  func run() async {
    let pause = Duration.milliseconds(board.withLock { min(1000, max(50, $0.times.unit / 2)) })
    let heart = Task {
      while !Task.isCancelled {
        tell(.tick)
        try? await Task.sleep(for: pause)
      }
    }
    defer { heart.cancel() }
    for await _ in signals {
      while !Task.isCancelled {
        let work = board.withLock { $0.take() }
        guard !work.isEmpty else { break }
        await perform(work)
      }
    }
  }

  private func perform(_ work: PresenceBoard.Work) async {
    // Before anybody is told, so that whoever looks then finds it.
    if !work.hold.isEmpty { await leases.hold(work.hold) }
    if !work.release.isEmpty {
      await leases.release(work.release)
      await noteSeen(work.release)
    }
    let news = work.announce.map { PersonNews.presence($0) } + work.profiles.map { .profile($0) }
    if !news.isEmpty { bus.publish([.changed(news)]) }
    if work.asks { bus.publish([.asks]) }
    let profiles = work.profiles + work.rumouredProfiles
    for (index, user) in profiles.enumerated() {
      do throws(RelayError) { try await tell(user) { .profile(user) } } catch {
        tell(.failed(announce: [], look: [], profiles: Array(profiles.dropFirst(index))))
        break
      }
    }
    await announce(work)
    if work.sweeps { await sweep() }
  }

  private func noteSeen(_ users: [UserID]) async {
    let time = minute()
    for start in stride(from: 0, to: users.count, by: Self.batch) {
      // A store that is away now is not waited for again and again: last seen is then as old as it says.
      do { try await store.noteSeen(Array(users[start..<min(start + Self.batch, users.count)]), at: time) } catch {
        return
      }
    }
  }

  private func announce(_ work: PresenceBoard.Work) async {
    let all = work.announce + work.look
    guard !all.isEmpty else { return }
    let connected = await leases.connected(among: all)
    let time = now()
    board.withLock { $0.note(connected, now: time) }
    for (index, user) in all.enumerated() {
      let isRumour = index >= work.announce.count
      do throws(RelayError) {
        try await announce(user, connected, isRumour: isRumour)
      } catch {
        // A store that is away now is asked again, for this one and all behind it.
        tell(
          .failed(
            announce: Array(work.announce.dropFirst(index)),
            look: Array(work.look.dropFirst(max(0, index - work.announce.count)))))
        return
      }
    }
  }

  private func announce(_ user: UserID, _ connected: Connected, isRumour: Bool) async throws(RelayError) {
    let time = now()
    // Nobody is said to be gone because Redis is, or was: what is true then, a sweep finds.
    if isRumour, !connected.users.contains(user), board.withLock({ !$0.believes(connected, now: time) }) { return }
    guard let account = try await store.account(id: user) else { return }
    let presence = presence(of: account, isConnected: connected.users.contains(user))
    guard board.withLock({ $0.isNews(presence) }) else { return }
    try await tell(user) { .presence(presence) }
  }

  /// Tells those who are connected here and may know.
  private func tell(_ user: UserID, _ frame: () -> RelayFrame) async throws(RelayError) {
    let audience = try await store.audience(of: user, limit: Self.audience)
    if !audience.isEmpty { bus.publish([.tell(frame(), audience)]) }
  }

  /// How an account stands, for those who may see it.
  private func presence(of account: AccountRecord, isConnected: Bool) -> PresenceNews {
    guard account.showsPresence, account.state == .active else {
      return PresenceNews(user: account.id, status: .offline, lastSeen: 0)
    }
    return PresenceNews(
      user: account.id, status: isConnected ? account.presence : .offline, lastSeen: account.lastSeen)
  }

  private func sweep() async {
    let remote = board.withLock { $0.remote }
    guard !remote.isEmpty else { return }
    let connected = await leases.connected(among: remote)
    let time = now()
    board.withLock { $0.sweep(remote, connected, now: time) }
    input.yield()
  }

  /// What `viewer` may see of these users.
  func presence(of users: [UserID], for viewer: UserID) async throws(RelayError) -> [PresenceNews] {
    let records = try await store.presence(of: users, for: viewer)
    let connected = await leases.connected(among: records.map(\.user))
    let news = records.map { record in
      PresenceNews(
        user: record.user, status: connected.users.contains(record.user) ? record.status : .offline,
        lastSeen: record.lastSeen)
    }
    board.withLock { $0.show(news) }
    return news
  }

  /// To the minute: finer tells more than anybody needs.
  private func minute() -> UInt64 { now() / 60_000 * 60_000 }
}
