import RelayProtocol
import WireCodec

/// What nodes say to each other over Redis: places to look at, never content.
///
/// Whoever can write to Redis can forge one, or say an old one again, so that it may lead to nothing but looks at the store. Who
/// reads there is not to learn who comes and goes: people are named under a seal that only nodes can open. It is decoded
/// strictly and bounded; the channel's name carries the version.
struct BusMessage: WireCodable, Equatable {
  /// Longer ones are not read.
  static let maxBytes = 64 << 10
  /// What one message holds at most, so that it stays below ``maxBytes``.
  static let maxItems = 2000
  static let maxPeople = 500

  enum Item: Hashable, Sendable {
    /// The room's log has come to this sequence.
    case grown(RoomID, last: UInt64)
    /// Something outside of the logs may wait for the device.
    case look(RelayFrame.Subject, DeviceID)
    /// The session may have ended.
    case session(UInt64)
    /// The device may have left its account's list.
    case device(DeviceID)
    /// More happened than could be said: look at all.
    case everything
    /// What was said of people was missed: say it again.
    case asks
  }

  /// Drawn at random by each process, which so knows its own messages.
  var node: UInt64
  var items: [Item]
  /// A sealed ``PersonNews/List``, or nothing.
  var people: [UInt8] = []

  init(node: UInt64, items: [Item]) { (self.node, self.items) = (node, items) }

  /// With people whom only who has the secret can read.
  init(node: UInt64, items: [Item], people: [PersonNews], _ secret: NodeSecret) {
    self.init(node: node, items: items)
    if !people.isEmpty { self.people = secret.seal(PersonNews.List(people).encoded, with: Self.bound(to: node)) }
  }

  init(from reader: inout Reader) throws(WireError) {
    node = try reader.readUInt64()
    items = try reader.readList(max: Self.maxBytes)
    guard items.count <= Self.maxItems else { throw WireError(.tooLong) }
    people = try reader.readVector(max: Self.maxBytes)
  }

  func encode(into writer: inout Writer) {
    writer.write(node)
    writer.writeList(items)
    writer.writeVector(people)
  }

  /// The people that are named; `nil` if no node sealed that for this message.
  func opened(_ secret: NodeSecret) -> [PersonNews]? {
    guard !people.isEmpty else { return [] }
    guard let plain = secret.open(people, with: Self.bound(to: node)) else { return nil }
    return try? PersonNews.List(decoding: plain).news
  }

  private static func bound(to node: UInt64) -> [UInt8] {
    var writer = Writer()
    writer.write(node)
    return writer.bytes
  }
}

extension PersonNews {
  /// What stands under the seal of one message.
  struct List: WireCodable {
    var news: [PersonNews]

    init(_ news: [PersonNews]) { self.news = news }

    init(from reader: inout Reader) throws(WireError) {
      news = try reader.readList(max: BusMessage.maxBytes)
      guard news.count <= BusMessage.maxPeople else { throw WireError(.tooLong) }
    }

    func encode(into writer: inout Writer) { writer.writeList(news) }
  }
}

extension PersonNews: WireCodable {
  init(from reader: inout Reader) throws(WireError) {
    let kind = try reader.readUInt8()
    let user = UserID(high: try reader.readUInt64(), low: try reader.readUInt64())
    switch kind {
    case 1: self = .presence(user)
    case 2: self = .profile(user)
    default: throw WireError(.unknownType)
    }
  }

  func encode(into writer: inout Writer) {
    let (kind, user): (UInt8, UserID) =
      switch self {
      case .presence(let user): (1, user)
      case .profile(let user): (2, user)
      }
    writer.write(kind)
    writer.write(user.high)
    writer.write(user.low)
  }
}

extension BusMessage.Item: WireCodable {
  init(from reader: inout Reader) throws(WireError) {
    switch try reader.readUInt8() {
    case 1:
      let room = RoomID(high: try reader.readUInt64(), low: try reader.readUInt64())
      let last = try reader.readUInt64()
      // No log is as long: comparing with it would make followers wait for ever.
      guard last <= UInt64(Int64.max) else { throw WireError(.invalidValue) }
      self = .grown(room, last: last)
    case 2:
      guard let subject = RelayFrame.Subject(rawValue: try reader.readUInt8()) else { throw WireError(.invalidValue) }
      self = .look(subject, DeviceID(high: try reader.readUInt64(), low: try reader.readUInt64()))
    case 3: self = .session(try reader.readUInt64())
    case 4: self = .device(DeviceID(high: try reader.readUInt64(), low: try reader.readUInt64()))
    case 5: self = .everything
    case 6: self = .asks
    default: throw WireError(.unknownType)
    }
  }

  func encode(into writer: inout Writer) {
    switch self {
    case .grown(let room, let last):
      writer.write(UInt8(1))
      writer.write(room.high)
      writer.write(room.low)
      writer.write(last)
    case .look(let subject, let device):
      writer.write(UInt8(2))
      writer.write(subject.rawValue)
      writer.write(device.high)
      writer.write(device.low)
    case .session(let session):
      writer.write(UInt8(3))
      writer.write(session)
    case .device(let device):
      writer.write(UInt8(4))
      writer.write(device.high)
      writer.write(device.low)
    case .everything: writer.write(UInt8(5))
    case .asks: writer.write(UInt8(6))
    }
  }
}
