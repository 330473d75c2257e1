import Testing

@testable import Networking

@Suite("WebSocket framing")
struct WebSocketMachineTests {
  private func told(_ role: WebSocketMachine.Role, _ bytes: [UInt8], max: Int = 1 << 20) -> [String] {
    let whole = webSocket(role, bytes, piece: Swift.max(1, bytes.count), max: max)
    for piece in [1, 2, 3, 7] { #expect(webSocket(role, bytes, piece: piece, max: max) == whole) }
    return whole
  }

  /// A frame as it must not be: every field is given.
  private func frame(
    _ first: UInt8, _ payload: [UInt8], masked: Bool = false, length: [UInt8]? = nil
  ) -> [UInt8] {
    let mask: [UInt8] = [1, 2, 3, 4]
    var bytes = [first]
    var length = length ?? [UInt8(payload.count)]
    if masked { length[0] |= 0x80 }
    bytes += length
    if masked { bytes += mask }
    return bytes + (masked ? payload.enumerated().map { $1 ^ mask[$0 & 3] } : payload)
  }

  // The examples of RFC 6455, section 5.7.
  @Test func readsTheExamplesOfTheRFC() {
    #expect(told(.client, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]) == ["text Hello"])
    #expect(
      told(.server, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]) == ["text Hello"])
    #expect(told(.client, [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]) == ["text Hello"])
    #expect(told(.client, [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]) == ["ping [72, 101, 108, 108, 111]"])
    #expect(
      told(.server, [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
        == ["pong [72, 101, 108, 108, 111]"])
  }

  @Test func acceptsWhatTheRFCComputes() {
    #expect(WebSocketHandshake.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(WebSocketHandshake.newKey().count == 24)
    #expect(WebSocketHandshake.newKey() != WebSocketHandshake.newKey())
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 70000])
  func readsWhatItWrites(count: Int) {
    let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let expected = ["binary \(count) \(payload.reduce(0) { ($0 &* 31) &+ Int($1) })"]
    #expect(told(.client, WebSocketFrame.encode(.binary, payload, mask: nil)) == expected)
    #expect(told(.server, WebSocketFrame.encode(.binary, payload, mask: 0x89ab_cdef)) == expected)
    #expect(told(.server, WebSocketFrame.encode(.binary, payload, mask: 0)) == expected)
    #expect(told(.client, SharedBytes.webSocketFrame(binary: payload).bytes) == expected)
    // In fragments with a ping between them.
    let half = count / 2
    let pieces =
      WebSocketFrame.encode(.binary, Array(payload[..<half]), isFinal: false, mask: 0x1234_5678)
      + WebSocketFrame.encode(.ping, [1], mask: 77)
      + WebSocketFrame.encode(.continuation, Array(payload[half...]), mask: 0xfedc_ba98)
    #expect(told(.server, pieces) == ["ping [1]"] + expected)
  }

  @Test func refusesEveryBrokenFrame() {
    // Reserved bits and opcodes.
    for bit: UInt8 in [0x10, 0x20, 0x40] { #expect(told(.client, frame(0x82 | bit, [])) == ["fault 1002"]) }
    for opcode: UInt8 in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
      #expect(told(.client, frame(0x80 | opcode, [])) == ["fault 1002"])
    }
    // Masks.
    #expect(told(.server, frame(0x82, [1])) == ["fault 1002"])
    #expect(told(.client, frame(0x82, [1], masked: true)) == ["fault 1002"])
    // Control frames: whole and short.
    for opcode: UInt8 in [8, 9, 10] {
      #expect(told(.client, frame(opcode, [])) == ["fault 1002"])
      #expect(
        told(.client, frame(0x80 | opcode, [UInt8](repeating: 0, count: 126), length: [126, 0, 126])) == ["fault 1002"])
    }
    // Lengths in their shortest form, and never negative.
    #expect(told(.client, frame(0x82, [1], length: [126, 0, 1])) == ["fault 1002"])
    #expect(told(.client, frame(0x82, [UInt8](repeating: 0, count: 125), length: [126, 0, 125])) == ["fault 1002"])
    #expect(told(.client, frame(0x82, [], length: [127, 0, 0, 0, 0, 0, 0, 0xff, 0xff])) == ["fault 1002"])
    #expect(told(.client, frame(0x82, [], length: [127, 0x80, 0, 0, 0, 0, 0, 0, 0])) == ["fault 1002"])
    // Order of fragments.
    #expect(told(.client, frame(0x80, [1])) == ["fault 1002"])
    #expect(told(.client, frame(0x00, [1])) == ["fault 1002"])
    #expect(told(.client, frame(0x02, [1]) + frame(0x82, [2])) == ["fault 1002"])
    #expect(told(.client, frame(0x02, [1]) + frame(0x81, [2])) == ["fault 1002"])
    // Text that is not.
    #expect(told(.client, frame(0x81, [0xc3])) == ["fault 1007"])
    #expect(told(.client, frame(0x81, [0xed, 0xa0, 0x80])) == ["fault 1007"])
    #expect(told(.client, frame(0x01, [0xc3]) + frame(0x80, [0xa4])) == ["text ä"])
  }

  @Test func readsAndRefusesCloseFrames() {
    #expect(told(.client, frame(0x88, [])) == ["close 1005 "])
    #expect(told(.client, frame(0x88, [0x03, 0xe8])) == ["close 1000 "])
    #expect(told(.client, frame(0x88, [0x0f, 0xa0, 0x68, 0x69])) == ["close 4000 hi"])
    #expect(told(.client, frame(0x88, [0x03])) == ["fault 1002"])
    #expect(told(.client, frame(0x88, [0x03, 0xe8, 0xff])) == ["fault 1007"])
    for code: UInt16 in [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535] {
      #expect(told(.client, frame(0x88, [UInt8(code >> 8), UInt8(code & 255)])) == ["fault 1002"], "\(code)")
    }
    // Nothing counts after it.
    #expect(told(.client, frame(0x88, []) + frame(0x81, [0x41])) == ["close 1005 "])
    #expect(told(.client, frame(0x88, []) + [0xff, 0xff]) == ["close 1005 "])
    let long = WebSocketFrame.closePayload(.normal, reason: String(repeating: "ü", count: 100))
    #expect(long.count == 2 + 122)
  }

  @Test func boundsMessagesBeforeTheirBytesCome() {
    #expect(told(.client, frame(0x82, [], length: [126, 0x10, 0]), max: 4096) == [])
    #expect(told(.client, frame(0x82, [], length: [126, 0x10, 1]), max: 4096) == ["fault 1009"])
    #expect(told(.client, frame(0x82, [], length: [127, 0x7f, 255, 255, 255, 255, 255, 255, 255])) == ["fault 1009"])
    // The sum of the fragments counts.
    let part = [UInt8](repeating: 0, count: 100)
    let parts = frame(0x02, part) + frame(0x00, part) + frame(0x00, part)
    #expect(told(.client, parts + frame(0x80, [1]), max: 300) == ["fault 1009"])
    #expect(told(.client, parts + frame(0x80, []), max: 300) == ["binary 300 0"])
  }

  @Test(arguments: 0..<40)
  func survivesRandomBytes(seed: UInt64) {
    var random = Seeded(seed: seed)
    for _ in 0..<200 {
      var bytes: [UInt8] = []
      for _ in 0..<Int(1 + random.next() % 4) {
        let opcode = [0, 1, 2, 8, 9, 10][Int(random.next() % 6)] as UInt8
        let payload = (0..<Int(random.next() % 12)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes += frame((random.next() % 4 == 0 ? 0 : 0x80) | opcode, payload, masked: true)
      }
      for _ in 0..<Int(random.next() % 3) {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      #expect(
        webSocket(.server, bytes, piece: bytes.count, max: 1000) == webSocket(.server, bytes, piece: 1, max: 1000),
        "seed \(seed): \(bytes)")
    }
  }
}
