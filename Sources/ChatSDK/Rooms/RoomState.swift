import E2ECrypto
import RelayProtocol
import WireCodec

/// What all members of a room agree on beside its keys: an extension of the group context, so that the relay cannot
/// read it and nobody can change it unseen.
struct RoomState: Hashable, WireCodable {
  /// In the range for private use (RFC 9420 section 17.3).
  static let extensionType: UInt16 = 0xF0A1
  static let maxName = 256

  var name: String
  /// Who is more than a member.
  var roles: [UserID: Role]

  private struct Entry: WireCodable {
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

  private static let format: UInt16 = 1

  init(name: String, roles: [UserID: Role]) { (self.name, self.roles) = (name, roles) }

  init(from reader: inout Reader) throws(WireError) {
    guard try reader.readUInt16() == Self.format else { throw WireError(.invalidValue) }
    name = try reader.readString(max: Self.maxName)
    let entries: [Entry] = try reader.readList(max: 17 * Limits.membersPerRoom)
    // One encoding for each state: strictly ascending, so that nobody stands in it twice.
    for (left, right) in zip(entries, entries.dropFirst()) {
      guard (left.user.high, left.user.low) < (right.user.high, right.user.low) else { throw WireError(.invalidValue) }
    }
    roles = Dictionary(uniqueKeysWithValues: entries.map { ($0.user, $0.role) })
  }

  func encode(into writer: inout Writer) {
    writer.write(Self.format)
    writer.write(name)
    let sorted = roles.filter { $0.value != .member }.sorted {
      ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low)
    }
    writer.writeList(sorted.map { Entry(user: $0.key, role: $0.value) })
  }

  func role(of user: UserID) -> Role { roles[user] ?? .member }

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
