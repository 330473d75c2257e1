/// The head of a request: line and fields, checked (RFC 9112, sections 3 and 5).
struct HTTPRequestHead: Sendable {
  var method: HTTPMethod
  /// The path as it came, and what follows the question mark.
  var path: String
  var query: String?
  /// Minor version: 0 or 1.
  var minor: Int
  var headers: HTTPHeaders
  var framing: HTTP1Framing
  var keepsAlive: Bool
  var expectsContinue: Bool
}

/// The head of a response (RFC 9112, section 4).
struct HTTPResponseHead: Sendable {
  var status: Int
  var headers: HTTPHeaders
  var framing: HTTP1Framing
  var keepsAlive: Bool
}

/// How a body's end is known (RFC 9112, section 6.3).
enum HTTP1Framing: Equatable, Sendable {
  case none
  case length(Int)
  case chunked
  case untilClose
}

/// Reads heads that are complete: their lines are known to end in CRLF and to hold no other control characters.
enum HTTP1Head {
  static func violation(_ text: StaticString, status: Int = 400, line: UInt = #line) -> NetworkError {
    NetworkError(.protocolViolation, text, status: status, line: line)
  }

  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    // ! # $ % & ' * + - . ^ _ ` | ~
    case 0x21, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e, 0x5f, 0x60, 0x7c, 0x7e: true
    default: false
    }
  }

  // MARK: Request

  static func request(_ lines: [ArraySlice<UInt8>]) throws(NetworkError) -> HTTPRequestHead {
    guard let first = lines.first else { throw violation("no request line") }
    let parts = first.split(separator: 0x20, omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw violation("the request line is not three words") }
    guard !parts[0].isEmpty, parts[0].count <= 32, parts[0].allSatisfy(isToken) else {
      throw violation("the method is not a token")
    }
    let minor = try version(parts[2])
    let method = HTTPMethod(rawValue: String(decoding: parts[0], as: UTF8.self))
    var headers = try fields(lines.dropFirst())
    let (path, query, authority) = try target(parts[1], method: method)

    let hosts = headers.values(for: "Host")
    guard hosts.count <= 1, minor == 0 || hosts.count == 1 else {
      throw violation("exactly one Host field is required")
    }
    if let host = hosts.first, !host.utf8.allSatisfy(isHostByte) { throw violation("the Host field is not a host") }
    // The authority of an absolute target wins over the field (RFC 9112, section 3.2.2).
    if let authority { headers.set("Host", authority) }

    // What is small here and huge once unpacked is not taken at all.
    guard headers.values(for: "Content-Encoding").allSatisfy({ HTTPHeaders.isSame($0, "identity") }) else {
      throw violation("compressed bodies are not taken", status: 415)
    }
    var framing = try bodyFraming(headers, minor: minor, ofResponse: false)
    if framing == .untilClose { framing = .none }
    var expectsContinue = false
    if let expectation = headers["Expect"], minor == 1 {
      guard HTTPHeaders.isSame(expectation, "100-continue") else {
        throw violation("this expectation cannot be met", status: 417)
      }
      expectsContinue = framing != .none && framing != .length(0)
    }
    return HTTPRequestHead(
      method: method, path: path, query: query, minor: minor, headers: headers, framing: framing,
      keepsAlive: keepsAlive(headers, minor: minor), expectsContinue: expectsContinue)
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7f && byte != 0x2f && byte != 0x40 && byte != 0x2c && byte != 0x3f && byte != 0x23
  }

  private static func target(
    _ bytes: ArraySlice<UInt8>, method: HTTPMethod
  ) throws(NetworkError) -> (path: String, query: String?, authority: String?) {
    guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x23 && $0 != 0x5c }) else {
      throw violation("the request target holds characters that are not allowed")
    }
    if method.rawValue == "CONNECT" { throw violation("no tunnels here", status: 501) }
    if bytes.elementsEqual([0x2a]) {
      guard method == .options else { throw violation("only OPTIONS may ask for the whole server") }
      return ("*", nil, nil)
    }
    var rest = bytes
    var authority: String?
    if bytes.first != 0x2f {
      let text = String(decoding: bytes, as: UTF8.self)
      let lower = text.prefix(8).lowercased()
      guard lower.hasPrefix("http://") || lower == "https://" else { throw violation("the request target is no path") }
      let start = bytes.startIndex + (lower == "https://" ? 8 : 7)
      let end = bytes[start...].firstIndex { $0 == 0x2f || $0 == 0x3f } ?? bytes.endIndex
      guard end > start, bytes[start..<end].allSatisfy(isHostByte) else { throw violation("the target has no host") }
      authority = String(decoding: bytes[start..<end], as: UTF8.self)
      rest = bytes[end...]
    }
    let question = rest.firstIndex(of: 0x3f)
    let path = rest[rest.startIndex..<(question ?? rest.endIndex)]
    return (
      path.isEmpty ? "/" : String(decoding: path, as: UTF8.self),
      question.map { String(decoding: rest[($0 + 1)...], as: UTF8.self) }, authority
    )
  }

  // MARK: Response

  static func response(_ lines: [ArraySlice<UInt8>], toHead: Bool) throws(NetworkError) -> HTTPResponseHead {
    guard let first = lines.first, first.count >= 12 else { throw violation("no status line") }
    let parts = first.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[1].count == 3, parts[1].allSatisfy({ $0 &- 0x30 < 10 }) else {
      throw violation("the status is not three digits")
    }
    let status = parts[1].reduce(0) { $0 * 10 + Int($1 - 0x30) }
    guard status >= 100, status < 600 else { throw violation("the status is out of range") }
    let minor = try version(parts[0])
    let headers = try fields(lines.dropFirst())
    var framing = try bodyFraming(headers, minor: minor, ofResponse: true)
    if toHead || status < 200 || status == 204 || status == 304 { framing = .none }
    return HTTPResponseHead(
      status: status, headers: headers, framing: framing,
      keepsAlive: keepsAlive(headers, minor: minor) && framing != .untilClose)
  }

  // MARK: Both

  private static func version(_ bytes: ArraySlice<UInt8>) throws(NetworkError) -> Int {
    let expected = Array("HTTP/1.".utf8)
    if bytes.count == 8, bytes.dropLast().elementsEqual(expected) {
      if bytes.last == 0x31 { return 1 }
      if bytes.last == 0x30 { return 0 }
    }
    let digits = Array(bytes.dropFirst(5))
    guard bytes.prefix(5).elementsEqual("HTTP/".utf8), digits.count == 3, digits[1] == 0x2e, digits[0] &- 0x30 < 10,
      digits[2] &- 0x30 < 10
    else { throw violation("not an HTTP version") }
    throw violation("this HTTP version is not spoken here", status: 505)
  }

  static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(NetworkError) -> HTTPHeaders {
    var headers = HTTPHeaders()
    for line in lines {
      guard let first = line.first, first != 0x20, first != 0x09 else {
        throw violation("folded header lines are not accepted")
      }
      guard let colon = line.firstIndex(of: 0x3a), colon > line.startIndex else {
        throw violation("a header line has no name")
      }
      let name = line[..<colon]
      // A blank before the colon is how one server's header becomes another's body.
      guard name.allSatisfy(isToken) else { throw violation("a header name is not a token") }
      headers.append(
        String(decoding: name, as: UTF8.self),
        String(decoding: HTTPHeaders.trim(line[(colon + 1)...]), as: UTF8.self))
    }
    return headers
  }

  private static func bodyFraming(
    _ headers: HTTPHeaders, minor: Int, ofResponse: Bool
  ) throws(NetworkError) -> HTTP1Framing {
    let codings = headers.values(for: "Transfer-Encoding")
    let lengths = headers.values(for: "Content-Length")
    if !codings.isEmpty {
      // Two ways to tell the body's end are two opinions on where the next message begins.
      guard lengths.isEmpty else { throw violation("both Content-Length and Transfer-Encoding") }
      guard minor == 1 else { throw violation("Transfer-Encoding in HTTP/1.0") }
      guard codings.count == 1 else { throw violation("more than one Transfer-Encoding field") }
      if HTTPHeaders.isSame(codings[0], "chunked") { return .chunked }
      let elements = HTTPHeaders.elements(codings[0])
      let chunked = elements.filter { HTTPHeaders.isSame($0, "chunked") }.count
      guard chunked == 1, let last = elements.last, HTTPHeaders.isSame(last, "chunked") else {
        throw violation("the last transfer coding is not chunked")
      }
      throw violation("this transfer coding is not spoken here", status: 501)
    }
    guard let text = lengths.first else { return .untilClose }
    guard lengths.count == 1 else { throw violation("more than one Content-Length") }
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 &- 0x30 < 10 }) else {
      throw violation("the Content-Length is not a number")
    }
    guard text.utf8.count <= 18, let length = Int(text) else {
      throw NetworkError(.tooLarge, "the body is too large", status: 413)
    }
    return .length(length)
  }

  private static func keepsAlive(_ headers: HTTPHeaders, minor: Int) -> Bool {
    if headers.contains(token: "close", in: "Connection") { return false }
    return minor == 1 || headers.contains(token: "keep-alive", in: "Connection")
  }
}
