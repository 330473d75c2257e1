/// Where a client stands in a room's log: a sequence number, and which incarnation of the log it counts in.
///
/// A relay restored from an old backup starts a new incarnation, so that "caught up" and "history was lost" can never
/// be confused: a position of another incarnation is answered with ``RelayCode/incarnationChanged``.
public struct StreamPosition: Hashable, Sendable, Codable {
  /// Drawn at random when the relay's store was made or restored.
  public var incarnation: UInt64
  /// The last entry seen; entries count 1, 2, 3 … without gaps, and 0 means none.
  public var sequence: UInt64

  public init(incarnation: UInt64, sequence: UInt64) {
    self.incarnation = incarnation
    self.sequence = sequence
  }
}

/// What kind of MLS message an entry of the log carries: all that the relay needs to tell apart.
public enum EntryKind: UInt8, Sendable, Codable, CaseIterable {
  /// An application message; it leaves the epoch as it was.
  case application = 1
  /// A commit; it was accepted by compare-and-set and ended the epoch that it names.
  case commit = 2
  /// A proposal, standing until a commit includes it or ends the epoch.
  case proposal = 3
  /// An application message that is not kept any more: `message` is its SHA-256, so that the order stays provable.
  /// Relays make these of what they stored; nobody sends them.
  case erased = 4

  /// Whether clients may send it by itself: a commit has a route of its own.
  public var isSent: Bool { self == .application || self == .proposal }
}

/// One entry of a room's log, as the relay stores and broadcasts it. The sender is known only from inside `message`.
public struct LogEntry: Hashable, Sendable, Codable {
  public var room: RoomID
  public var sequence: UInt64
  public var kind: EntryKind
  /// The epoch in which `message` was sealed.
  public var epoch: UInt64
  /// The relay's clock when it stored the entry, in milliseconds since 1970.
  public var time: UInt64
  /// An MLSMessage (RFC 9420 section 6) that is a PrivateMessage, or what ``EntryKind/erased`` left of one.
  public var message: Base64URL

  public init(room: RoomID, sequence: UInt64, kind: EntryKind, epoch: UInt64, time: UInt64, message: [UInt8]) {
    self.room = room
    self.sequence = sequence
    self.kind = kind
    self.epoch = epoch
    self.time = time
    self.message = Base64URL(message)
  }
}
