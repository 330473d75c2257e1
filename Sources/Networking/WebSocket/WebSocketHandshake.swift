import COpenSSL

/// The opening handshake (RFC 6455, section 4).
enum WebSocketHandshake {
  /// Whether a request wants a WebSocket at all.
  static func isUpgrade(_ head: HTTPRequestHead) -> Bool {
    head.headers.contains(token: "websocket", in: "Upgrade")
      && head.headers.contains(token: "upgrade", in: "Connection")
  }

  /// Checks a server's side of the request; the result is the key.
  ///
  /// - Throws: with the status 400, or 426 for another version.
  static func key(of head: HTTPRequestHead) throws(NetworkError) -> String {
    guard head.method == .get, head.minor == 1, head.framing == .none || head.framing == .length(0) else {
      throw HTTP1Head.violation("a WebSocket begins with a plain GET of HTTP/1.1")
    }
    guard head.headers.values(for: "Sec-WebSocket-Version") == ["13"] else {
      throw HTTP1Head.violation("only version 13 of WebSocket is spoken here", status: 426)
    }
    let keys = head.headers.values(for: "Sec-WebSocket-Key")
    guard keys.count == 1, isKey(keys[0]) else {
      throw HTTP1Head.violation("the WebSocket key is not 16 bytes in base64")
    }
    return keys[0]
  }

  private static func isKey(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count == 24, bytes[22] == 0x3d, bytes[23] == 0x3d else { return false }
    return bytes[..<22].allSatisfy {
      $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 || $0 == 0x2b || $0 == 0x2f
    }
  }

  static func offeredSubprotocols(_ headers: HTTPHeaders) -> [String] {
    headers.values(for: "Sec-WebSocket-Protocol").flatMap(HTTPHeaders.elements)
  }

  /// What proves that the server understood the key.
  static func accept(_ key: String) -> String {
    let input = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
    var digest = [UInt8](repeating: 0, count: 20)
    SHA1(input, input.count, &digest)
    return base64(digest)
  }

  static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      var word = 0
      for index in 0..<3 { word = word << 8 | (start + index < group.endIndex ? Int(bytes[start + index]) : 0) }
      for index in 0..<4 {
        result.append(index <= group.count ? alphabet[word >> (18 - 6 * index) & 63] : 0x3d)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  static func newKey() -> String {
    base64((0..<16).map { _ in UInt8.random(in: .min ... .max) })
  }

  /// The server's answer.
  static func response(key: String, subprotocol: String?) -> [UInt8] {
    var text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    text += "Sec-WebSocket-Accept: \(accept(key))\r\n"
    if let subprotocol { text += "Sec-WebSocket-Protocol: \(subprotocol)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  /// The fields that a client adds to its own.
  static func requestHeaders(_ headers: HTTPHeaders, key: String, subprotocol: String?) -> HTTPHeaders {
    var result = headers
    result.set("Upgrade", "websocket")
    result.set("Connection", "Upgrade")
    result.set("Sec-WebSocket-Version", "13")
    result.set("Sec-WebSocket-Key", key)
    if let subprotocol { result.set("Sec-WebSocket-Protocol", subprotocol) }
    return result
  }

  /// Checks the server's answer.
  ///
  /// - Throws: `upgradeRefused` with the status, or `protocolViolation` for a 101 that is not one.
  static func check(_ head: HTTPResponseHead, key: String, subprotocol: String?) throws(NetworkError) {
    guard head.status == 101 else {
      throw NetworkError(.upgradeRefused, "the server refused the WebSocket", status: head.status)
    }
    guard head.headers.contains(token: "websocket", in: "Upgrade"),
      head.headers.contains(token: "upgrade", in: "Connection"),
      head.headers.values(for: "Sec-WebSocket-Accept") == [accept(key)],
      head.headers.values(for: "Sec-WebSocket-Extensions").isEmpty
    else { throw NetworkError(.protocolViolation, "the server's answer is not a WebSocket's") }
    let chosen = head.headers.values(for: "Sec-WebSocket-Protocol")
    guard chosen.isEmpty || (chosen.count == 1 && chosen[0] == subprotocol) else {
      throw NetworkError(.protocolViolation, "the server chose a subprotocol that was not offered")
    }
    guard subprotocol == nil || chosen.count == 1 else {
      throw NetworkError(.protocolViolation, "the server does not speak the subprotocol")
    }
  }
}
