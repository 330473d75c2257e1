import Testing

@testable import Networking

/// A rule of RFC 6455 as bytes that a client sends, and what a server makes of them.
struct FrameRule: Sendable, CustomTestStringConvertible {
  /// By the section of the RFC.
  let number: String
  let rule: String
  let frames: [UInt8]
  /// What is echoed or answered, in order: `text …`, `binary N`, `pong […]`, `close CODE`.
  let answers: [String]

  var testDescription: String { "\(number): \(rule)" }

  init(_ number: String, _ rule: String, _ frames: [[UInt8]], _ answers: String...) {
    (self.number, self.rule, self.frames, self.answers) = (number, rule, frames.flatMap { $0 }, answers)
  }
}

/// A frame as a client writes it, masked; whatever is wrong with it is given.
private func frame(
  _ first: UInt8, _ payload: [UInt8] = [], length: [UInt8]? = nil, isMasked: Bool = true,
  mask: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
) -> [UInt8] {
  var head = length ?? shortest(payload.count)
  if isMasked { head[0] |= 0x80 }
  let body = isMasked ? payload.enumerated().map { $1 ^ mask[$0 & 3] } : payload
  return [first] + head + (isMasked ? mask : []) + body
}

private func shortest(_ count: Int) -> [UInt8] {
  switch count {
  case ..<126: [UInt8(count)]
  case ..<65536: [126, UInt8(count >> 8), UInt8(count & 255)]
  default: [127] + (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) }
  }
}

private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) } }
private func close(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
  frame(0x88, [UInt8(code >> 8), UInt8(code & 255)] + reason)
}

private let text = "Hé".utf8.map { $0 }
private let bye = close(1000)

extension FrameRule {
  static let all: [FrameRule] = framing + reserved + control + fragments + utf8 + closing

  private static let framing: [FrameRule] =
    [0, 1, 125, 126, 127, 65535, 65536, 200_000].map {
      FrameRule("5.2.\($0)", "a message of \($0) bytes", [frame(0x82, bytes($0)), bye], "binary \($0)", "close 1000")
    } + [
      FrameRule("5.2.a", "a text", [frame(0x81, text), bye], "text Hé", "close 1000"),
      FrameRule("5.2.b", "an empty text", [frame(0x81), bye], "text ", "close 1000"),
      FrameRule("5.2.c", "16 bits for 125", [frame(0x82, bytes(125), length: [126, 0, 125])], "close 1002"),
      FrameRule("5.2.d", "16 bits for 0", [frame(0x82, [], length: [126, 0, 0])], "close 1002"),
      FrameRule(
        "5.2.e", "64 bits for 65535", [frame(0x82, [], length: [127, 0, 0, 0, 0, 0, 0, 255, 255])], "close 1002"),
      FrameRule("5.2.f", "64 bits for 1", [frame(0x82, [1], length: [127, 0, 0, 0, 0, 0, 0, 0, 1])], "close 1002"),
      FrameRule(
        "5.2.g", "a length with the highest bit", [frame(0x82, [], length: [127, 128, 0, 0, 0, 0, 0, 0, 0])],
        "close 1002"
      ),
      FrameRule(
        "5.2.h", "more than the limit, before it comes", [frame(0x82, [], length: [127, 0, 0, 0, 1, 0, 0, 0, 0])],
        "close 1009"),
      FrameRule(
        "5.2.i", "more than the limit in fragments",
        [frame(0x02, bytes(600_000)), frame(0x80, [], length: shortest(600_000))], "close 1009"),
      FrameRule("5.3.1", "no mask", [frame(0x82, [1], isMasked: false)], "close 1002"),
      FrameRule("5.3.2", "no mask on a ping", [frame(0x89, [], isMasked: false)], "close 1002"),
      FrameRule("5.3.3", "a mask of zeros", [frame(0x81, text, mask: [0, 0, 0, 0]), bye], "text Hé", "close 1000"),
      FrameRule(
        "5.3.4", "masks that differ",
        [frame(0x01, [72], mask: [1, 2, 3, 4]), frame(0x80, [105], mask: [9, 8, 7, 6]), bye], "text Hi", "close 1000"),
    ]

  private static let reserved: [FrameRule] =
    [0x10, 0x20, 0x40, 0x70].flatMap { (bit: UInt8) in
      [
        FrameRule("5.2.rsv.\(bit)", "a reserved bit", [frame(0x81 | bit, text)], "close 1002"),
        FrameRule("5.2.rsv.\(bit).ping", "a reserved bit on a ping", [frame(0x89 | bit)], "close 1002"),
        FrameRule(
          "5.2.rsv.\(bit).later", "a reserved bit after good messages", [frame(0x81, text), frame(0x82 | bit, [1])],
          "text Hé", "close 1002"),
      ]
    }
    + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap { (opcode: UInt8) in
      [
        FrameRule("5.2.op.\(opcode)", "a reserved opcode", [frame(0x80 | opcode, [1])], "close 1002"),
        FrameRule(
          "5.2.op.\(opcode).within", "a reserved opcode between fragments", [frame(0x01, text), frame(0x80 | opcode)],
          "close 1002"),
      ]
    }

  private static let control: [FrameRule] =
    [0x88, 0x89, 0x8a].flatMap { (first: UInt8) in
      [
        FrameRule("5.5.\(first).long", "a control frame of 126 bytes", [frame(first, bytes(126))], "close 1002"),
        FrameRule(
          "5.5.\(first).huge", "a control frame of 64 bits' length",
          [frame(first, [], length: [127, 0, 0, 0, 0, 0, 1, 0, 0])], "close 1002"),
        FrameRule("5.5.\(first).part", "a control frame in fragments", [frame(first & 0x0f)], "close 1002"),
      ]
    } + [
      FrameRule("5.5.2.1", "a ping", [frame(0x89), bye], "pong []", "close 1000"),
      FrameRule("5.5.2.2", "a ping with a payload", [frame(0x89, [0, 255]), bye], "pong [0, 255]", "close 1000"),
      FrameRule("5.5.2.3", "a ping of 125 bytes", [frame(0x89, bytes(125)), bye], "pong \(bytes(125))", "close 1000"),
      FrameRule(
        "5.5.2.4", "ten pings", [[UInt8]](repeating: frame(0x89, [7]), count: 3) + [bye], "pong [7]", "pong [7]",
        "pong [7]", "close 1000"),
      FrameRule(
        "5.5.3.1", "a pong that nobody asked for", [frame(0x8a, [1]), frame(0x81, text), bye], "text Hé",
        "close 1000"),
      FrameRule(
        "5.5.3.2", "a pong of 125 bytes", [frame(0x8a, bytes(125)), frame(0x89), bye], "pong []", "close 1000"),
    ]

  private static let fragments: [FrameRule] = [
    FrameRule("5.4.1", "two fragments", [frame(0x01, [72]), frame(0x80, [105]), bye], "text Hi", "close 1000"),
    FrameRule(
      "5.4.2", "a ping between fragments", [frame(0x01, [72]), frame(0x89, [1]), frame(0x80, [105]), bye], "pong [1]",
      "text Hi", "close 1000"),
    FrameRule(
      "5.4.3", "a pong between fragments", [frame(0x02, [72]), frame(0x8a, [1]), frame(0x80, [105]), bye], "binary 2",
      "close 1000"),
    FrameRule("5.4.4", "a close between fragments", [frame(0x01, [72]), bye, frame(0x80, [105])], "close 1000"),
    FrameRule(
      "5.4.5", "empty fragments", [frame(0x01), frame(0x00), frame(0x80), bye], "text ", "close 1000"),
    FrameRule(
      "5.4.6", "an empty middle", [frame(0x01, [72]), frame(0x00), frame(0x80, [105]), bye], "text Hi", "close 1000"),
    FrameRule("5.4.7", "a continuation of nothing", [frame(0x80, [1])], "close 1002"),
    FrameRule("5.4.8", "an open continuation of nothing", [frame(0x00, [1])], "close 1002"),
    FrameRule(
      "5.4.9", "a continuation after the end", [frame(0x01, [72]), frame(0x80), frame(0x80)], "text H", "close 1002"),
    FrameRule("5.4.10", "a text within a text", [frame(0x01, [72]), frame(0x81, [105])], "close 1002"),
    FrameRule("5.4.11", "a binary within a text", [frame(0x01, [72]), frame(0x82, [105])], "close 1002"),
    FrameRule("5.4.12", "another beginning within fragments", [frame(0x02, [72]), frame(0x02, [105])], "close 1002"),
    FrameRule(
      "5.4.13", "a hundred fragments and pings",
      [frame(0x02, [1])] + (0..<100).flatMap { _ in [frame(0x00, [1]), frame(0x8a)] } + [frame(0x80, [1]), bye],
      "binary 102", "close 1000"),
  ]

  private static func utf8Case(_ number: String, _ rule: String, _ payload: [UInt8], isGood: Bool) -> [FrameRule] {
    let whole = isGood ? ["text \(String(decoding: payload, as: UTF8.self))", "close 1000"] : ["close 1007"]
    // Whole, and with every byte a fragment of its own.
    var cut = [frame(0x01)] + payload.map { frame(0x00, [$0]) }
    cut.append(frame(0x80))
    return [("", [frame(0x81, payload)]), (".cut", cut)].map { suffix, frames in
      var rule = FrameRule("8.1.\(number)\(suffix)", rule, frames + [bye])
      rule = FrameRule(rule, answers: whole)
      return rule
    }
  }

  private init(_ other: FrameRule, answers: [String]) {
    (number, rule, frames, self.answers) = (other.number, other.rule, other.frames, answers)
  }

  private static let utf8: [FrameRule] =
    [
      utf8Case("1", "every length of a character", Array("aé€😀".utf8), isGood: true),
      utf8Case("2", "the last character", [0xf4, 0x8f, 0xbf, 0xbf], isGood: true),
      utf8Case("3", "a noncharacter", [0xef, 0xbf, 0xbe], isGood: true),
      utf8Case("4", "a zero", [0], isGood: true),
      utf8Case("5", "around the surrogates", [0xed, 0x9f, 0xbf, 0xee, 0x80, 0x80], isGood: true),
      utf8Case("6", "a lone continuation", [0x80], isGood: false),
      utf8Case("7", "a beginning alone", [0x61, 0xc3], isGood: false),
      utf8Case("8", "a beginning before a letter", [0xc3, 0x61], isGood: false),
      utf8Case("9", "a long form of a slash", [0xc0, 0xaf], isGood: false),
      utf8Case("10", "a longer form of a slash", [0xe0, 0x80, 0xaf], isGood: false),
      utf8Case("11", "the longest form of a zero", [0xf0, 0x80, 0x80, 0x80], isGood: false),
      utf8Case("12", "a surrogate", [0xed, 0xa0, 0x80], isGood: false),
      utf8Case("13", "a pair of surrogates", [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], isGood: false),
      utf8Case("14", "beyond the last character", [0xf4, 0x90, 0x80, 0x80], isGood: false),
      utf8Case("15", "five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80], isGood: false),
      utf8Case("16", "bytes that never occur", [0xfe, 0xff], isGood: false),
      utf8Case("17", "three bytes of four", [0xf0, 0x9f, 0x98], isGood: false),
    ].flatMap { $0 } + [
      FrameRule("8.1.18", "a ping is no text", [frame(0x89, [0xff]), bye], "pong [255]", "close 1000"),
      FrameRule("8.1.19", "binary is no text", [frame(0x82, [0xff]), bye], "binary 1", "close 1000"),
      FrameRule(
        "8.1.20", "a ping within a character", [frame(0x01, [0xc3]), frame(0x89), frame(0x80, [0xa9]), bye], "pong []",
        "text é", "close 1000"),
    ]

  private static let closing: [FrameRule] =
    ([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] as [UInt16]).map {
      FrameRule("7.4.\($0)", "a code that may be sent", [close($0)], "close \($0)")
    }
    + ([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] as [UInt16]).map {
      FrameRule("7.4.\($0)", "a code that may not be sent", [close($0)], "close 1002")
    } + [
      FrameRule("5.5.1.1", "no code", [frame(0x88)], "close 1005"),
      FrameRule("5.5.1.2", "half a code", [frame(0x88, [3])], "close 1002"),
      FrameRule("5.5.1.3", "a reason", [close(1000, text)], "close 1000"),
      FrameRule("5.5.1.4", "the longest reason", [close(1000, [UInt8](repeating: 0x61, count: 123))], "close 1000"),
      FrameRule(
        "5.5.1.5", "a reason that is too long", [close(1000, [UInt8](repeating: 0x61, count: 124))], "close 1002"),
      FrameRule("5.5.1.6", "a reason that is no text", [close(1000, [0xff])], "close 1007"),
      FrameRule("5.5.1.7", "half a character in a reason", [close(1000, [0xc3])], "close 1007"),
      FrameRule("5.5.1.8", "a message after the close", [bye, frame(0x81, text)], "close 1000"),
      FrameRule("5.5.1.9", "a ping after the close", [bye, frame(0x89)], "close 1000"),
      FrameRule("5.5.1.10", "two closes", [bye, close(1001)], "close 1000"),
      FrameRule("5.5.1.11", "what is broken after the close", [bye, [0xff, 0xff, 0xff]], "close 1000"),
    ]
}

@Suite("The frame rules of RFC 6455")
struct FrameRuleTests {
  @Test func numbersAreUnique() {
    #expect(Set(FrameRule.all.map(\.number)).count == FrameRule.all.count && FrameRule.all.count > 120)
  }

  /// Every rule against a live server that echoes, with all frames in one write and cut at every place.
  @Test func aLiveServerKeepsThem() async throws {
    try await withServer { _, address in
      for rule in FrameRule.all {
        let expected = rule.answers
        let whole = try await answers(to: [rule.frames], at: address)
        #expect(whole == expected, "\(rule.testDescription)")
        guard rule.frames.count < 40 else { continue }
        let cut = try await answers(to: rule.frames.map { [$0] }, at: address)
        #expect(cut == expected, "\(rule.testDescription), cut")
      }
    }
  }

  /// The same rules hold for what a server sends to our client, where the RFC has the same for both: without masks.
  @Test func theMachineKeepsThemInBothRoles() {
    for rule in FrameRule.all {
      let whole = webSocket(.server, rule.frames, piece: max(1, rule.frames.count))
      for piece in [1, 2, 5] {
        #expect(webSocket(.server, rule.frames, piece: piece) == whole, "\(rule.testDescription)")
      }
      guard let bare = unmasked(rule.frames) else { continue }
      let client = webSocket(.client, bare, piece: max(1, bare.count))
      // The two rules on masks turn round.
      if !rule.number.hasPrefix("5.3.1"), !rule.number.hasPrefix("5.3.2") {
        #expect(client == whole, "\(rule.testDescription)")
      }
      #expect(webSocket(.client, rule.frames, piece: 1).last == "fault 1002" || !isMasked(rule.frames))
    }
  }

  private func isMasked(_ bytes: [UInt8]) -> Bool { bytes[1] & 0x80 != 0 }

  /// The frames without their masks; `nil` where one is incomplete.
  private func unmasked(_ bytes: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var rest = bytes[...]
    while rest.count >= 2 {
      let start = rest.startIndex
      let short = rest[start + 1] & 0x7f
      let extra = short == 126 ? 2 : short == 127 ? 8 : 0
      guard rest[start + 1] & 0x80 != 0, rest.count >= 6 + extra else { return nil }
      var length = extra == 0 ? Int(short) : 0
      for index in 0..<extra { length = length << 8 | Int(rest[start + 2 + index]) }
      result += [rest[start], short] + rest[(start + 2)..<(start + 2 + extra)]
      let mask = Array(rest[(start + 2 + extra)..<(start + 6 + extra)])
      rest = rest.dropFirst(6 + extra)
      guard length >= 0, length <= rest.count else { return nil }
      result += rest.prefix(length).enumerated().map { $1 ^ mask[$0 & 3] }
      rest = rest.dropFirst(length)
    }
    return rest.isEmpty ? result : nil
  }

  private func answers(to writes: [[UInt8]], at address: SocketAddress) async throws -> [String] {
    let socket = try RawSocket(address)
    socket.write(
      "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    let head = await socket.read(until: "\r\n\r\n")
    try #require(head.hasPrefix("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
    // Our own machine reads the server's frames; the server ends the connection after its close frame.
    async let everything = readEverything(socket)
    for write in writes { socket.write(write) }
    let bytes = await everything
    return webSocket(.client, bytes, piece: max(1, bytes.count)).map { event in
      let words = event.split(separator: " ", omittingEmptySubsequences: false)
      switch words[0] {
      case "binary": return "binary \(words[1])"
      case "close": return "close \(words[1])"
      default: return event
      }
    }
  }

  private func readEverything(_ socket: RawSocket) async -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let more = await socket.read(upTo: 65536)
      guard !more.isEmpty else { return all }
      all += more
    }
  }
}
