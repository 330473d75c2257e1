public import WireCodec

/// What a member may do, as far as the relay knows it: the mirror of the role in the room's encrypted state.
public enum MemberRole: String, Codable, Sendable, Hashable, Comparable, CaseIterable {
  case member
  case admin
  case owner

  public static func < (left: MemberRole, right: MemberRole) -> Bool { left.rank < right.rank }

  /// Grows with what the role allows.
  public var rank: UInt8 {
    switch self {
    case .member: 0
    case .admin: 1
    case .owner: 2
    }
  }

  public init?(rank: UInt64) {
    guard let role = Self.allCases.first(where: { UInt64($0.rank) == rank }) else { return nil }
    self = role
  }
}

/// How somebody who is not invited comes into a room.
public enum JoinRule: String, Codable, Sendable, Hashable, CaseIterable {
  /// Not at all: neither by code nor by link.
  case closed
  /// By a link at once, or by asking an admin.
  case ask
  /// Whoever asks is let in, and every member may invite.
  case open
}

/// An invite link's name at the relay. It is drawn at random, so that it cannot be guessed, and opens nothing.
public struct InviteID: Identifier {
  public let high: UInt64
  public let low: UInt64
  public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }
}

/// How long and how often an invite link is good.
public struct InviteTerms: Codable, Sendable, Hashable {
  public var invite: InviteID
  /// Milliseconds since 1970 by the relay's clock; 0 if it does not end.
  public var expires: UInt64
  /// 0 for as many as come.
  public var uses: UInt32

  public init(invite: InviteID, expires: UInt64, uses: UInt32) {
    (self.invite, self.expires, self.uses) = (invite, expires, uses)
  }
}

/// What of a commit's changes to the room the relay has to know to keep to it. Names and topics are not among it.
///
/// Members that are absent change nothing.
public struct RoomChanges: Codable, Sendable, Hashable {
  public struct RoleChange: Codable, Sendable, Hashable {
    public var user: UserID
    public var role: MemberRole

    public init(user: UserID, role: MemberRole) { (self.user, self.role) = (user, role) }
  }

  public var roles: [RoleChange]?
  public var joinRule: JoinRule?
  /// How many seconds the relay keeps entries of the log; 0 for as long as it keeps any.
  public var retention: UInt64?
  /// Accounts that cannot become members any more, and those that can again.
  public var banned: [UserID]?
  public var unbanned: [UserID]?
  /// Links that are good from now on, and those that are not any more.
  public var invites: [InviteTerms]?
  public var revoked: [InviteID]?

  public init() {}

  public var isEmpty: Bool { self == RoomChanges() }
}

extension InviteID: WireCodable {}
