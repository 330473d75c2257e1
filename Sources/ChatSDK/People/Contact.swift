public import RelayProtocol
import WireCodec

/// Somebody whom this account asked, was asked by, knows or blocks.
public struct Contact: Sendable, Hashable {
  public enum State: String, Sendable, Hashable, CaseIterable {
    /// Asked, and not answered: whoever declines is not told apart from who has not looked.
    case requested
    /// Wants to be a contact: accept or decline.
    case received
    case accepted
    /// Cannot ask, invite, or see presence; to them this account looks like one that does not exist.
    case blocked
  }

  public var person: Person
  public var state: State

  public init(person: Person, state: State) { (self.person, self.state) = (person, state) }
}

/// A change among the contacts, whoever made it.
public struct ContactChange: Sendable, Hashable {
  public var person: Person
  /// `nil`: no contact any more.
  public var state: Contact.State?

  public init(person: Person, state: Contact.State?) { (self.person, self.state) = (person, state) }
}

/// A contact as this client saw it last, so that a change that came while it was off is told.
struct ContactRecord: StoredRecord, Hashable {
  static let kind = RecordKind.contact
  var key: [UInt8] { user.bytes }

  var user: UserID
  var username: String
  var state: String

  var contact: Contact? {
    Contact.State(rawValue: state).map { Contact(person: Person(id: user, username: username), state: $0) }
  }

  init(user: UserID, username: String, state: Contact.State) {
    (self.user, self.username, self.state) = (user, username, state.rawValue)
  }

  init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    (username, state) = (try reader.readString(), try reader.readString())
  }

  func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(username)
    writer.write(state)
  }
}

/// What somebody shows of being there. It is the relay's word.
public struct Presence: Sendable, Hashable {
  public enum Status: String, Sendable, Hashable, CaseIterable { case offline, online, away, busy }

  public var person: Person
  public var status: Status
  /// To the minute; `nil` where it is not known or not shown.
  public var lastSeen: Moment?

  public init(person: Person, status: Status, lastSeen: Moment?) {
    (self.person, self.status, self.lastSeen) = (person, status, lastSeen)
  }
}

/// A session of this account, on this device or another.
public struct SessionInfo: Sendable, Hashable, Identifiable {
  public var id: String
  public var device: DeviceID
  public var created: Moment
  public var expires: Moment
  /// Whether it is this client's own.
  public var isCurrent: Bool
}

/// What the relay keeps of this account.
public struct AccountDetails: Sendable, Hashable {
  public var email: String?
  public var phone: String?
  /// `user`, `moderator` or `admin`.
  public var role: String
  public var profile: Profile
  public var presence: Presence.Status
  /// Whether anybody sees presence and last seen.
  public var showsPresence: Bool
}

/// What goes into an account besides its name and password, all of it by choice.
public struct RegistrationDetails: Sendable {
  public var email: String?
  public var phone: String?
  public var profile: Profile?
  /// The token of an invitation, where the relay asks for one.
  public var invite: String?

  public init(email: String? = nil, phone: String? = nil, profile: Profile? = nil, invite: String? = nil) {
    (self.email, self.phone, self.profile, self.invite) = (email, phone, profile, invite)
  }
}
