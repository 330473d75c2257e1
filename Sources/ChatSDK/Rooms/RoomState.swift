import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import WireCodec

/// What all members of a room agree on beside its keys: an extension of the group context, so that the relay cannot
/// read it and nobody can change it unseen.
struct RoomState: Hashable, WireCodable {
  /// In the range for private use (RFC 9420 section 17.3).
  static let extensionType: UInt16 = 0xF0A1
  static let maxName = 256
  static let maxTopic = 2048
  static let maxAvatar = 1024
  static let secretSize = 32

  var settings: RoomSettings
  /// Who is more than a member.
  var roles: [UserID: Role]
  var banned: Set<UserID> = []
  var invites: [InviteID: InviteKeys] = [:]
  /// By which a member's device that fell out of step comes back. It changes with every removal, so that whoever was
  /// removed does not have it.
  var reentrySecret: [UInt8]
  /// The two of a room that is for two.
  var pair: RoomPair?

  var name: String { settings.name }

  private static let format: UInt16 = 2

  init(settings: RoomSettings, roles: [UserID: Role], pair: RoomPair? = nil) {
    (self.settings, self.roles, self.pair) = (settings, roles, pair)
    reentrySecret = Random.bytes(Self.secretSize)
  }

  init(name: String, roles: [UserID: Role]) { self.init(settings: RoomSettings(name: name), roles: roles) }

  func role(of user: UserID) -> Role { roles[user] ?? .member }

  mutating func renewReentry() { reentrySecret = Random.bytes(Self.secretSize) }

  /// What is left of the state when these have gone: no roles of theirs, and no link of a limited number of uses by which
  /// one of them came, or its place could be taken again.
  func without(_ gone: Set<UserID>, invites spent: Set<InviteID>) -> RoomState {
    var next = self
    next.roles = roles.filter { !gone.contains($0.key) }
    next.invites = invites.filter { !(spent.contains($0.key) && $0.value.uses > 0) }
    return next
  }

  /// The state in a group's extensions; `nil` if there is none that can be read.
  static func of(_ extensions: [Extension]) -> RoomState? {
    extensions[type: extensionType].flatMap { try? RoomState(decoding: $0.data) }
  }

  /// The group context extensions of a room in this state.
  var extensions: [Extension] {
    [
      .requiredCapabilities(RequiredCapabilities(extensions: [Self.extensionType])),
      Extension(type: Self.extensionType, data: encoded),
    ]
  }
}

/// The two members of a room of two, the lower id first.
struct RoomPair: Hashable, WireCodable {
  let low: UserID
  let high: UserID

  init(_ one: UserID, _ other: UserID) {
    (low, high) = (one.high, one.low) < (other.high, other.low) ? (one, other) : (other, one)
  }

  init(from reader: inout Reader) throws(WireError) {
    (low, high) = (try UserID(from: &reader), try UserID(from: &reader))
    guard (low.high, low.low) < (high.high, high.low) else { throw WireError(.invalidValue) }
  }

  func encode(into writer: inout Writer) {
    writer.write(low)
    writer.write(high)
  }

  func contains(_ user: UserID) -> Bool { user == low || user == high }

  func other(than user: UserID) -> UserID { user == low ? high : low }
}

/// What members know of an invite link: enough to seal the group's state to whoever has it, and to know its holder, but not
/// to be that. Who is removed has therefore only the links that were given to it.
struct InviteKeys: Hashable, WireCodable {
  /// Ed25519: the link's holder signs the join.
  var verifying: [UInt8]
  /// X25519: group infos are sealed to it.
  var sealing: [UInt8]
  var madeBy: UserID
  /// Milliseconds since 1970 by the relay's clock; 0 if it does not end.
  var expires: UInt64
  /// How many may join; 0 for as many as come.
  var uses: UInt32

  init(verifying: [UInt8], sealing: [UInt8], madeBy: UserID, expires: UInt64, uses: UInt32) {
    (self.verifying, self.sealing, self.madeBy) = (verifying, sealing, madeBy)
    (self.expires, self.uses) = (expires, uses)
  }

  init(from reader: inout Reader) throws(WireError) {
    verifying = try reader.readVector(max: 32)
    sealing = try reader.readVector(max: 32)
    guard verifying.count == 32, sealing.count == 32 else { throw WireError(.invalidValue) }
    madeBy = try UserID(from: &reader)
    expires = try reader.readUInt64()
    uses = try reader.readUInt32()
  }

  func encode(into writer: inout Writer) {
    writer.writeVector(verifying)
    writer.writeVector(sealing)
    writer.write(madeBy)
    writer.write(expires)
    writer.write(uses)
  }
}

// MARK: Encoding

extension RoomState {
  private struct RoleEntry: WireCodable {
    var user: UserID
    var role: Role

    init(user: UserID, role: Role) { (self.user, self.role) = (user, role) }

    init(from reader: inout Reader) throws(WireError) {
      user = try UserID(from: &reader)
      guard let role = Role(rawValue: try reader.readUInt8()), role != .member else { throw WireError(.invalidValue) }
      self.role = role
    }

    func encode(into writer: inout Writer) {
      writer.write(user)
      writer.write(role.rawValue)
    }
  }

  private struct InviteEntry: WireCodable {
    var id: InviteID
    var keys: InviteKeys

    init(id: InviteID, keys: InviteKeys) { (self.id, self.keys) = (id, keys) }
    init(from reader: inout Reader) throws(WireError) {
      (id, keys) = (try InviteID(from: &reader), try InviteKeys(from: &reader))
    }

    func encode(into writer: inout Writer) {
      writer.write(id)
      writer.write(keys)
    }
  }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    settings = try RoomSettings(from: &reader)
    let entries: [RoleEntry] = try reader.readList(max: 17 * Limits.membersPerRoom)
    try Self.requireAscending(entries.map(\.user))
    roles = Dictionary(uniqueKeysWithValues: entries.map { ($0.user, $0.role) })
    let out: [UserID] = try reader.readList(max: 16 * Limits.bannedPerRoom)
    try Self.requireAscending(out)
    banned = Set(out)
    let links: [InviteEntry] = try reader.readList(max: 256 * Limits.invitesPerRoom)
    guard links.count <= Limits.invitesPerRoom else { throw WireError(.invalidValue) }
    try Self.requireAscending(links.map(\.id))
    invites = Dictionary(uniqueKeysWithValues: links.map { ($0.id, $0.keys) })
    reentrySecret = try reader.readBytes(count: Self.secretSize)
    pair = try reader.readOptional()
  }

  func encode(into writer: inout Writer) {
    writer.write(Self.format)
    settings.encode(into: &writer)
    let sorted = roles.filter { $0.value != .member }.sorted { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }
    writer.writeList(sorted.map { RoleEntry(user: $0.key, role: $0.value) })
    writer.writeList(banned.sorted { ($0.high, $0.low) < ($1.high, $1.low) })
    let links = invites.sorted { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }
    writer.writeList(links.map { InviteEntry(id: $0.key, keys: $0.value) })
    writer.writeBytes(reentrySecret)
    writer.writeOptional(pair)
  }

  /// One encoding for each state: strictly ascending, so that nobody stands in it twice.
  private static func requireAscending(_ ids: [some RelayProtocol.Identifier]) throws(WireError) {
    for (left, right) in zip(ids, ids.dropFirst()) {
      guard (left.high, left.low) < (right.high, right.low) else { throw WireError(.invalidValue) }
    }
  }
}

// Not a conformance: the settings are public, and their encoding is nobody's business.
extension RoomSettings {
  fileprivate init(from reader: inout Reader) throws(WireError) {
    self.init(name: try reader.readString(max: RoomState.maxName))
    topic = try reader.readString(max: RoomState.maxTopic)
    avatar = try reader.readString(max: RoomState.maxAvatar)
    switch try reader.readUInt8() {
    case 0: joinPolicy = .closed
    case 1: joinPolicy = .ask
    case 2: joinPolicy = .open
    default: throw WireError(.invalidValue)
    }
    retention = try reader.readUInt64()
    disappearing = try reader.readUInt64()
    guard retention <= UInt64(Int64.max), disappearing <= UInt64(Int64.max) else { throw WireError(.invalidValue) }
    history =
      switch try reader.readUInt32() {
      case 0: .none
      case .max: .all
      case let days: .days(days)
      }
  }

  fileprivate func encode(into writer: inout Writer) {
    writer.write(name)
    writer.write(topic)
    writer.write(avatar)
    let number: UInt8 =
      switch joinPolicy {
      case .closed: 0
      case .ask: 1
      case .open: 2
      }
    writer.write(number)
    writer.write(retention)
    writer.write(disappearing)
    let days: UInt32 =
      switch history {
      case .none: 0
      case .days(let days): min(max(days, 1), .max - 1)
      case .all: .max
      }
    writer.write(days)
  }
}
