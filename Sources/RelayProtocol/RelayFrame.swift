public import WireCodec

/// What the relay sends on the socket, one value in each binary message.
public enum RelayFrame: WireCodable, Hashable {
  /// The token is good: the socket is open for requests.
  case ready(device: DeviceID, time: UInt64)
  /// Answers `follow`, after whatever was missed has been pushed or `behind` been said, one status for each cursor.
  case following(requestID: UInt32, [FollowStatus])
  /// The entry is on disk at this position.
  case sent(requestID: UInt32, SendResponse)
  /// The request changed nothing.
  case refused(requestID: UInt32, code: UInt16, retryAfterMilliseconds: UInt32)
  /// The next entry of a followed room.
  case entry(LogEntry)
  /// More was missed than the relay pushes: pull the log up to `last`, then follow again.
  case behind(room: RoomID, last: StreamPosition)
  /// Something that is not in a room's log waits to be fetched.
  case look(Subject)
  /// A contact or room mate comes, goes, or shows something else.
  case presence(PresenceNews)
  /// A contact or room mate has another profile: ask for it.
  case profile(UserID)

  public enum Subject: UInt8, Sendable {
    /// A Welcome waits for this device.
    case welcomes = 1
    /// Few one-time key packages are left.
    case keyPackages = 2
    /// Somebody asks to come into a room, or a room was deleted.
    case rooms = 3
    /// The caller's contacts have changed.
    case contacts = 4
  }

  public init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 129:
      self = .ready(device: try DeviceID(from: &reader), time: try reader.readUInt64())
    case 130:
      let requestID = try reader.readUInt32()
      self = .following(requestID: requestID, try reader.readList(max: Limits.frame))
    case 131:
      let requestID = try reader.readUInt32()
      let position = try StreamPosition(from: &reader)
      self = .sent(requestID: requestID, SendResponse(position: position, time: try reader.readUInt64()))
    case 132:
      let requestID = try reader.readUInt32()
      let code = try reader.readUInt16()
      self = .refused(requestID: requestID, code: code, retryAfterMilliseconds: try reader.readUInt32())
    case 133:
      self = .entry(try LogEntry(from: &reader))
    case 134:
      self = .behind(room: try RoomID(from: &reader), last: try StreamPosition(from: &reader))
    case 135:
      guard let subject = Subject(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
      self = .look(subject)
    case 140:
      self = .presence(try PresenceNews(from: &reader))
    case 141:
      self = .profile(try UserID(from: &reader))
    default:
      throw WireError(.invalidValue)
    }
  }

  public func encode(into writer: inout Writer) {
    switch self {
    case .ready(let device, let time):
      writer.write(UInt8(129))
      writer.write(device)
      writer.write(time)
    case .following(let requestID, let statuses):
      writer.write(UInt8(130))
      writer.write(requestID)
      writer.writeList(statuses)
    case .sent(let requestID, let response):
      writer.write(UInt8(131))
      writer.write(requestID)
      writer.write(response.position)
      writer.write(response.time)
    case .refused(let requestID, let code, let retryAfterMilliseconds):
      writer.write(UInt8(132))
      writer.write(requestID)
      writer.write(code)
      writer.write(retryAfterMilliseconds)
    case .entry(let entry):
      writer.write(UInt8(133))
      writer.write(entry)
    case .behind(let room, let last):
      writer.write(UInt8(134))
      writer.write(room)
      writer.write(last)
    case .look(let subject):
      writer.write(UInt8(135))
      writer.write(subject.rawValue)
    case .presence(let news):
      writer.write(UInt8(140))
      writer.write(news)
    case .profile(let user):
      writer.write(UInt8(141))
      writer.write(user)
    }
  }
}

/// How a person stands, for those who may see it.
public struct PresenceNews: WireCodable, Hashable {
  public var user: UserID
  public var status: PresenceStatus
  /// Milliseconds since 1970, in whole minutes; 0 where it is not known.
  public var lastSeen: UInt64

  public init(user: UserID, status: PresenceStatus, lastSeen: UInt64) {
    (self.user, self.status, self.lastSeen) = (user, status, lastSeen)
  }

  public init(from reader: inout Reader) throws(WireError) {
    user = try UserID(from: &reader)
    guard let status = PresenceStatus(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
    self.status = status
    lastSeen = try reader.readUInt64()
  }

  public func encode(into writer: inout Writer) {
    writer.write(user)
    writer.write(status.rawValue)
    writer.write(lastSeen)
  }
}

/// How one room of a `follow` stands.
public struct FollowStatus: WireCodable, Hashable {
  public enum Outcome: UInt8, Sendable {
    /// Pushed from the cursor on without a gap.
    case live = 1
    /// Not a member, or no such room: nothing more comes.
    case gone = 2
    /// The cursor belongs to another incarnation of the log: start again from its beginning.
    case incarnationChanged = 3
  }

  public var room: RoomID
  public var outcome: Outcome
  public var last: StreamPosition
  public var epoch: UInt64

  public init(room: RoomID, outcome: Outcome, last: StreamPosition, epoch: UInt64) {
    (self.room, self.outcome, self.last, self.epoch) = (room, outcome, last, epoch)
  }

  public init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    guard let outcome = Outcome(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
    self.outcome = outcome
    last = try StreamPosition(from: &reader)
    epoch = try reader.readUInt64()
  }

  public func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(outcome.rawValue)
    writer.write(last)
    writer.write(epoch)
  }
}

extension LogEntry: WireCodable {
  public init(from reader: inout Reader) throws(WireError) {
    room = try RoomID(from: &reader)
    sequence = try reader.readUInt64()
    kind = try EntryKind(from: &reader)
    epoch = try reader.readUInt64()
    time = try reader.readUInt64()
    // Commits travel by REST under a higher bound, and are pushed whole.
    message = Base64URL(try reader.readVector(max: Limits.commitRequest))
  }

  public func encode(into writer: inout Writer) {
    writer.write(room)
    writer.write(sequence)
    writer.write(kind)
    writer.write(epoch)
    writer.write(time)
    writer.writeVector(message.bytes)
  }
}
