import Networking
import RelayProtocol
import Synchronization

/// Keeps the leases of this node's users and tells others how they stand: one at a time, beside everything else.
final class PresenceKeeper: Sendable {
  /// Room mates and contacts who are told at once; beyond that, they see it when they look.
  static let audience = 2000

  private let store: any RelayStore
  private let leases: any PresenceStore
  private let bus: any Bus
  private let now: @Sendable () -> UInt64
  private let board = Mutex(PresenceBoard())
  private let actions: AsyncStream<PresenceBoard.Action>
  private let input: AsyncStream<PresenceBoard.Action>.Continuation

  init(store: any RelayStore, leases: any PresenceStore, bus: any Bus, now: @escaping @Sendable () -> UInt64) {
    (self.store, self.leases, self.bus, self.now) = (store, leases, bus, now)
    // Of a flood of comings and goings the newest count; a lease that is missed is renewed by the heartbeat.
    (actions, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
  }

  /// From any thread.
  func tell(_ event: PresenceBoard.Event) {
    let time = now()
    for action in board.withLock({ $0.handle(event, now: time) }) { input.yield(action) }
  }

  /// Obeys the board until its task is cancelled.
  func run() async {
    let heart = Task {
      while !Task.isCancelled {
        tell(.tick)
        try? await Task.sleep(for: .seconds(1))
      }
    }
    defer { heart.cancel() }
    for await action in actions {
      // What the store cannot do now is mended by the next change or look: presence is a hint.
      try? await obey(action)
    }
  }

  private func obey(_ action: PresenceBoard.Action) async throws(RelayError) {
    switch action {
    case .renew(let users, let until): await leases.renew(users, until: until)
    case .end(let users):
      await leases.end(users)
      for user in users { try await store.noteSeen(user, at: minute()) }
    case .announce(let user): try await announce(user)
    }
  }

  private func announce(_ user: UserID) async throws(RelayError) {
    guard let account = try await store.account(id: user) else { return }
    let presence = await presence(of: account)
    let audience = try await store.audience(of: user, limit: Self.audience)
    guard !audience.isEmpty else { return }
    bus.publish([.tell(.presence(presence), audience)])
  }

  /// How an account stands, for those who may see it.
  private func presence(of account: AccountRecord) async -> PresenceNews {
    guard account.showsPresence, account.state == .active else {
      return PresenceNews(user: account.id, status: .offline, lastSeen: 0)
    }
    let isConnected = await !leases.connected(among: [account.id], now: now()).isEmpty
    return PresenceNews(
      user: account.id, status: isConnected ? account.presence : .offline, lastSeen: account.lastSeen)
  }

  /// What `viewer` may see of these users.
  func presence(of users: [UserID], for viewer: UserID) async throws(RelayError) -> [PresenceNews] {
    let records = try await store.presence(of: users, for: viewer)
    let connected = await leases.connected(among: records.map(\.user), now: now())
    return records.map { record in
      PresenceNews(
        user: record.user, status: connected.contains(record.user) ? record.status : .offline,
        lastSeen: record.lastSeen)
    }
  }

  /// Tells those who may see it that a profile has changed.
  func profileChanged(_ user: UserID) async throws(RelayError) {
    let audience = try await store.audience(of: user, limit: Self.audience)
    if !audience.isEmpty { bus.publish([.tell(.profile(user), audience)]) }
  }

  /// To the minute: finer tells more than anybody needs.
  private func minute() -> UInt64 { now() / 60_000 * 60_000 }
}
