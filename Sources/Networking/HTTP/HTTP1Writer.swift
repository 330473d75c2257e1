import Glibc

/// Writes heads.
///
/// Nothing that it is given can start another line: such fields are refused.
enum HTTP1Writer {
  /// A field that can be sent: its name is a token, its value has no control characters.
  static func isValid(_ name: String, _ value: String) -> Bool {
    !name.isEmpty && name.utf8.allSatisfy(HTTP1Head.isToken)
      && value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }
  }

  private static let ownFields = ["Content-Length", "Connection", "Transfer-Encoding", "Date"]

  /// The head of a server's response; a handler's invalid fields are left out, and the framing is ours.
  static func response(
    _ response: HTTPResponse, keepAlive: Bool, hasKeepAliveField: Bool = false, date: String
  ) -> [UInt8] {
    var text = "HTTP/1.1 \(response.status) \(reason(response.status))\r\n"
    for field in response.headers.fields where isValid(field.name, field.value) {
      if ownFields.contains(where: { HTTPHeaders.isSame($0, field.name) }) { continue }
      text += "\(field.name): \(field.value)\r\n"
    }
    if response.status >= 200 && response.status != 204 && response.status != 304 {
      text += "Content-Length: \(response.body.count)\r\n"
    }
    if !keepAlive {
      text += "Connection: close\r\n"
    } else if hasKeepAliveField {
      text += "Connection: keep-alive\r\n"
    }
    text += "Date: \(date)\r\n\r\n"
    return Array(text.utf8)
  }

  /// The head of a client's request.
  ///
  /// - Throws: `misuse` when a field or the method cannot be sent.
  static func request(
    _ method: HTTPMethod, _ url: WebURL, headers: HTTPHeaders, bodyCount: Int
  ) throws(NetworkError) -> [UInt8] {
    guard !method.rawValue.isEmpty, method.rawValue.utf8.allSatisfy(HTTP1Head.isToken),
      headers.fields.allSatisfy({ isValid($0.name, $0.value) }),
      url.target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { throw NetworkError(.misuse, "a header, method or path cannot be sent") }
    var text = "\(method.rawValue) \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\n"
    for field in headers.fields
    where !["Host", "Content-Length", "Transfer-Encoding"].contains(where: { HTTPHeaders.isSame($0, field.name) }) {
      text += "\(field.name): \(field.value)\r\n"
    }
    if bodyCount > 0 || [.post, .put, .patch].contains(method) { text += "Content-Length: \(bodyCount)\r\n" }
    text += "\r\n"
    return Array(text.utf8)
  }

  /// The date as HTTP writes it (RFC 9110, section 5.6.7).
  static func date(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900) "
      + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
  }

  static func reason(_ status: Int) -> String {
    switch status {
    case 100: "Continue"
    case 101: "Switching Protocols"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 426: "Upgrade Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }
}
