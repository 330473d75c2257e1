import Networking
import RelayProtocol

/// Which web pages may use the relay (the CORS protocol of the Fetch standard, and RFC 6455 section 10.2).
///
/// A browser says in `Origin` whose page asks, and no page can change that. Other clients send none. There are no cookies
/// here that a page could abuse, but there is its visitor's network position: whoever is not on the list gets nothing.
struct CrossOrigin: Sendable {
  private let allowed: Set<String>

  init(allowed: [String]) { self.allowed = Set(allowed) }

  /// Whether the text can stand in the list: a scheme, a host and perhaps a port, as browsers write them.
  ///
  /// Neither `*` nor `null` is one: any page can make itself either.
  static func isOrigin(_ text: String) -> Bool {
    guard let colon = text.firstRange(of: "://") else { return false }
    let (scheme, rest) = (text[..<colon.lowerBound], text[colon.upperBound...])
    guard let first = scheme.utf8.first, first &- 0x61 < 26, scheme.utf8.allSatisfy({ isPlain($0) || $0 == 0x2b }),
      !rest.isEmpty, rest.utf8.allSatisfy({ isPlain($0) || [0x3a, 0x5b, 0x5d, 0x5f].contains($0) })
    else { return false }
    // Browsers leave these out, so such an entry would never match.
    return !(scheme == "https" && rest.hasSuffix(":443")) && !(scheme == "http" && rest.hasSuffix(":80"))
  }

  /// `a-z`, `0-9`, `-` and `.`.
  private static func isPlain(_ byte: UInt8) -> Bool {
    byte &- 0x61 < 26 || byte &- 0x30 < 10 || byte == 0x2d || byte == 0x2e
  }

  /// Whose page asks; `nil` when it is none.
  ///
  /// - Throws: `forbidden` for a page that is not on the list.
  func origin(of request: HTTPRequest) throws(RelayError) -> String? {
    let origins = request.headers.values(for: "Origin")
    guard let origin = origins.first else { return nil }
    guard origins.count == 1, allowed.contains(origin) else {
      throw RelayError(.forbidden, "Pages of this origin may not use the relay.")
    }
    return origin
  }

  /// Lets the page read the answer, and later requests be told apart by caches.
  func mark(_ response: inout HTTPResponse, for request: HTTPRequest) {
    if !allowed.isEmpty { response.headers.append("Vary", "Origin") }
    guard let origin = try? origin(of: request) else { return }
    // Never a wildcard, and no `Allow-Credentials`: tokens are the page's own to send.
    response.headers.set("Access-Control-Allow-Origin", origin)
    response.headers.set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
  }

  /// The answer to a browser that asks before it sends a page's request, with the methods that the path has.
  static func preflight(_ request: HTTPRequest, methods: [String]) -> HTTPResponse? {
    guard request.method == .options, !methods.isEmpty, request.headers["Origin"] != nil,
      request.headers["Access-Control-Request-Method"] != nil
    else { return nil }
    return HTTPResponse(
      status: 204,
      headers: [
        "Access-Control-Allow-Methods": methods.joined(separator: ", "),
        "Access-Control-Allow-Headers": "Authorization, Content-Type", "Access-Control-Max-Age": "600",
      ])
  }
}
