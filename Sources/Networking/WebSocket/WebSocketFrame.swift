/// What a frame carries (RFC 6455, section 5.2).
enum WebSocketOpcode: UInt8, Sendable {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}

/// Encodes frames.
enum WebSocketFrame {
  /// A frame's head, of at most 14 bytes.
  struct Head {
    private var bytes: [14 of UInt8] = .init(repeating: 0)
    private(set) var count = 0

    /// With the shortest length, as the RFC demands.
    ///
    /// The mask's lowest byte is the first on the wire.
    init(_ opcode: WebSocketOpcode, count: Int, isFinal: Bool = true, mask: UInt32?) {
      append((isFinal ? 0x80 : 0) | opcode.rawValue)
      let masked: UInt8 = mask == nil ? 0 : 0x80
      switch count {
      case ..<126: append(masked | UInt8(count))
      case ..<65536:
        append(masked | 126)
        append(UInt8(count >> 8))
        append(UInt8(count & 0xff))
      default:
        append(masked | 127)
        for shift in stride(from: 56, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: count >> shift)) }
      }
      if let mask {
        for shift in stride(from: 0, to: 32, by: 8) { append(UInt8(truncatingIfNeeded: mask >> shift)) }
      }
    }

    private mutating func append(_ byte: UInt8) {
      bytes[count] = byte
      count += 1
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      withUnsafeBytes(of: bytes) { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }

  /// A whole frame.
  static func encode(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, isFinal: Bool = true, mask: UInt32?)
    -> [UInt8]
  {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(payload.count + 14)
    let head = Head(opcode, count: payload.count, isFinal: isFinal, mask: mask)
    head.withBytes { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: payload)
    if let mask { apply(mask, phase: 0, to: &bytes, from: head.count) }
    return bytes
  }

  static func encode(_ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, mask: UInt32?) -> [UInt8] {
    payload.withUnsafeBytes { encode(opcode, $0, isFinal: isFinal, mask: mask) }
  }

  /// A close frame's payload; the reason is cut to what a control frame can hold, at a character's border.
  static func closePayload(_ code: WebSocketCloseCode, reason: String) -> [UInt8] {
    var text = ""
    for character in reason {
      guard text.utf8.count + character.utf8.count <= 123 else { break }
      text.append(character)
    }
    return [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)] + Array(text.utf8)
  }

  /// Masks or unmasks in place, eight bytes at a time.
  ///
  /// `phase` is how many bytes of the frame came before.
  static func apply(_ mask: UInt32, phase: Int, to bytes: inout [UInt8], from start: Int) {
    let turned = UInt64(phase & 3) * 8
    let word = turned == 0 ? mask : (mask >> turned) | (mask << (32 - turned))
    let wide = UInt64(word) << 32 | UInt64(word)
    bytes.withUnsafeMutableBytes { buffer in
      var index = start
      while index + 8 <= buffer.count {
        let value = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ wide
        buffer.storeBytes(of: value.littleEndian, toByteOffset: index, as: UInt64.self)
        index += 8
      }
      var rest = wide
      while index < buffer.count {
        buffer[index] ^= UInt8(truncatingIfNeeded: rest)
        rest >>= 8
        index += 1
      }
    }
  }
}

extension SharedBytes {
  /// A whole unmasked binary frame, encoded once for all recipients of a server.
  package static func webSocketFrame(binary payload: [UInt8]) -> SharedBytes {
    let head = WebSocketFrame.Head(.binary, count: payload.count, mask: nil)
    return SharedBytes(count: head.count + payload.count) { memory in
      head.withBytes { memory.copyMemory(from: $0) }
      UnsafeMutableRawBufferPointer(rebasing: memory[head.count...]).copyBytes(from: payload)
    }
  }
}
