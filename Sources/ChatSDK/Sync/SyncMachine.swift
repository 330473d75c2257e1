import RelayProtocol

/// Decides, for one room, what to do with what the relay shows: takes each entry of the log once, in order, without a gap.
///
/// Pure: what happened goes in, what to do comes out.
struct SyncMachine: Hashable, Sendable {
  /// The last entry that was taken in.
  private(set) var position: StreamPosition
  /// The newest entry that the relay spoke of.
  private(set) var last: UInt64

  enum Action: Hashable, Sendable {
    /// Take these in, in this order, then call ``took(_:)`` for each.
    case process([LogEntry])
    /// Ask the log for what comes after this position.
    case pull(after: StreamPosition)
    /// The log began anew: start from its beginning.
    case restart(StreamPosition)
  }

  init(position: StreamPosition) {
    self.position = position
    last = position.sequence
  }

  /// Whether nothing newer is known of.
  var isCaughtUp: Bool { position.sequence >= last }

  /// Entries came: pushed one by one, or a page of the log.
  mutating func received(_ entries: [LogEntry]) -> [Action] {
    var next = position.sequence
    var taken: [LogEntry] = []
    var hasGap = false
    for entry in entries {
      last = max(last, entry.sequence)
      guard entry.sequence > next else { continue }
      guard entry.sequence == next + 1 else {
        hasGap = true
        break
      }
      taken.append(entry)
      next = entry.sequence
    }
    var actions: [Action] = []
    if !taken.isEmpty { actions.append(.process(taken)) }
    if hasGap { actions.append(.pull(after: StreamPosition(incarnation: position.incarnation, sequence: next))) }
    return actions
  }

  /// The relay said where the log stands: in the answer to a follow, in a list of rooms, or with a page.
  mutating func heard(_ newest: StreamPosition) -> [Action] {
    guard newest.incarnation == position.incarnation else {
      position = StreamPosition(incarnation: newest.incarnation, sequence: 0)
      last = newest.sequence
      return [.restart(position)]
    }
    // Going back within one incarnation is impossible: the relay lies or answers late, and neither changes anything.
    last = max(last, newest.sequence)
    return isCaughtUp ? [] : [.pull(after: position)]
  }

  /// The entry was taken in and is on disk.
  mutating func took(_ sequence: UInt64) {
    guard sequence == position.sequence + 1 else { return }
    position.sequence = sequence
    last = max(last, sequence)
  }
}
