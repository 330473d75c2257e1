/// An external commit (RFC 9420 section 12.4.3.2): its sender becomes a member, or comes back into step.
public struct JoinRequest: Codable, Sendable {
  public var sendID: SendID
  /// The epoch that this commit ends, as with ``CommitRequest``.
  public var epoch: UInt64
  /// The commit, sealed so that only members open it.
  public var message: Base64URL
  /// The link that lets the sender in; `nil` where it is a member and only its device comes back.
  public var invite: InviteID?
  /// As in ``CommitRequest``.
  public var groupInfo: Base64URL?

  public init(sendID: SendID, epoch: UInt64, message: [UInt8], invite: InviteID?, groupInfo: [UInt8]?) {
    (self.sendID, self.epoch, self.message) = (sendID, epoch, Base64URL(message))
    (self.invite, self.groupInfo) = (invite, groupInfo.map { Base64URL($0) })
  }
}

/// The room's encrypted group info, of its present epoch.
public struct GroupInfoResponse: Codable, Sendable {
  public var room: RoomID
  public var epoch: UInt64
  /// The newest entry of the log when this was read.
  public var position: StreamPosition
  public var groupInfo: Base64URL

  public init(room: RoomID, epoch: UInt64, position: StreamPosition, groupInfo: [UInt8]) {
    (self.room, self.epoch, self.position, self.groupInfo) = (room, epoch, position, Base64URL(groupInfo))
  }
}

/// A code that lets whoever has it ask to come in.
public struct CodeRequest: Codable, Sendable {
  /// Seconds from now, at most ``Limits/codeLifetime``.
  public var lifetime: UInt64
  /// How many may ask by it, at most ``Limits/codeUses``.
  public var uses: UInt32

  public init(lifetime: UInt64, uses: UInt32) { (self.lifetime, self.uses) = (lifetime, uses) }
}

public struct CodeResponse: Codable, Sendable, Hashable {
  public var code: String
  /// Milliseconds since 1970 by the relay's clock.
  public var expires: UInt64
  /// How many more may ask by it.
  public var uses: UInt32

  public init(code: String, expires: UInt64, uses: UInt32) {
    (self.code, self.expires, self.uses) = (code, expires, uses)
  }
}

/// Asks to become a member, by code or, of a room in the directory, by its id: one of the two.
public struct AskRequest: Codable, Sendable {
  public var code: String?
  public var room: RoomID?

  public init(code: String) { self.code = code }
  public init(room: RoomID) { self.room = room }
}

/// Those who ask to come in.
public struct AskingResponse: Codable, Sendable {
  public struct Asking: Codable, Sendable, Hashable {
    public var user: UserID
    public var username: String
    /// Milliseconds since 1970 by the relay's clock.
    public var since: UInt64
    /// A member's device that fell out of step, and asks to be added anew.
    public var device: DeviceID?

    public init(user: UserID, username: String, since: UInt64, device: DeviceID?) {
      (self.user, self.username, self.since, self.device) = (user, username, since, device)
    }
  }

  public var requests: [Asking]

  public init(requests: [Asking]) { self.requests = requests }
}

/// The end of a room.
public struct DeleteRoomRequest: Codable, Sendable {
  /// The owner's signed word, which members check before they erase anything.
  public var proof: Base64URL

  public init(proof: [UInt8]) { self.proof = Base64URL(proof) }
}

/// What a room shows to everybody, by its owner's wish.
public struct ListingRequest: Codable, Sendable {
  public var name: String
  public var topic: String

  public init(name: String, topic: String) { (self.name, self.topic) = (name, topic) }
}

public struct DirectoryResponse: Codable, Sendable {
  public struct Listing: Codable, Sendable, Hashable {
    public var room: RoomID
    public var name: String
    public var topic: String
    public var members: Int
    public var joinRule: JoinRule

    public init(room: RoomID, name: String, topic: String, members: Int, joinRule: JoinRule) {
      (self.room, self.name, self.topic, self.members, self.joinRule) = (room, name, topic, members, joinRule)
    }
  }

  public var rooms: [Listing]
  /// To be given as `after` for the next page, if there is one.
  public var next: String?

  public init(rooms: [Listing], next: String?) { (self.rooms, self.next) = (rooms, next) }
}

/// The alphabet and form of join codes.
public enum JoinCode {
  public static let length = 6
  /// 32 characters of which no two look alike: no 0, 1, I and O.
  public static let alphabet = Array("23456789ABCDEFGHJKLMNPQRSTUVWXYZ".utf8)

  /// A code as it is compared: spaces and dashes left out, small letters made large; `nil` if it cannot be one.
  public static func normalised(_ text: String) -> String? {
    let bytes = text.utf8.prefix(32).filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "-") }.map { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
    }
    guard bytes.count == length, bytes.allSatisfy({ alphabet.contains($0) }) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
