public import RelayProtocol

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

/// A code of six characters by which others can ask to come into a room.
public struct RoomCode: Sendable, Hashable {
  public var code: String
  public var expires: Moment
  /// How many more may ask by it.
  public var uses: Int

  public init(code: String, expires: Moment, uses: Int) { (self.code, self.expires, self.uses) = (code, expires, uses) }
}

/// A room that its owner shows to everybody. Name and topic are the owner's words: make them harmless before showing them.
public struct PublicRoom: Sendable, Hashable, Identifiable {
  public var id: RoomID
  public var name: String
  public var topic: String
  public var memberCount: Int
  public var joinPolicy: JoinPolicy

  public init(id: RoomID, name: String, topic: String, memberCount: Int, joinPolicy: JoinPolicy) {
    (self.id, self.name, self.topic, self.memberCount, self.joinPolicy) = (id, name, topic, memberCount, joinPolicy)
  }
}

/// A page of the relay's directory.
public struct PublicRooms: Sendable, Hashable {
  public var rooms: [PublicRoom]
  /// Where the next page begins, if there is one.
  public var next: String?

  public init(rooms: [PublicRoom], next: String?) { (self.rooms, self.next) = (rooms, next) }
}

/// How a room stands.
public struct RoomStatus: Sendable, Hashable, Identifiable {
  public var id: RoomID
  public var name: String
  public var health: RoomHealth
  /// This account's.
  public var role: Role
  public var settings: RoomSettings
  /// Whether it is a room of two.
  public var isDirect: Bool
  public var members: Int
  public var devices: Int
  /// How many members show that they are there, this one included.
  public var online: Int
  /// The MLS epoch and the last entry of the log, here and at the relay.
  public var epoch: UInt64
  public var sequence: UInt64
  public var relayEpoch: UInt64?
  public var relaySequence: UInt64?

  public init(
    id: RoomID, name: String, health: RoomHealth, role: Role, settings: RoomSettings, isDirect: Bool, members: Int,
    devices: Int, online: Int, epoch: UInt64, sequence: UInt64, relayEpoch: UInt64?, relaySequence: UInt64?
  ) {
    (self.id, self.name, self.health, self.role, self.settings) = (id, name, health, role, settings)
    (self.isDirect, self.members, self.devices, self.online) = (isDirect, members, devices, online)
    (self.epoch, self.sequence, self.relayEpoch, self.relaySequence) = (epoch, sequence, relayEpoch, relaySequence)
  }
}

extension RoomCode {
  init(_ response: CodeResponse) {
    self.init(
      code: response.code, expires: Moment(millisecondsSince1970: response.expires), uses: Int(response.uses))
  }
}
