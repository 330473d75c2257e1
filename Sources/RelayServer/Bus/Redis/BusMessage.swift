import RelayProtocol
import WireCodec

/// What nodes say to each other over Redis: places to look at, never content.
///
/// Whoever can write to Redis can forge one, so that it may lead to nothing but looks at the store. It is decoded strictly and
/// bounded; the channel's name carries the version.
struct BusMessage: WireCodable, Equatable {
  /// Longer ones are not read.
  static let maxBytes = 64 << 10
  /// What one message holds at most, so that it stays below ``maxBytes``.
  static let maxItems = 2000

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
  }

  /// Drawn at random by each process, which so knows its own messages.
  var node: UInt64
  var items: [Item]

  init(node: UInt64, items: [Item]) { (self.node, self.items) = (node, items) }

  init(from reader: inout Reader) throws(WireError) {
    node = try reader.readUInt64()
    items = try reader.readList(max: Self.maxBytes)
    guard items.count <= Self.maxItems else { throw WireError(.tooLong) }
  }

  func encode(into writer: inout Writer) {
    writer.write(node)
    writer.writeList(items)
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
    }
  }
}
