import RelayProtocol

/// Who has connections to this node, and what the others are to hear of it and when. Decided purely: events in, actions
/// out. ``PresenceKeeper`` obeys.
struct PresenceBoard {
  enum Event {
    case arrived(UserID)
    case left(UserID)
    /// The user shows something else.
    case changed(UserID)
    case tick
  }

  enum Action: Equatable {
    /// Take leases, or renew them, until that time.
    case renew([UserID], until: UInt64)
    /// Give leases back, and note that they were seen now.
    case end([UserID])
    /// Tell those who may know how this user stands.
    case announce(UserID)
  }

  /// How long a lease lasts that nobody renews.
  static let lease: UInt64 = 60_000
  static let heartbeat: UInt64 = 20_000
  /// A client that connects again within this time was never away.
  static let grace: UInt64 = 10_000
  /// The least time between two announcements of one user.
  static let pause: UInt64 = 2000

  private struct Entry {
    var connections = 0
    var leavesAt: UInt64?
    var announced: UInt64?
    var waits = false
  }

  private var entries: [UserID: Entry] = [:]
  private var renewed: UInt64 = 0

  mutating func handle(_ event: Event, now: UInt64) -> [Action] {
    switch event {
    case .arrived(let user):
      let isNew = entries[user] == nil
      entries[user, default: Entry()].connections += 1
      entries[user]?.leavesAt = nil
      guard isNew else { return [] }
      return [.renew([user], until: now + Self.lease)] + announce(user, now)
    case .left(let user):
      guard let entry = entries[user] else { return [] }
      entries[user]?.connections = max(0, entry.connections - 1)
      if entry.connections <= 1 { entries[user]?.leavesAt = now + Self.grace }
      return []
    case .changed(let user): return announce(user, now)
    case .tick: return tick(now)
    }
  }

  private mutating func announce(_ user: UserID, _ now: UInt64) -> [Action] {
    // Who is not here may still have turned its last seen on or off.
    guard let entry = entries[user] else { return [.announce(user)] }
    if let announced = entry.announced, announced + Self.pause > now {
      entries[user]?.waits = true
      return []
    }
    entries[user]?.announced = now
    return [.announce(user)]
  }

  private mutating func tick(_ now: UInt64) -> [Action] {
    var actions: [Action] = []
    var gone: [UserID] = []
    for (user, entry) in entries {
      if let leavesAt = entry.leavesAt, leavesAt <= now {
        gone.append(user)
      } else if entry.waits, (entry.announced ?? 0) + Self.pause <= now {
        entries[user]?.waits = false
        entries[user]?.announced = now
        actions.append(.announce(user))
      }
    }
    if !gone.isEmpty {
      for user in gone { entries[user] = nil }
      actions.append(.end(gone))
      actions += gone.map { .announce($0) }
    }
    if renewed + Self.heartbeat <= now {
      renewed = now
      if !entries.isEmpty { actions.append(.renew(Array(entries.keys), until: now + Self.lease)) }
    }
    return actions
  }
}
