import RelayProtocol

/// Brings one room's entries to its followers on one loop: in order, without gap or duplicate.
///
/// A follower *joins* first: the store is read from its cursor on, and what is stored meanwhile is kept for it. When the
/// read is done, what was kept and is newer follows, and the follower is *live* (or *catching up*, when the read saw
/// more than has come through here yet).
struct RoomFeed {
  typealias Connection = HubMachine.Connection

  /// What one call leads to.
  enum Output {
    case broadcast([StoredEntry], to: [Connection])
    case push([StoredEntry], to: Connection)
  }

  private struct Joining {
    let user: UserID
    /// Where in what is kept its own begins.
    let since: Int
    /// How far it is up to date, once the read is done.
    var reached: UInt64?
  }

  /// The sequence that is broadcast next; unknown until the first follower has joined.
  private(set) var next: UInt64?
  /// Entries that came before those that precede them.
  private var early: [UInt64: StoredEntry] = [:]
  private(set) var earlyBytes = 0
  private(set) var live: [Connection] = []
  /// What the live ones are to be sent next, in one piece: see ``flush(into:)``.
  private var run: [StoredEntry] = []
  private var users: [Connection: UserID] = [:]
  private var joining: [Connection: Joining] = [:]
  /// Those of them whose read is not done.
  private var readers = 0
  /// What came since the first of these joined, once for all of them, and how much came before it.
  private var kept: [StoredEntry] = []
  private var keptBytes = 0
  private var keptFrom = 0
  /// When the gap before the early ones was noticed.
  private(set) var gapSince: UInt64?

  /// How far the log is known to go, and how far it was asked for.
  private var known: UInt64 = 0
  private var asked: UInt64 = 0

  /// Entries, and bytes of messages, that are kept for joining followers before those that take longest are given up as too slow.
  static let maxKept = 20_000
  static let maxKeptBytes = 32 << 20

  var isEmpty: Bool { live.isEmpty && joining.isEmpty }
  var followers: [Connection] { live + joining.keys }

  /// Begins a join; whatever the connection had of this room before is over.
  mutating func join(_ connection: Connection, user: UserID) {
    leave(connection)
    joining[connection] = Joining(user: user, since: keptFrom + kept.count)
    readers += 1
  }

  mutating func leave(_ connection: Connection) {
    if let join = joining.removeValue(forKey: connection), join.reached == nil { endRead() }
    if users.removeValue(forKey: connection) != nil { live.removeAll { $0 == connection } }
  }

  /// Takes in an entry, in any order. What it leads to for the live followers waits for ``flush(into:)``.
  ///
  /// Returns the followers for whom too much would have to be kept.
  mutating func add(_ stored: StoredEntry, now: UInt64, into output: inout [Output]) -> [Connection] {
    let sequence = stored.entry.sequence
    if let next, sequence < next { return [] }
    // Nearly always: the next one, and nobody is joining.
    if sequence == next, joining.isEmpty, early.isEmpty {
      next = sequence + 1
      if !live.isEmpty { run.append(stored) }
      if !stored.removed.isEmpty { remove(stored.removed, into: &output) }
      if gapSince != nil, sequence >= known { gapSince = nil }
      return []
    }
    let overflowing = keep(stored)
    if let twin = early.updateValue(stored, forKey: sequence) { earlyBytes -= twin.entry.message.bytes.count }
    earlyBytes += stored.entry.message.bytes.count
    if gapSince == nil { gapSince = now }
    release(into: &output)
    if early.count > Self.maxKept || earlyBytes > Self.maxKeptBytes {
      // They are on disk: once the gap has lasted, they are read from there.
      known = max(known, early.keys.max() ?? 0)
      (early, earlyBytes) = ([:], 0)
    }
    return overflowing
  }

  /// Keeps an entry for those whose reads may have begun before it was stored; returns whom that would take too much.
  private mutating func keep(_ stored: StoredEntry) -> [Connection] {
    guard readers > 0 else { return [] }
    kept.append(stored)
    keptBytes += stored.entry.message.bytes.count
    guard kept.count > Self.maxKept || keptBytes > Self.maxKeptBytes else { return [] }
    let reading = joining.filter { $0.value.reached == nil }
    let unneeded = (reading.values.map(\.since).min() ?? keptFrom) - keptFrom
    keptBytes -= kept.prefix(unneeded).reduce(0) { $0 + $1.entry.message.bytes.count }
    kept.removeFirst(unneeded)
    keptFrom += unneeded
    guard kept.count > Self.maxKept || keptBytes > Self.maxKeptBytes else { return [] }
    return reading.filter { $0.value.since <= keptFrom + kept.count / 2 }.map(\.key)
  }

  private mutating func endRead() {
    readers -= 1
    guard readers == 0 else { return }
    keptFrom += kept.count
    (kept, keptBytes) = ([], 0)
  }

  /// Puts out what the live followers are to be sent.
  mutating func flush(into output: inout [Output]) {
    guard !run.isEmpty else { return }
    if !live.isEmpty { output.append(.broadcast(run, to: live)) }
    run = []
  }

  /// Ends a join: the follower was brought up to `reached` by a read of the store.
  ///
  /// Returns `false` if its membership ended meanwhile: it is no follower any more.
  mutating func finish(_ connection: Connection, at sequence: UInt64, into output: inout [Output]) -> Bool {
    guard var join = joining[connection], join.reached == nil else { return true }
    var reached = sequence
    var newer: [StoredEntry] = []
    var isRemoved = false
    let own = kept.dropFirst(max(0, join.since - keptFrom))
    endRead()
    for stored in own.sorted(by: { $0.entry.sequence < $1.entry.sequence }) {
      guard stored.entry.sequence > reached else { continue }
      guard stored.entry.sequence == reached + 1 else { break }
      newer.append(stored)
      reached = stored.entry.sequence
      isRemoved = stored.removed.contains(join.user)
      if isRemoved { break }
    }
    if !newer.isEmpty { output.append(.push(newer, to: connection)) }
    guard !isRemoved else {
      joining[connection] = nil
      return false
    }
    if next == nil {
      next = reached + 1
      early = early.filter { $0.key > reached }
      earlyBytes = early.values.reduce(0) { $0 + $1.entry.message.bytes.count }
    }
    join.reached = reached
    joining[connection] = join
    flush(into: &output)
    promote(connection)
    release(into: &output)
    flush(into: &output)
    return true
  }

  /// Learns that the log has come to `last`. Returns after which entry to read, if something is missing that was not asked for.
  mutating func look(_ last: UInt64, now: UInt64) -> UInt64? {
    known = max(known, last)
    guard let next, next <= known, asked < known else { return nil }
    if gapSince == nil { gapSince = now }
    asked = known
    return next - 1
  }

  /// What was asked for has not come: from where to read it again.
  mutating func lookAgain() -> UInt64? { next.map { $0 - 1 } }

  /// Gives up waiting for entries that do not come: all followers that were up to date so far join anew.
  ///
  /// Returns them with their positions.
  mutating func resynchronise() -> [(connection: Connection, user: UserID, after: UInt64)] {
    let after = next.map { $0 - 1 } ?? 0
    var again = live.compactMap { connection in users[connection].map { (connection, $0, after) } }
    for (connection, join) in joining {
      if let reached = join.reached { again.append((connection, join.user, reached)) }
    }
    for (connection, user, _) in again { join(connection, user: user) }
    // The reads find what is missing, and what came early too.
    run = []
    next = nil
    (early, earlyBytes) = ([:], 0)
    gapSince = nil
    (known, asked) = (0, 0)
    return again
  }

  private mutating func promote(_ connection: Connection) {
    guard let next, let join = joining[connection], let reached = join.reached, reached < next else { return }
    joining[connection] = nil
    users[connection] = join.user
    live.append(connection)
  }

  private mutating func release(into output: inout [Output]) {
    guard let start = next else { return }
    var sequence = start
    while let stored = early.removeValue(forKey: sequence) {
      earlyBytes -= stored.entry.message.bytes.count
      if !live.isEmpty { run.append(stored) }
      for (connection, join) in joining {
        // Its read has delivered this one already; from the next on it is live.
        if let reached = join.reached, sequence >= reached { follow(connection, join, reached, stored, &output) }
      }
      if !stored.removed.isEmpty { remove(stored.removed, into: &output) }
      sequence += 1
      next = sequence
    }
    if early.isEmpty, sequence > known { gapSince = nil }
  }

  private mutating func follow(
    _ connection: Connection, _ join: Joining, _ reached: UInt64, _ stored: StoredEntry, _ output: inout [Output]
  ) {
    // Those that were live before get this one from the run, and must have it before their number grows.
    flush(into: &output)
    if stored.entry.sequence > reached { output.append(.push([stored], to: connection)) }
    joining[connection] = nil
    users[connection] = join.user
    live.append(connection)
  }

  private mutating func remove(_ gone: [UserID], into output: inout [Output]) {
    // The entry that ends a membership is the last that its member is sent.
    flush(into: &output)
    for connection in live where users[connection].map({ gone.contains($0) }) ?? false { leave(connection) }
    for (connection, join) in joining where join.reached != nil && gone.contains(join.user) {
      joining[connection] = nil
    }
  }
}
