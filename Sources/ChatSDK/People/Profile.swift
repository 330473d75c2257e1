import RelayProtocol
import Synchronization
import WireCodec

/// What a person wants to be seen as, besides the name that others reach it by.
///
/// It is the person's own word, passed on by the relay: it proves nothing. The text may hold any Unicode, so a terminal
/// must make it harmless before it shows it, and nobody should fetch the avatar without being asked to.
public struct Profile: Sendable, Hashable {
  public var displayName: String
  /// An `https` URL, or empty.
  public var avatarURL: String

  public init(displayName: String = "", avatarURL: String = "") {
    (self.displayName, self.avatarURL) = (displayName, avatarURL)
  }

  init(_ body: ProfileBody) {
    // A relay may send what it should have refused.
    displayName = body.displayName.unicodeScalars.count <= Limits.displayName ? body.displayName : ""
    avatarURL = body.avatarURL.utf8.count <= Limits.avatarURL ? body.avatarURL : ""
  }

  var body: ProfileBody { ProfileBody(displayName: displayName, avatarURL: avatarURL) }
}

/// The last that was seen of a profile.
struct ProfileRecord: StoredRecord, Hashable {
  static let kind = RecordKind.profile
  var key: [UInt8] { user.bytes }

  var user: UserID
  var profile: Profile
  /// When it was asked for, in milliseconds since 1970.
  var fetched: UInt64

  init(user: UserID, profile: Profile, fetched: UInt64) {
    (self.user, self.profile, self.fetched) = (user, profile, fetched)
  }

  init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    profile = Profile(displayName: try reader.readString(), avatarURL: try reader.readString())
    fetched = try reader.readUInt64()
  }

  func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(profile.displayName)
    writer.write(profile.avatarURL)
    writer.write(fetched)
  }
}

/// The profiles that this client knows, so that names stand beside messages without a look at the store for each.
final class ProfileBook: Sendable {
  private let known: Mutex<[UserID: ProfileRecord]>

  init(_ records: [ProfileRecord]) {
    known = Mutex(Dictionary(records.map { ($0.user, $0) }) { first, _ in first })
  }

  subscript(user: UserID) -> ProfileRecord? { known.withLock { $0[user] } }

  /// Returns whether the profile is another than before.
  func take(_ record: ProfileRecord) -> Bool {
    known.withLock { known in
      let before = known.updateValue(record, forKey: record.user)
      return before?.profile ?? Profile() != record.profile
    }
  }

  func named(_ person: Person) -> Person {
    var person = person
    let profile = self[person.id]?.profile ?? Profile()
    person.displayName = profile.displayName.isEmpty ? nil : profile.displayName
    person.avatarURL = profile.avatarURL.isEmpty ? nil : profile.avatarURL
    return person
  }

  func named(_ message: Message) -> Message {
    var message = message
    message.sender = named(message.sender)
    return message
  }

  func named(_ event: Event) -> Event {
    switch event {
    case .message(let message): .message(named(message))
    case .sent(let message): .sent(named(message))
    case .joined(let change): .joined(named(change))
    case .memberAdded(let change): .memberAdded(named(change))
    case .memberJoined(let change): .memberJoined(named(change))
    case .memberRemoved(let change): .memberRemoved(named(change))
    case .memberLeft(let change): .memberLeft(named(change))
    case .memberBanned(let change): .memberBanned(named(change))
    case .memberUnbanned(let change): .memberUnbanned(named(change))
    case .deviceEntered(let change): .deviceEntered(named(change))
    case .deviceRemoved(let change): .deviceRemoved(named(change))
    case .roomRenamed(let change): .roomRenamed(named(change))
    case .roomDeleted(let change): .roomDeleted(named(change))
    case .removedFromRoom(let change): .removedFromRoom(named(change))
    default: event
    }
  }

  private func named(_ change: MemberChange) -> MemberChange {
    MemberChange(room: change.room, member: named(change.member), by: named(change.by))
  }

  private func named(_ change: RoomChange) -> RoomChange {
    RoomChange(room: change.room, name: change.name, by: change.by.map { named($0) })
  }
}

extension ClientContext {
  /// Keeps a profile and tells if it is a new one.
  func take(_ body: ProfileBody?, of person: Person) throws {
    guard let body else { return }
    let record = ProfileRecord(user: person.id, profile: Profile(body), fetched: now)
    try store.write { try $0.save(record) }
    if profiles.take(record) { hub.tell([.profileChanged(profiles.named(person))]) }
  }
}
