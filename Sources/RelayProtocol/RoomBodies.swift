public struct CreateRoomRequest: Codable, Sendable {
  /// Drawn at random by the client; equal to the MLS group id.
  public var room: RoomID
  /// The other account of a room of two, of which there is one for each pair: if there is one already, the answer is that.
  public var direct: UserID?
  /// `closed` if absent.
  public var joinRule: JoinRule?

  public init(room: RoomID, direct: UserID? = nil, joinRule: JoinRule? = nil) {
    (self.room, self.direct, self.joinRule) = (room, direct, joinRule)
  }
}

public struct RoomResponse: Codable, Sendable, Hashable {
  public var room: RoomID
  /// The room's MLS epoch, which the next commit must name.
  public var epoch: UInt64
  /// The newest entry of the log.
  public var position: StreamPosition
  public var members: Int
  /// The caller's own, as the relay has it.
  public var role: MemberRole?
  public var joinRule: JoinRule?

  public init(
    room: RoomID, epoch: UInt64, position: StreamPosition, members: Int, role: MemberRole? = nil,
    joinRule: JoinRule? = nil
  ) {
    (self.room, self.epoch, self.position, self.members) = (room, epoch, position, members)
    (self.role, self.joinRule) = (role, joinRule)
  }
}

public struct RoomsResponse: Codable, Sendable {
  /// A room that its owner deleted while the caller was a member.
  public struct Deleted: Codable, Sendable, Hashable {
    public var room: RoomID
    /// As in ``DeleteRoomRequest``.
    public var proof: Base64URL

    public init(room: RoomID, proof: [UInt8]) { (self.room, self.proof) = (room, Base64URL(proof)) }
  }

  public var rooms: [RoomResponse]
  public var deleted: [Deleted]?

  public init(rooms: [RoomResponse], deleted: [Deleted]? = nil) { (self.rooms, self.deleted) = (rooms, deleted) }
}

public struct MembersResponse: Codable, Sendable {
  public struct Member: Codable, Sendable, Hashable {
    public var user: UserID
    public var username: String
    public var role: MemberRole?

    public init(user: UserID, username: String, role: MemberRole? = nil) {
      (self.user, self.username, self.role) = (user, username, role)
    }
  }

  public var members: [Member]

  public init(members: [Member]) { self.members = members }
}

public struct SendRequest: Codable, Sendable, Hashable {
  public var sendID: SendID
  /// `application` or `proposal`; a commit has its own route.
  public var kind: EntryKind
  public var epoch: UInt64
  public var message: Base64URL

  public init(sendID: SendID, kind: EntryKind = .application, epoch: UInt64, message: [UInt8]) {
    (self.sendID, self.kind, self.epoch, self.message) = (sendID, kind, epoch, Base64URL(message))
  }
}

/// Where the relay put an entry. It is on disk when the client reads this.
public struct SendResponse: Codable, Sendable, Hashable {
  public var position: StreamPosition
  /// Milliseconds since 1970 by the relay's clock.
  public var time: UInt64

  public init(position: StreamPosition, time: UInt64) { (self.position, self.time) = (position, time) }
}

/// A commit and all that goes with it, applied in one transaction or not at all.
public struct CommitRequest: Codable, Sendable {
  public var sendID: SendID
  /// The epoch that this commit ends; anything but the room's present epoch is `epoch_conflict`.
  public var epoch: UInt64
  public var message: Base64URL
  /// One Welcome, shared by all devices that join by this commit (RFC 9420 section 12.4.3.1).
  public var welcome: Base64URL?
  /// Who the Welcome is for.
  public var recipients: [DeviceID]
  /// Accounts that become members.
  public var added: [UserID]
  /// Accounts that cease to be members.
  public var removed: [UserID]
  /// What else the relay has to know of it.
  public var changes: RoomChanges?
  /// The encrypted group info of the epoch that begins, for links and for those who come back; the one before is erased.
  public var groupInfo: Base64URL?
  /// The sequence of the commit that ended this same epoch and that members refuse: this one takes its place.
  public var instead: UInt64?

  public init(
    sendID: SendID, epoch: UInt64, message: [UInt8], welcome: [UInt8]?, recipients: [DeviceID], added: [UserID],
    removed: [UserID], changes: RoomChanges? = nil, groupInfo: [UInt8]? = nil, instead: UInt64? = nil
  ) {
    (self.sendID, self.epoch, self.message) = (sendID, epoch, Base64URL(message))
    self.welcome = welcome.map { Base64URL($0) }
    (self.recipients, self.added, self.removed) = (recipients, added, removed)
    (self.changes, self.groupInfo, self.instead) = (changes, groupInfo.map { Base64URL($0) }, instead)
  }
}

public struct LeaveRequest: Codable, Sendable {
  public var sendID: SendID
  public var epoch: UInt64
  /// A Remove proposal for the caller's own leaf, which the next committer includes.
  public var proposal: Base64URL

  public init(sendID: SendID, epoch: UInt64, proposal: [UInt8]) {
    (self.sendID, self.epoch, self.proposal) = (sendID, epoch, Base64URL(proposal))
  }
}

public struct LogResponse: Codable, Sendable {
  /// In sequence order, without gaps.
  public var entries: [LogEntry]
  /// The newest entry of the log, whether or not this page reaches it.
  public var last: StreamPosition
  public var epoch: UInt64

  public init(entries: [LogEntry], last: StreamPosition, epoch: UInt64) {
    (self.entries, self.last, self.epoch) = (entries, last, epoch)
  }
}

public struct WelcomesResponse: Codable, Sendable {
  public struct Waiting: Codable, Sendable {
    public var id: UInt64
    public var room: RoomID
    /// The log's position of the commit that made this Welcome: the joiner's cursor.
    public var position: StreamPosition
    public var welcome: Base64URL

    public init(id: UInt64, room: RoomID, position: StreamPosition, welcome: [UInt8]) {
      (self.id, self.room, self.position, self.welcome) = (id, room, position, Base64URL(welcome))
    }
  }

  public var welcomes: [Waiting]

  public init(welcomes: [Waiting]) { self.welcomes = welcomes }
}

/// A client's place in one room.
public struct RoomCursor: Codable, Sendable, Hashable {
  public var room: RoomID
  public var position: StreamPosition

  public init(room: RoomID, position: StreamPosition) { (self.room, self.position) = (room, position) }
}

public struct PollRequest: Codable, Sendable {
  public var cursors: [RoomCursor]
  /// Seconds to wait for news, at most ``Limits/longPollSeconds``.
  public var wait: Double
  /// ``PollResponse/requests`` as last seen.
  public var requests: UInt64?

  public init(cursors: [RoomCursor], wait: Double, requests: UInt64? = nil) {
    (self.cursors, self.wait, self.requests) = (cursors, wait, requests)
  }
}

/// What a long poll saw: where to look, never the content, so that the log stays the one path of delivery.
public struct PollResponse: Codable, Sendable {
  /// The rooms whose log is ahead of the cursor, or of another incarnation.
  public var ahead: [RoomResponse]
  /// Rooms among the cursors of which the caller is not a member (any more).
  public var gone: [RoomID]
  /// How many Welcomes wait for this device.
  public var welcomes: Int
  /// Grows with every request to come into a room that the caller may answer.
  public var requests: UInt64?

  public init(ahead: [RoomResponse], gone: [RoomID], welcomes: Int, requests: UInt64? = nil) {
    (self.ahead, self.gone, self.welcomes, self.requests) = (ahead, gone, welcomes, requests)
  }
}
