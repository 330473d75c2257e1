public import RelayProtocol

/// A room in a list of rooms.
public struct RoomSummary: Sendable, Hashable, Identifiable {
  public var id: RoomID
  /// Chosen by a member: make it harmless before showing it on a terminal.
  public var name: String
  public var memberCount: Int
  /// The MLS epoch.
  public var epoch: UInt64
  public var unread: Int
  public var lastActivity: Moment?
  public var health: RoomHealth

  public init(
    id: RoomID, name: String, memberCount: Int, epoch: UInt64, unread: Int, lastActivity: Moment?, health: RoomHealth
  ) {
    (self.id, self.name, self.memberCount, self.epoch) = (id, name, memberCount, epoch)
    (self.unread, self.lastActivity, self.health) = (unread, lastActivity, health)
  }
}

/// Whether a room works here.
public enum RoomHealth: String, Sendable, Hashable {
  case good
  /// A commit was refused or could not be applied; the relay's room has moved on without this device.
  case stopped
  /// This account is not a member any more: its history can be read, nothing can be sent.
  case left
}

/// What a member may do. Every client checks it on each commit.
public enum Role: UInt8, Sendable, Hashable, Comparable {
  case member = 0
  /// May add and remove members and change the room's settings.
  case admin = 1
  /// May also change roles.
  case owner = 2

  public static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
}

/// A member of a room, as the MLS tree has it.
public struct RoomMember: Sendable, Hashable, Identifiable {
  public var person: Person
  public var role: Role
  public var deviceCount: Int
  /// Whether the safety numbers were compared.
  public var isVerified: Bool
  public var isSelf: Bool

  public var id: UserID { person.id }

  public init(person: Person, role: Role, deviceCount: Int, isVerified: Bool, isSelf: Bool) {
    (self.person, self.role, self.deviceCount) = (person, role, deviceCount)
    (self.isVerified, self.isSelf) = (isVerified, isSelf)
  }
}

/// What two people compare to know that nobody is between them: both see the same 60 digits.
public struct SafetyNumber: Sendable, Hashable, CustomStringConvertible {
  /// 60 decimal digits.
  public var digits: String
  public var person: Person
  /// Whether the comparison was confirmed for the identity of now.
  public var isVerified: Bool
  /// Whether the identity has changed since it was first seen, and the change was not accepted yet.
  public var hasChanged: Bool

  public init(digits: String, person: Person, isVerified: Bool, hasChanged: Bool) {
    (self.digits, self.person, self.isVerified, self.hasChanged) = (digits, person, isVerified, hasChanged)
  }

  /// Twelve groups of five digits.
  public var groups: [String] {
    let characters = Array(digits)
    return stride(from: 0, to: characters.count, by: 5).map { String(characters[$0..<min($0 + 5, characters.count)]) }
  }

  public var description: String { groups.joined(separator: " ") }
}
