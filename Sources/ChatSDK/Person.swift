public import RelayProtocol

/// An account, for life: names may change, this does not.
public typealias UserID = RelayProtocol.UserID
/// One device of an account.
public typealias DeviceID = RelayProtocol.DeviceID
/// A room, equal to its MLS group id.
public typealias RoomID = RelayProtocol.RoomID

// Repeated here because the members of the protocol's own module need an import of it.
extension UserID {
  /// The text form, as ``init(text:)`` reads it.
  public var text: String { description }
  public init?(text: String) { self.init(text) }
}

extension DeviceID {
  /// The text form, as ``init(text:)`` reads it.
  public var text: String { description }
  public init?(text: String) { self.init(text) }
}

extension RoomID {
  /// The text form, as ``init(text:)`` reads it.
  public var text: String { description }
  public init?(text: String) { self.init(text) }
}

/// A user as this client knows it: the id that the MLS leaf proves, and the name that goes with it.
///
/// Two are equal if id and name are: what a person wants to be called is not part of who it is.
public struct Person: Sendable, Hashable, CustomStringConvertible {
  public var id: UserID
  public var username: String
  /// From the person's profile, where it is known: it proves nothing, and others may have the same.
  public var displayName: String?
  /// From the profile as well; nobody should fetch it without being asked to.
  public var avatarURL: String?

  public init(id: UserID, username: String) { (self.id, self.username) = (id, username) }

  public var description: String { username }

  public static func == (left: Person, right: Person) -> Bool {
    left.id == right.id && left.username == right.username
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(id)
    hasher.combine(username)
  }
}

/// This account on this device.
public struct Account: Sendable, Hashable {
  public var person: Person
  public var device: DeviceID
  public var deviceName: String
  /// The relay's URL.
  public var relay: String
  /// Whether the session at the relay is alive; without one, log in again.
  public var isLoggedIn: Bool

  public var id: UserID { person.id }
  public var username: String { person.username }

  public init(person: Person, device: DeviceID, deviceName: String, relay: String, isLoggedIn: Bool) {
    (self.person, self.device, self.deviceName) = (person, device, deviceName)
    (self.relay, self.isLoggedIn) = (relay, isLoggedIn)
  }
}

/// A point in time, in milliseconds since 1970.
public struct Moment: Sendable, Hashable, Comparable {
  public var millisecondsSince1970: UInt64

  public init(millisecondsSince1970: UInt64) { self.millisecondsSince1970 = millisecondsSince1970 }

  public static func < (left: Moment, right: Moment) -> Bool {
    left.millisecondsSince1970 < right.millisecondsSince1970
  }
}
