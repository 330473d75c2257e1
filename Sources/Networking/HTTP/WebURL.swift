/// An absolute `http`, `https`, `ws` or `wss` URL (RFC 3986), strict and ASCII only; no user info, no fragment.
package struct WebURL: Hashable, Sendable, CustomStringConvertible {
  package enum Scheme: String, Sendable {
    case http, https, ws, wss
    package var isSecure: Bool { self == .https || self == .wss }
    package var defaultPort: UInt16 { isSecure ? 443 : 80 }
  }

  package var scheme: Scheme
  /// A name in lower case, or a numeric address without brackets.
  package var host: String
  package var port: UInt16
  /// Begins with a slash; still percent-encoded.
  package var path: String
  /// Without the question mark; still percent-encoded.
  package var query: String?

  /// - Throws: `invalidURL` for everything that is not a plain absolute URL of these schemes.
  package init(_ text: String) throws(NetworkError) {
    let bytes = Array(text.utf8)
    guard bytes.count <= 4096, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x5c && $0 != 0x23 }) else {
      throw NetworkError(.invalidURL, "a URL is at most 4096 printable ASCII characters without fragment")
    }
    guard let colon = text.firstIndex(of: ":"), let scheme = Scheme(rawValue: text[..<colon].lowercased()),
      text[colon...].hasPrefix("://")
    else { throw NetworkError(.invalidURL, "a URL begins with http://, https://, ws:// or wss://") }
    let rest = text[colon...].dropFirst(3)
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let tail = rest[authority.endIndex...]
    guard !authority.contains("@") else { throw NetworkError(.invalidURL, "a URL must not carry user info") }

    var name = authority
    var portText: Substring?
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw NetworkError(.invalidURL, "unclosed bracket") }
      name = authority[authority.index(after: authority.startIndex)..<end]
      let after = authority[authority.index(after: end)...]
      guard after.isEmpty || after.first == ":" else { throw NetworkError(.invalidURL, "text after the bracket") }
      portText = after.isEmpty ? nil : after.dropFirst()
      guard name.contains(":"), SocketAddress.storage(host: String(name), port: 0) != nil else {
        throw NetworkError(.invalidURL, "not an IPv6 address between the brackets")
      }
    } else if let colon = authority.firstIndex(of: ":") {
      name = authority[..<colon]
      portText = authority[authority.index(after: colon)...]
    }
    guard !name.isEmpty, name.utf8.count <= 255,
      authority.first == "[" || name.utf8.allSatisfy({ WebURL.isNameByte($0) })
    else { throw NetworkError(.invalidURL, "the host is missing or not a name") }
    var port = scheme.defaultPort
    if let portText {
      guard !portText.isEmpty, portText.utf8.allSatisfy({ $0 &- 0x30 < 10 }), let number = UInt16(portText), number > 0
      else { throw NetworkError(.invalidURL, "the port is not a number from 1 to 65535") }
      port = number
    }
    self.scheme = scheme
    self.host = name.lowercased()
    self.port = port
    let question = tail.firstIndex(of: "?")
    let path = tail[..<(question ?? tail.endIndex)]
    self.path = path.isEmpty ? "/" : String(path)
    self.query = question.map { String(tail[tail.index(after: $0)...]) }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x2d || byte == 0x2e || byte == 0x5f
  }

  /// Host and port as the `Host` header has them: the port only when it is not the scheme's own.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == scheme.defaultPort ? name : "\(name):\(port)"
  }

  /// What a request line asks for.
  package var target: String { query.map { "\(path)?\($0)" } ?? path }

  package var description: String { "\(scheme.rawValue)://\(authority)\(target)" }

  /// The same server with another path, which is appended to this URL's own, and query.
  package func appending(path more: String, query: [(name: String, value: String)] = []) -> WebURL {
    var result = self
    let base = path.hasSuffix("/") ? String(path.dropLast()) : path
    result.path = base + (more.hasPrefix("/") ? more : "/" + more)
    result.query =
      query.isEmpty
      ? nil : query.map { "\(WebURL.encode($0.name))=\(WebURL.encode($0.value))" }.joined(separator: "&")
    return result
  }

  /// `https` for `wss`, `wss` for `https`, and so on.
  package func with(scheme: Scheme) -> WebURL {
    var result = self
    if port == self.scheme.defaultPort { result.port = scheme.defaultPort }
    result.scheme = scheme
    return result
  }

  /// Percent-encodes everything but the unreserved characters (RFC 3986, section 2.3).
  package static func encode(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    for byte in text.utf8 {
      if byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || [0x2d, 0x2e, 0x5f, 0x7e].contains(byte) {
        result.append(byte)
      } else {
        result.append(contentsOf: [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
