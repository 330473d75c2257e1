/// How one account stands to another, as the relay keeps it.
public enum ContactState: UInt8, Sendable, CaseIterable {
  /// Asked, and not answered: the same whether or not the other declined.
  case requested = 1
  /// Was asked.
  case received = 2
  case accepted = 3
  case blocked = 4
  /// Declined a request: not told to anybody.
  case declined = 5

  public var text: String {
    switch self {
    case .requested: "requested"
    case .received: "received"
    case .accepted: "accepted"
    case .blocked: "blocked"
    case .declined: "declined"
    }
  }
}

/// What a person shows of being there.
public enum PresenceStatus: UInt8, Sendable, CaseIterable {
  case offline = 0
  case online = 1
  case away = 2
  case busy = 3

  public var text: String {
    switch self {
    case .offline: "offline"
    case .online: "online"
    case .away: "away"
    case .busy: "busy"
    }
  }

  public init?(text: String) {
    guard let status = Self.allCases.first(where: { $0.text == text }) else { return nil }
    self = status
  }
}

public struct ProfileBody: Codable, Sendable, Hashable {
  /// At most ``Limits/displayName`` characters, or empty. Clients must make it harmless before they show it.
  public var displayName: String
  /// An `https` URL of at most ``Limits/avatarURL`` bytes, or empty. No client fetches it by itself.
  public var avatarURL: String

  public init(displayName: String, avatarURL: String) { (self.displayName, self.avatarURL) = (displayName, avatarURL) }
}

public struct SessionsResponse: Codable, Sendable {
  public struct Session: Codable, Sendable, Hashable {
    /// A number, as text because it does not fit into every reader's numbers.
    public var id: String
    public var device: DeviceID
    public var created: UInt64
    public var expires: UInt64
    /// Whether it is the one that asks.
    public var isCurrent: Bool

    public init(id: String, device: DeviceID, created: UInt64, expires: UInt64, isCurrent: Bool) {
      (self.id, self.device, self.created, self.expires, self.isCurrent) = (id, device, created, expires, isCurrent)
    }
  }

  public var sessions: [Session]

  public init(sessions: [Session]) { self.sessions = sessions }
}

public struct ContactsResponse: Codable, Sendable {
  public struct Contact: Codable, Sendable, Hashable {
    public var user: UserID
    public var username: String
    /// ``ContactState``'s text.
    public var state: String
    /// Of accepted contacts only.
    public var profile: ProfileBody?
    public var changed: UInt64

    public init(user: UserID, username: String, state: String, profile: ProfileBody?, changed: UInt64) {
      (self.user, self.username, self.state) = (user, username, state)
      (self.profile, self.changed) = (profile, changed)
    }
  }

  public var contacts: [Contact]

  public init(contacts: [Contact]) { self.contacts = contacts }
}

public struct PresenceRequest: Codable, Sendable {
  /// ``PresenceStatus``'s text: what is shown while connected.
  public var status: String
  /// Whether anybody sees presence and last seen at all.
  public var isShown: Bool

  public init(status: String, isShown: Bool) { (self.status, self.isShown) = (status, isShown) }
}

public struct PresenceQuery: Codable, Sendable {
  public var users: [UserID]

  public init(users: [UserID]) { self.users = users }
}

public struct PresenceResponse: Codable, Sendable {
  public struct Presence: Codable, Sendable, Hashable {
    public var user: UserID
    public var status: String
    /// Milliseconds since 1970, in whole minutes; 0 where it is not known.
    public var lastSeen: UInt64

    public init(user: UserID, status: String, lastSeen: UInt64) {
      (self.user, self.status, self.lastSeen) = (user, status, lastSeen)
    }
  }

  /// Only of those whose presence the caller may see.
  public var users: [Presence]

  public init(users: [Presence]) { self.users = users }
}
