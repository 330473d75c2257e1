public import RelayProtocol

/// What happened, in the order in which the client stored it: an event is told only after what it tells of is on disk.
///
/// More cases may come: end a `switch` with `default`.
public enum Event: Sendable {
  /// A message has its turn in the room's order, which all members see alike; own ones too.
  case message(Message)
  /// A message of this device is on the relay's disk, at the sequence it now carries; its ``message(_:)`` follows.
  case sent(Message)
  /// This device entered a room.
  case joined(RoomChange)
  case memberAdded(MemberChange)
  /// Somebody came in by an invite link.
  case memberJoined(MemberChange)
  case memberRemoved(MemberChange)
  /// A member asked to leave; the next commit takes its leaves out.
  case memberLeft(MemberChange)
  case memberBanned(MemberChange)
  case memberUnbanned(MemberChange)
  /// A further device of a member came into the room, or one came back.
  case deviceEntered(MemberChange)
  /// A device of a member was taken out; others of it are still in.
  case deviceRemoved(MemberChange)
  case roomRenamed(RoomChange)
  case settingsChanged(SettingsChange)
  case roleChanged(RoleChange)
  /// A room that stood still works again: another commit took the place of the one that was refused, or this device has
  /// come back into it.
  case roomResumed(RoomChange)
  /// Somebody asks to come in, and this account may admit it.
  case joinRequested(JoinRequested)
  /// The owner deleted the room. Its keys and its history are erased here.
  case roomDeleted(RoomChange)
  /// This account was removed: nothing after this can be read.
  case removedFromRoom(RoomChange)
  /// A contact's account key is another than the one pinned.
  case identityChanged(IdentityChange)
  /// A contact, or this account, has a device that was not there before.
  case newDevice(DeviceChange)
  /// Contacts or requests are others than before, whoever changed them.
  case contactsChanged([ContactChange])
  /// A contact or room mate came, went, or shows something else.
  case presence(Presence)
  /// A contact or room mate wants to be called otherwise, or has another avatar.
  case profileChanged(Person)
  /// The relay's word and the group's state differ; the group's state counts.
  case relayMismatch(Finding)
  /// An entry of a room's log could not be read, and why.
  case undecryptable(Finding)
  /// Somebody, the relay or a member, did what honest ones do not; it was refused.
  case refused(Finding)
  case connection(ConnectionState)

  /// The room that the event belongs to.
  public var room: RoomID? {
    switch self {
    case .message(let message), .sent(let message): message.room
    case .joined(let change), .roomRenamed(let change), .removedFromRoom(let change), .roomResumed(let change),
      .roomDeleted(let change):
      change.room
    case .memberAdded(let change), .memberJoined(let change), .memberRemoved(let change), .memberLeft(let change),
      .memberBanned(let change), .memberUnbanned(let change), .deviceEntered(let change), .deviceRemoved(let change):
      change.room
    case .settingsChanged(let change): change.room
    case .roleChanged(let change): change.room
    case .joinRequested(let request): request.room
    case .relayMismatch(let finding), .undecryptable(let finding), .refused(let finding): finding.room
    case .identityChanged, .newDevice, .connection, .contactsChanged, .presence, .profileChanged: nil
    }
  }
}

/// A change of a room as a whole.
public struct RoomChange: Sendable, Hashable {
  public var room: RoomID
  /// The room's name after the change.
  public var name: String
  /// Who did it, where that is known.
  public var by: Person?

  public init(room: RoomID, name: String, by: Person?) { (self.room, self.name, self.by) = (room, name, by) }
}

/// A change of who is in a room.
public struct MemberChange: Sendable, Hashable {
  public var room: RoomID
  public var member: Person
  public var by: Person

  public init(room: RoomID, member: Person, by: Person) { (self.room, self.member, self.by) = (room, member, by) }
}

/// A change of what a room's members agree on.
public struct SettingsChange: Sendable, Hashable {
  public var room: RoomID
  /// As they are after the change.
  public var settings: RoomSettings
  public var changed: Set<RoomSetting>
  public var by: Person

  public init(room: RoomID, settings: RoomSettings, changed: Set<RoomSetting>, by: Person) {
    (self.room, self.settings, self.changed, self.by) = (room, settings, changed, by)
  }
}

public struct RoleChange: Sendable, Hashable {
  public var room: RoomID
  public var member: Person
  /// The role from now on.
  public var role: Role
  public var by: Person

  public init(room: RoomID, member: Person, role: Role, by: Person) {
    (self.room, self.member, self.role, self.by) = (room, member, role, by)
  }
}

/// Somebody asks to come into a room. That is the relay's word, until somebody admits them.
public struct JoinRequested: Sendable, Hashable {
  public var room: RoomID
  public var person: Person
  public var since: Moment
  /// Whether a member's device fell out of step and asks to be added anew.
  public var isReturn: Bool

  public init(room: RoomID, person: Person, since: Moment, isReturn: Bool) {
    (self.room, self.person, self.since, self.isReturn) = (room, person, since, isReturn)
  }
}

public struct IdentityChange: Sendable, Hashable {
  public var person: Person
  /// Whether the person had been verified: then nothing is sent to rooms with them until the new identity is accepted.
  public var wasVerified: Bool

  public init(person: Person, wasVerified: Bool) { (self.person, self.wasVerified) = (person, wasVerified) }
}

public struct DeviceChange: Sendable, Hashable {
  public var person: Person
  public var device: DeviceID
  public var name: String

  public init(person: Person, device: DeviceID, name: String) {
    (self.person, self.device, self.name) = (person, device, name)
  }
}

public enum ConnectionState: String, Sendable, Hashable {
  case offline
  case connecting
  /// News is pushed over a WebSocket.
  case live
  /// News is fetched by long polls, because no WebSocket could be had.
  case polling
  /// There is no session, or none any more: log in.
  case loggedOut = "logged_out"
}

/// Something that was not as it should be, kept for ``ChatClient/diagnose()``.
public struct Finding: Sendable, Hashable {
  /// What was wrong: a stable word.
  public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// An entry of the log is not a message of this group, or is damaged.
    public static let undecryptable = Code(rawValue: "undecryptable")
    /// A message was older than the relay keeps them when this device came to read it.
    public static let erased = Code(rawValue: "erased")
    /// An entry was sealed for keys that were erased: it came twice, or too late.
    public static let replayed = Code(rawValue: "replayed")
    /// A commit did what its sender is not entitled to; the room stands still here.
    public static let forbiddenCommit = Code(rawValue: "forbidden_commit")
    /// A commit could not be applied; the room stands still here.
    public static let invalidCommit = Code(rawValue: "invalid_commit")
    /// A leaf does not prove to be a device of its account.
    public static let invalidLeaf = Code(rawValue: "invalid_leaf")
    /// An account key is another than the one pinned.
    public static let identityChanged = Code(rawValue: "identity_changed")
    /// The relay showed an older device list than before, or two different ones of one number.
    public static let deviceListRolledBack = Code(rawValue: "device_list_rolled_back")
    /// A device list is not signed by its account.
    public static let deviceListForged = Code(rawValue: "device_list_forged")
    /// The relay has other roles or rules for the room than its members agreed on.
    public static let rulesDiffer = Code(rawValue: "rules_differ")
    /// The relay says that a room was deleted, and cannot prove it.
    public static let deletionUnproven = Code(rawValue: "deletion_unproven")
    /// The relay's list of members differs from the group's.
    public static let membersDiffer = Code(rawValue: "members_differ")
    /// Another member was shown the room's entries in another order, or other ones.
    public static let orderDiffers = Code(rawValue: "order_differs")
    /// The relay holds back entries of a room's log, or never kept what it acknowledged.
    public static let withheld = Code(rawValue: "withheld")
    /// The relay shows a second commit for an epoch: other members may have been led to follow that.
    public static let forked = Code(rawValue: "forked")
    /// A Welcome was refused.
    public static let invalidWelcome = Code(rawValue: "invalid_welcome")
    /// The relay's log of a room began anew.
    public static let historyLost = Code(rawValue: "history_lost")
    /// An own message was not accepted and is not sent again.
    public static let notSent = Code(rawValue: "not_sent")
    /// Content that this version cannot read.
    public static let unreadableContent = Code(rawValue: "unreadable_content")
  }

  public var code: Code
  public var room: RoomID?
  public var person: Person?
  /// The entry of the room's log that it is about.
  public var sequence: UInt64?
  public var at: Moment
  /// More, as text without any content: safe to log.
  public var detail: String

  public init(
    code: Code, room: RoomID? = nil, person: Person? = nil, sequence: UInt64? = nil, at: Moment, detail: String
  ) {
    (self.code, self.room, self.person, self.sequence) = (code, room, person, sequence)
    (self.at, self.detail) = (at, detail)
  }
}
