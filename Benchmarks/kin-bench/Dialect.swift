import Networking
import RelayProtocol
import WireCodec

/// How a server is spoken to, as far as a fan-out needs it: the payload is 200 bytes to all of them.
///
/// A payload begins with the time of sending and the message's number, eight and four bytes, most significant first.
enum Dialect: Sendable {
  static let payloadBytes = 200

  /// The relay, and the room that is followed.
  case kin(RoomResponse)
  /// A server that broadcasts whatever one socket sends to all others.
  case bare
  /// nats-server's protocol, a text with counted payloads.
  case nats
  /// MQTT 3.1.1 at the lowest quality of service, as all others here give none to subscribers.
  case mqtt

  var subprotocol: String? {
    switch self {
    case .kin: Route.subprotocol
    case .bare, .nats: nil
    case .mqtt: "mqtt"
    }
  }

  /// What a client says first, before anything has come.
  var greeting: [UInt8]? {
    switch self {
    case .kin, .bare: nil
    case .nats: Array("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".utf8)
    case .mqtt: Dialect.packet(0x10, [0, 4] + Array("MQTT".utf8) + [4, 2, 0, 0] + Dialect.text(Dialect.newName()))
    }
  }

  /// What a receiver says to be sent the room's messages.
  var subscription: [UInt8]? {
    switch self {
    case .kin(let room):
      ClientFrame.follow(requestID: 1, cursors: [RoomCursor(room: room.room, position: room.position)]).encoded
    case .bare: nil
    case .nats: Array("SUB room 1\r\nPING\r\n".utf8)
    case .mqtt: Dialect.packet(0x82, [0, 1] + Dialect.text(Array("room".utf8)) + [0])
    }
  }

  func message(_ payload: [UInt8], number: UInt32, random: SendID) -> [UInt8] {
    switch self {
    case .kin(let room):
      let request = SendRequest(sendID: random, epoch: room.epoch, message: payload)
      return ClientFrame.send(requestID: number, room: room.room, request).encoded
    case .bare:
      // As long as the relay's frame.
      return [UInt8](repeating: 0, count: 44) + payload
    case .nats: return Array("PUB room \(payload.count)\r\n".utf8) + payload + [13, 10]
    case .mqtt: return Dialect.packet(0x30, Dialect.text(Array("room".utf8)) + payload)
    }
  }

  /// What came from a server, in the order in which it came.
  enum Event {
    /// Now the subscription may be sent.
    case ready
    case subscribed
    /// Where a payload begins.
    case payload(Int)
  }

  /// Reads one event at the offset and goes behind it; `nil` if it is not there whole.
  func next(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> Event?? {
    let start = offset
    guard start < bytes.count else { return nil }
    switch self {
    case .kin, .bare:
      // One message is one frame.
      offset = bytes.count
      if case .bare = self { return .some(.payload(44)) }
      switch bytes[start] {
      case 129: return .some(.ready)
      case 130: return .some(.subscribed)
      case 133 where bytes.count >= start + 56: return .some(.payload(start + 44))
      default: return .some(nil)
      }
    case .nats:
      guard let end = bytes[start...].firstIndex(of: 10) else { return nil }
      let line = bytes[start..<end]
      offset = end + 1
      if line.starts(with: "MSG ".utf8) {
        guard end + 1 + Dialect.payloadBytes + 2 <= bytes.count else {
          offset = start
          return nil
        }
        offset = end + 1 + Dialect.payloadBytes + 2
        return .some(.payload(end + 1))
      }
      return line.starts(with: "INFO".utf8)
        ? .some(.ready) : line.starts(with: "PONG".utf8) ? .some(.subscribed) : .some(nil)
    case .mqtt:
      var length = 0
      var position = start + 1
      var shift = 0
      repeat {
        guard position < bytes.count else { return nil }
        length |= Int(bytes[position] & 0x7f) << shift
        shift += 7
        position += 1
      } while bytes[position - 1] & 0x80 != 0
      guard position + length <= bytes.count else { return nil }
      offset = position + length
      switch bytes[start] & 0xf0 {
      case 0x20: return .some(.ready)
      case 0x90: return .some(.subscribed)
      // Behind a topic of four letters and its length.
      case 0x30: return .some(.payload(position + 6))
      default: return .some(nil)
      }
    }
  }

  private static func packet(_ kind: UInt8, _ body: [UInt8]) -> [UInt8] {
    var bytes = [kind]
    var rest = body.count
    repeat {
      bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
      rest >>= 7
    } while rest > 0
    return bytes + body
  }

  private static func text(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xff)] + bytes
  }

  private static func newName() -> [UInt8] { Array("bench\(UInt64.random(in: 0 ... .max))".utf8) }
}
