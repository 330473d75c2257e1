import Testing

@testable import Networking

@Suite("HTTP/1.1 framing")
struct HTTP1MachineTests {
  /// What the machine says, having made sure that it says the same however the bytes are cut.
  private func told(
    _ role: HTTP1Machine.Role, _ text: String, limits: HTTP1Machine.Limits = .init(), toHead: Bool = false,
    closes: Bool = false
  ) -> [String] {
    let bytes = Array(text.utf8)
    let whole = http(role, bytes, piece: max(1, bytes.count), limits: limits, toHead: toHead, closes: closes)
    for piece in [1, 2, 3, 7] {
      #expect(http(role, bytes, piece: piece, limits: limits, toHead: toHead, closes: closes) == whole)
    }
    return whole
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", ["GET /", "end "]),
    ("\r\nGET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", ["GET /a?b=c", "end "]),
    ("GET / HTTP/1.0\r\n\r\n", ["GET /", "end "]),
    ("GET http://h:8/p?q HTTP/1.1\r\nHost: x\r\n\r\n", ["GET /p?q", "end "]),
    ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", ["OPTIONS *", "end "]),
    ("POST / HTTP/1.1\r\nHost:x\r\nContent-Length: 5 \r\n\r\nhello", ["POST /", "end hello"]),
    ("POST / HTTP/1.1\r\nHost: x\r\ncontent-length:\t0\r\n\r\n", ["POST /", "end "]),
    (
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nwiki\r\n5;x=\"y\"\r\npedia\r\n00\r\nA: b\r\n\r\n",
      ["POST /", "end wikipedia"]
    ),
    (
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\naGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
      ["POST /", "end a", "GET /2", "end "]
    ),
    ("GET / HTTP/1.1\r\nHost: x\r\nX: \u{e4}\r\n\r\n", ["GET /", "end "]),
  ])
  func acceptsRequests(text: String, events: [String]) {
    #expect(told(.server, text) == events)
  }

  /// What two parsers might read differently, or what nobody sends honestly.
  static let smuggling: [(String, Int)] = [
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4 4\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \u{0661}\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\n Transfer-Encoding: chunked\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: x\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: \u{7f}\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA\u{e4}: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    (" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /\r\n\r\n", 400), ("GET / http/1.1\r\nHost: x\r\n\r\n", 400), ("GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505), ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ("GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /\u{e4} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET http://u@h/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n", 415),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: identity, br\r\nContent-Length: 1\r\n\r\n", 415),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 200-maybe\r\n\r\n", 417),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
  ]

  @Test(arguments: smuggling)
  func refusesRequests(text: String, status: Int) {
    #expect(told(.server, text) == ["error \(status)"], "\(text)")
  }

  @Test(arguments: [
    "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n", "\r\n", ";x\r\n", "g\r\n", "123456789\r\n", "1\r\nab\r\n",
    "1\r\na\n", "1\r\na\rb", "1;\0\r\n", "1\r\na1\r\n", "0\r\nA : b\r\n\r\n", "0\r\n b\r\n\r\n", "0\r\nA\r\n\r\n",
    "1;\(String(repeating: "x", count: 300))\r\n", "0\r\n\n",
  ])
  func refusesChunks(text: String) {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(told(.server, head + text) == ["POST /", "error 400"], "\(text)")
  }

  @Test func boundsEverything() {
    var limits = HTTP1Machine.Limits()
    limits.headBytes = 200
    limits.lineBytes = 50
    limits.headers = 3
    limits.bodyBytes = 10
    let head = "POST / HTTP/1.1\r\nHost: x\r\n"
    let long = String(repeating: "x", count: 250)
    #expect(told(.server, "GET /\(long)", limits: limits) == ["error 414"])
    #expect(told(.server, head + "A: \(long)", limits: limits) == ["error 431"])
    #expect(told(.server, head + "A: 1\r\nB: 2\r\n\r\n", limits: limits) == ["POST /", "end "])
    #expect(told(.server, head + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits: limits) == ["error 431"])
    #expect(
      told(.server, head + "Content-Length: 10\r\n\r\n0123456789", limits: limits) == ["POST /", "end 0123456789"])
    #expect(told(.server, head + "Content-Length: 11\r\n\r\n01234567890", limits: limits) == ["POST /", "error 413"])
    let chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
    #expect(told(.server, chunked + "6\r\n012345\r\n5\r\n", limits: limits) == ["POST /", "error 413"])
    #expect(told(.server, chunked + "7fffffff\r\n", limits: limits) == ["POST /", "error 413"])
    // Trailers are bounded like a head.
    #expect(told(.server, chunked + "0\r\nA: \(long)", limits: limits) == ["POST /", "error 431"])
  }

  @Test(arguments: [
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ["200", "end ok"]),
    ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", ["200", "end "]),
    ("HTTP/1.1 204 No Content\r\n\r\n", ["204", "end "]),
    ("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", ["304", "end "]),
    (
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 201 X\r\nContent-Length: 1\r\n\r\na",
      ["201", "end a"]
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ["200", "end a"]),
    ("HTTP/1.1 200 OK\r\n\r\nuntil the end", ["200", "end until the end"]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ["200", "error closed"]),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", ["200", "error closed"]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ["error 400"]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", ["error 400"]),
    ("HTTP/1.1 99 X\r\n\r\n", ["error 400"]), ("HTTP/1.1 600 X\r\n\r\n", ["error 400"]),
    ("HTTP/1.1 2000 X\r\n\r\n", ["error 400"]), ("ICY 200 OK\r\n\r\n", ["error 400"]),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", ["error 400"]),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ["error 413"]),
  ])
  func readsResponses(text: String, events: [String]) {
    #expect(told(.client, text, closes: true) == events, "\(text)")
  }

  @Test func knowsThatHeadHasNoBody() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    #expect(told(.client, text, toHead: true) == ["200", "end "])
  }

  @Test func endlessInterimResponsesEnd() {
    let text = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 20)
    #expect(told(.client, text) == ["error 400"])
  }

  @Test func writesNothingThatStartsALine() throws {
    let evil: HTTPHeaders = ["A": "b\r\nC: d", "E\r\nF": "g", "H": "i\0", "": "x", "J": "ok", "Content-Length": "99"]
    let head = HTTP1Writer.response(HTTPResponse(status: 200, headers: evil), keepAlive: true, date: "now")
    #expect(
      String(decoding: head, as: UTF8.self) == "HTTP/1.1 200 OK\r\nJ: ok\r\nContent-Length: 0\r\nDate: now\r\n\r\n")
    let url = try WebURL("http://h/")
    #expect(throws: NetworkError(.misuse, "")) {
      _ = try HTTP1Writer.request(.get, url, headers: ["A": "b\nc"], bodyCount: 0)
    }
    #expect(throws: NetworkError(.misuse, "")) {
      _ = try HTTP1Writer.request(HTTPMethod(rawValue: "GET /x HTTP/1.1\r\n"), url, headers: [:], bodyCount: 0)
    }
    var injected = url
    injected.path = "/ HTTP/1.1\r\nX: y"
    #expect(throws: NetworkError(.misuse, "")) {
      _ = try HTTP1Writer.request(.get, injected, headers: [:], bodyCount: 0)
    }
  }

  @Test func writesDates() {
    #expect(HTTP1Writer.date(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
  }

  @Test(arguments: 0..<40)
  func survivesRandomBytes(seed: UInt64) {
    var random = Seeded(seed: seed)
    let seeds = HTTP1MachineTests.smuggling.map { Array($0.0.utf8) }
    for _ in 0..<100 {
      var bytes = seeds[Int(random.next() % UInt64(seeds.count))]
      for _ in 0..<Int(random.next() % 8) {
        let at = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 3 {
        case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: at)
        default: bytes.insert([0x0d, 0x0a, 0x3a, 0x30][Int(random.next() % 4)], at: at)
        }
        if bytes.isEmpty { bytes = [0x0a] }
      }
      for role in [HTTP1Machine.Role.server, .client] {
        #expect(
          http(role, bytes, piece: bytes.count, closes: true) == http(role, bytes, piece: 1, closes: true),
          "seed \(seed): \(bytes)")
      }
    }
  }
}

/// Random numbers that come again with their seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
