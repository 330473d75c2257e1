/// How somebody who is not invited comes into a room.
public enum JoinPolicy: String, Sendable, Hashable, CaseIterable {
  /// Not at all: neither by code nor by link.
  case closed
  /// By a link at once, or by asking an admin.
  case ask
  /// Whoever asks is let in, and every member may invite.
  case open
}

/// What new members may read of the time before them.
public enum HistoryPolicy: Sendable, Hashable {
  case none
  case days(UInt32)
  case all
}

/// What a room's members agree on, beside who they are. The relay sees the join policy and how long to keep entries, and
/// nothing else of it.
public struct RoomSettings: Sendable, Hashable {
  public var name: String
  public var topic: String
  /// Where a picture is found, or empty.
  public var avatar: String
  public var joinPolicy: JoinPolicy
  /// How many seconds messages are kept; 0 for ever.
  public var retention: UInt64
  /// After how many seconds messages disappear from every device; 0 for never.
  public var disappearing: UInt64
  public var history: HistoryPolicy

  public init(
    name: String, topic: String = "", avatar: String = "", joinPolicy: JoinPolicy = .closed, retention: UInt64 = 0,
    disappearing: UInt64 = 0, history: HistoryPolicy = .none
  ) {
    (self.name, self.topic, self.avatar, self.joinPolicy) = (name, topic, avatar, joinPolicy)
    (self.retention, self.disappearing, self.history) = (retention, disappearing, history)
  }
}

/// A setting by name, as it stands in events.
public enum RoomSetting: String, Sendable, Hashable, CaseIterable {
  case name, topic, avatar
  case joinPolicy = "join_policy"
  case retention, disappearing, history
  /// Invite links were made or revoked.
  case invites
}

/// An invite link of a room, as its members know it. They cannot make the link of it: its secret is with whoever made it.
public struct Invite: Sendable, Hashable, Identifiable {
  public var id: String
  public var madeBy: Person
  /// When it ends, or `nil`.
  public var expires: Moment?
  /// How many people may join by it, or `nil`.
  public var uses: Int?
  /// How many members came by it.
  public var used: Int

  public init(id: String, madeBy: Person, expires: Moment?, uses: Int?, used: Int) {
    (self.id, self.madeBy, self.expires, self.uses, self.used) = (id, madeBy, expires, uses, used)
  }
}
