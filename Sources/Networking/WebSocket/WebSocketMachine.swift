/// What a peer did wrong on a WebSocket, and the code to close with (RFC 6455, section 7.4.1).
struct WebSocketFault: Error, Equatable {
  let code: WebSocketCloseCode
  let text: StaticString

  init(_ code: WebSocketCloseCode, _ text: StaticString) {
    self.code = code
    self.text = text
  }

  static func == (left: WebSocketFault, right: WebSocketFault) -> Bool { left.code == right.code }
}

/// RFC 6455 framing as a pure state machine: bytes in, messages out, for either role.
///
/// A message is assembled and unmasked in one buffer that lives on between messages; it grows with what has come, not with what
/// a length field claims.
struct WebSocketMachine {
  enum Role: Sendable { case server, client }

  enum Event: Equatable, Sendable {
    /// A binary message; give the bytes back with ``WebSocketMachine/recycle(_:)`` to save an allocation.
    case binary([UInt8])
    case text(String)
    case ping([UInt8])
    case pong([UInt8])
    /// The peer's close frame; all bytes after it are ignored.
    case close(WebSocketCloseCode, reason: String)
  }

  private struct Header {
    var isFinal: Bool
    var opcode: WebSocketOpcode
    var length: Int
    var mask: UInt32
  }

  // Every idle socket holds these: the small ones stand together, where they take the least room.
  private let maxMessageBytes: Int
  private var current: Header?
  private var received = 0
  private var message: [UInt8] = []
  private var control: [UInt8] = []
  private var header: [14 of UInt8] = .init(repeating: 0)
  private var headerCount: UInt8 = 0
  private let role: Role
  private var messageOpcode: WebSocketOpcode?
  private var isClosed = false
  private var failure: WebSocketCloseCode?

  init(role: Role, maxMessageBytes: Int) {
    self.role = role
    self.maxMessageBytes = maxMessageBytes
  }

  /// Consumes bytes from the offset on until there is a message to tell; `nil` when it needs more.
  ///
  /// - Throws: what the peer did wrong; from then on always with the same code.
  mutating func next(_ input: RawSpan, _ offset: inout Int) throws(WebSocketFault) -> Event? {
    if let failure { throw WebSocketFault(failure, "the peer has broken the protocol before") }
    do throws(WebSocketFault) {
      while true {
        guard !isClosed else {
          offset = input.byteCount
          return nil
        }
        if current == nil {
          guard try readHeader(input, &offset) else { return nil }
        }
        guard let frame = current, readPayload(frame, input, &offset) else { return nil }
        current = nil
        if let event = try frameComplete(frame) { return event }
      }
    } catch {
      failure = error.code
      throw error
    }
  }

  /// Gives a message's buffer back for the next one.
  mutating func recycle(_ bytes: consuming [UInt8]) {
    // Idle sockets are many: they shall not each hold the memory of their largest message.
    guard message.isEmpty, messageOpcode == nil, bytes.capacity <= 4096 else { return }
    bytes.removeAll(keepingCapacity: true)
    message = bytes
  }

  private mutating func readHeader(_ input: RawSpan, _ offset: inout Int) throws(WebSocketFault) -> Bool {
    var needed = headerCount < 2 ? 2 : headerLength
    while headerCount < needed {
      guard offset < input.byteCount else { return false }
      header[Int(headerCount)] = input.byte(offset)
      headerCount += 1
      offset += 1
      if headerCount == 2 {
        try checkStart()
        needed = headerLength
      }
    }
    let short = Int(header[1] & 0x7f)
    var length = short
    var index = 2
    if short >= 126 {
      let count = short == 126 ? 2 : 8
      guard count == 2 || header[2] & 0x80 == 0 else { throw WebSocketFault(.protocolError, "a length is negative") }
      length = 0
      for _ in 0..<count {
        length = length << 8 | Int(header[index])
        index += 1
      }
      guard length >= (count == 2 ? 126 : 65536) else {
        throw WebSocketFault(.protocolError, "a length is not in its shortest form")
      }
    }
    var mask: UInt32 = 0
    if header[1] & 0x80 != 0 {
      for shift in 0..<4 { mask |= UInt32(header[index + shift]) << UInt32(8 * shift) }
    }
    // Checked by `checkStart`.
    guard let opcode = WebSocketOpcode(rawValue: header[0] & 0x0f) else {
      throw WebSocketFault(.protocolError, "an unknown opcode")
    }
    if !opcode.isControl {
      guard length <= maxMessageBytes - message.count else {
        throw WebSocketFault(.messageTooBig, "a message is too big")
      }
      if opcode != .continuation { messageOpcode = opcode }
    }
    current = Header(isFinal: header[0] & 0x80 != 0, opcode: opcode, length: length, mask: mask)
    received = 0
    headerCount = 0
    return true
  }

  private var headerLength: UInt8 {
    let short = header[1] & 0x7f
    return 2 + (short == 126 ? 2 : short == 127 ? 8 : 0) + (header[1] & 0x80 != 0 ? 4 : 0)
  }

  /// All that the first two bytes can get wrong.
  private func checkStart() throws(WebSocketFault) {
    guard header[0] & 0x70 == 0 else { throw WebSocketFault(.protocolError, "a reserved bit is set") }
    guard let opcode = WebSocketOpcode(rawValue: header[0] & 0x0f) else {
      throw WebSocketFault(.protocolError, "an unknown opcode")
    }
    guard (header[1] & 0x80 != 0) == (role == .server) else {
      throw WebSocketFault(.protocolError, "a client must mask its frames, and a server must not")
    }
    if opcode.isControl {
      guard header[0] & 0x80 != 0 else { throw WebSocketFault(.protocolError, "a control frame in fragments") }
      guard header[1] & 0x7f <= 125 else { throw WebSocketFault(.protocolError, "a control frame is too long") }
    } else {
      guard (opcode == .continuation) == (messageOpcode != nil) else {
        throw WebSocketFault(.protocolError, "a fragment without a beginning, or a beginning within fragments")
      }
    }
  }

  private mutating func readPayload(_ frame: Header, _ input: RawSpan, _ offset: inout Int) -> Bool {
    let count = min(frame.length - received, input.byteCount - offset)
    if count > 0 {
      let bytes = input.extracting(offset..<(offset + count))
      if frame.opcode.isControl {
        WebSocketMachine.append(bytes, to: &control, mask: frame.mask, phase: received)
      } else {
        WebSocketMachine.append(bytes, to: &message, mask: frame.mask, phase: received)
      }
      offset += count
      received += count
    }
    return received == frame.length
  }

  private static func append(_ bytes: RawSpan, to buffer: inout [UInt8], mask: UInt32, phase: Int) {
    let start = buffer.count
    bytes.withUnsafeBytes { buffer.append(contentsOf: $0) }
    if mask != 0 { WebSocketFrame.apply(mask, phase: phase, to: &buffer, from: start) }
  }

  private mutating func frameComplete(_ frame: Header) throws(WebSocketFault) -> Event? {
    if frame.opcode.isControl {
      var payload: [UInt8] = []
      swap(&payload, &control)
      switch frame.opcode {
      case .ping: return .ping(payload)
      case .pong: return .pong(payload)
      default: return try closeFrame(payload)
      }
    }
    guard frame.isFinal else { return nil }
    var payload: [UInt8] = []
    swap(&payload, &message)
    let opcode = messageOpcode
    messageOpcode = nil
    guard opcode == .text else { return .binary(payload) }
    guard let text = String(validating: payload, as: UTF8.self) else {
      throw WebSocketFault(.invalidPayload, "a text is not UTF-8")
    }
    return .text(text)
  }

  private mutating func closeFrame(_ payload: [UInt8]) throws(WebSocketFault) -> Event {
    isClosed = true
    guard !payload.isEmpty else { return .close(.noStatus, reason: "") }
    guard payload.count >= 2 else { throw WebSocketFault(.protocolError, "a close code of one byte") }
    let code = WebSocketCloseCode(UInt16(payload[0]) << 8 | UInt16(payload[1]))
    guard code.isSendable else { throw WebSocketFault(.protocolError, "a close code that may not be sent") }
    guard let reason = String(validating: payload[2...], as: UTF8.self) else {
      throw WebSocketFault(.invalidPayload, "a close reason is not UTF-8")
    }
    return .close(code, reason: reason)
  }
}
