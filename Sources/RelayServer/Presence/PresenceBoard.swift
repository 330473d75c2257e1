import RelayProtocol

/// Who has connections to this node, what the others are to hear of it and when, and what this node's clients were told of whom.
/// Decided purely: events in, work out. ``PresenceKeeper`` does the work.
struct PresenceBoard {
  enum Event {
    case arrived(UserID)
    case left(UserID)
    /// The user shows something else.
    case changed(UserID)
    /// Another node says that something may have changed.
    case rumoured([PersonNews])
    /// What others see of the user besides its presence is another.
    case profile(UserID)
    /// What this node said may have been lost: it says it all again.
    case retell
    /// What others said may have been lost.
    case missed
    /// The work could not be done now.
    case failed(announce: [UserID], look: [UserID], profiles: [UserID] = [])
    case tick
  }

  /// What is to be done, in this order.
  struct Work: Equatable {
    /// Leases to take, or to see to that they are there.
    var hold: [UserID] = []
    /// Leases to give back, of people who were seen until now.
    var release: [UserID] = []
    /// Tell other nodes and those who may know how these stand.
    var announce: [UserID] = []
    /// Tell those who may know and are connected here.
    var look: [UserID] = []
    /// The same, of profiles.
    var profiles: [UserID] = []
    var rumouredProfiles: [UserID] = []
    /// Ask the other nodes to tell all again.
    var asks = false
    /// Find out who of ``PresenceBoard/remote`` is still connected.
    var sweeps = false

    var isEmpty: Bool { self == Work() }
  }

  struct Times: Equatable {
    /// How long people of a node that died are shown at most.
    let lease: UInt64
    /// Leases are renewed and looked at in whole numbers of this.
    var unit: UInt64 { lease / 12 }
    /// What a lease lasts in Redis, so that two sweeps fit in before the time is over.
    var life: UInt64 { 6 * unit }
    var sweep: UInt64 { 2 * unit }
    /// A client that connects again within this time was never away.
    var grace: UInt64 { min(10_000, lease / 6) }
    /// The least time between two announcements of one user.
    var pause: UInt64 { min(2000, lease / 12) }
  }

  private struct Entry {
    var connections = 0
    var leavesAt: UInt64?
  }

  private struct Pause {
    var announced: UInt64
    var waits = false
  }

  /// How much later than this node the others may be back at Redis, in milliseconds: the longest pause between two tries.
  private static let settling: UInt64 = 2500

  /// People whose state is remembered beside those who are connected here.
  static let capacity = 100_000

  let times: Times
  private var entries: [UserID: Entry] = [:]
  private var pauses: [UserID: Pause] = [:]
  /// The leases to change, and whether they are to be held.
  private var leases: [UserID: Bool] = [:]
  private var announces: Set<UserID> = []
  private var looks: Set<UserID> = []
  private var profiles: Set<UserID> = []
  private var rumouredProfiles: Set<UserID> = []
  private var failed: (announce: Set<UserID>, look: Set<UserID>, profiles: Set<UserID>) = ([], [], [])
  private var isMissing = false
  private var isSweeping = false

  /// How this node's clients were told that people stand who are not offline.
  private var told: [UserID: PresenceStatus] = [:]
  /// Other people of whom somebody was shown that they are connected.
  private var seen: Set<UserID> = []
  /// Those of both who had no lease at the last sweep.
  private var lost: Set<UserID> = []
  /// Until when leases may be missing because their nodes are not back at Redis.
  private var settlesAt: UInt64 = 0
  private var swept: UInt64 = 0
  private var blindSince: UInt64?

  private var retelling: [UserID] = []
  private var retellStep = 0
  private var retold: UInt64?
  private var isToRetell = false

  init(lease: UInt64 = 60_000) { times = Times(lease: lease) }

  mutating func handle(_ event: Event, now: UInt64) {
    switch event {
    case .arrived(let user):
      let isNew = entries[user] == nil
      entries[user, default: Entry()].connections += 1
      entries[user]?.leavesAt = nil
      guard isNew else { return }
      leases[user] = true
      announce(user, now)
    case .left(let user):
      guard let entry = entries[user] else { return }
      entries[user]?.connections = max(0, entry.connections - 1)
      if entry.connections <= 1 { entries[user]?.leavesAt = now + times.grace }
    // Who is not here may have turned its last seen on or off.
    case .changed(let user): announce(user, now)
    case .rumoured(let news): take(news)
    case .profile(let user): profiles.insert(user)
    case .retell: isToRetell = true
    case .missed:
      (lost, settlesAt) = ([], now + Self.settling)
      // Where nobody is connected nobody was told anything that could be wrong. Others may have asked this node in vain.
      if !entries.isEmpty { (isMissing, isToRetell) = (true, true) }
    case .failed(let announce, let look, let profiles):
      // At the next tick: a store that is away is not asked without end.
      if failed.announce.count < Self.capacity { failed.announce.formUnion(announce) }
      if failed.look.count < Self.capacity { failed.look.formUnion(look) }
      if failed.profiles.count < Self.capacity { failed.profiles.formUnion(profiles) }
      for user in announce + look { forget(user) }
    case .tick: tick(now)
    }
  }

  /// Hands out what is to be done now; of announcements and looks some, so that leases do not wait for them.
  mutating func take(atMost count: Int = 200) -> Work {
    var work = Work()
    for (user, isHeld) in leases {
      if isHeld { work.hold.append(user) } else { work.release.append(user) }
    }
    looks.subtract(announces)
    work.announce = announces.take(count)
    // Whoever hears of them looks: their leases must stand then, also if Redis has just lost what it knew.
    for user in work.announce where leases[user] == nil && entries[user] != nil { work.hold.append(user) }
    work.look = looks.take(count)
    (work.profiles, work.rumouredProfiles) = (profiles.take(count), rumouredProfiles.take(count))
    (work.asks, work.sweeps) = (isMissing, isSweeping)
    (isMissing, isSweeping) = (false, false)
    leases = [:]
    return work
  }

  private mutating func announce(_ user: UserID, _ now: UInt64) {
    if let pause = pauses[user], pause.announced + times.pause > now {
      pauses[user]?.waits = true
      return
    }
    pauses[user] = Pause(announced: now)
    announces.insert(user)
  }

  private mutating func take(_ news: [PersonNews]) {
    guard !entries.isEmpty else { return }
    for item in news where looks.count < Self.capacity && rumouredProfiles.count < Self.capacity {
      switch item {
      case .presence(let user): looks.insert(user)
      case .profile(let user): rumouredProfiles.insert(user)
      }
    }
  }

  // MARK: Time

  private mutating func tick(_ now: UInt64) {
    for (user, entry) in entries {
      guard let leavesAt = entry.leavesAt, leavesAt <= now else { continue }
      entries[user] = nil
      leases[user] = false
      // It waited for the grace: no pause is needed.
      pauses[user] = Pause(announced: now)
      announces.insert(user)
    }
    for (user, pause) in pauses where pause.announced + times.pause <= now {
      if pause.waits {
        pauses[user] = Pause(announced: now)
        announces.insert(user)
      } else {
        pauses[user] = nil
      }
    }
    announces.formUnion(failed.announce)
    looks.formUnion(failed.look)
    rumouredProfiles.formUnion(failed.profiles)
    failed = ([], [], [])
    retell(now)
    if swept + times.sweep <= now {
      swept = now
      isSweeping = !told.isEmpty || !seen.isEmpty
    }
  }

  /// Says again how this node's people stand, some at each tick, and all at most once a lease.
  private mutating func retell(_ now: UInt64) {
    if isToRetell, retelling.isEmpty, retold.map({ $0 + times.lease <= now || $0 > now }) ?? true {
      (isToRetell, retold) = (false, now)
      retelling = Array(entries.keys)
      retellStep = max(100, retelling.count / 20 + 1)
    }
    for user in retelling.suffix(retellStep) where entries[user] != nil { announces.insert(user) }
    retelling.removeLast(min(retellStep, retelling.count))
  }

  // MARK: What was told

  /// Whether this node's clients have not been told this yet; notes that they are.
  mutating func isNews(_ news: PresenceNews) -> Bool {
    lost.remove(news.user)
    guard news.status != .offline else {
      told[news.user] = nil
      seen.remove(news.user)
      return true
    }
    guard told[news.user] != news.status else { return false }
    if told.count < Self.capacity || told[news.user] != nil { told[news.user] = news.status }
    return true
  }

  /// Somebody asked how people stand, and was shown this.
  mutating func show(_ shown: [PresenceNews]) {
    for news in shown where entries[news.user] == nil {
      if news.status == .offline {
        // Others were told otherwise: what comes next is news, whatever it is.
        forget(news.user)
      } else if told[news.user] == nil, seen.count < Self.capacity {
        seen.insert(news.user)
      }
    }
  }

  private mutating func forget(_ user: UserID) {
    if told.removeValue(forKey: user) != nil { seen.insert(user) }
  }

  /// People of other nodes of whom somebody here believes that they are connected.
  var remote: [UserID] { (Array(told.keys) + seen.filter { told[$0] == nil }).filter { entries[$0] == nil } }

  /// Learns which of ``remote`` are connected. Who is missed twice is gone: a lease that was lost with what Redis knew is
  /// back by then.
  mutating func sweep(_ asked: [UserID], _ connected: Connected, now: UInt64) {
    note(connected, now: now)
    guard connected.isWhole else {
      // What nobody can know any more is not shown any longer.
      if isBlind(now: now) { looks.formUnion(asked) }
      return
    }
    guard !isSettling(now: now) else { return }
    let missing = asked.filter { !connected.users.contains($0) }
    looks.formUnion(missing.filter { lost.contains($0) })
    lost = Set(missing)
  }

  /// Learns whether the other nodes' leases could be asked for.
  mutating func note(_ connected: Connected, now: UInt64) {
    blindSince = connected.isWhole ? nil : blindSince ?? now
  }

  /// Whether who has no lease there may be said to be gone.
  func believes(_ connected: Connected, now: UInt64) -> Bool {
    connected.isWhole ? !isSettling(now: now) : isBlind(now: now)
  }

  /// A clock that was set back settles at once.
  private func isSettling(now: UInt64) -> Bool { settlesAt > now && settlesAt <= now + Self.settling }

  /// Whether they could not be for so long that all of them have run out.
  func isBlind(now: UInt64) -> Bool { blindSince.map { $0 + times.lease <= now } ?? false }
}

extension Set {
  fileprivate mutating func take(_ count: Int) -> [Element] {
    var taken: [Element] = []
    while taken.count < count, let element = popFirst() { taken.append(element) }
    return taken
  }
}
