import FoundationEssentials
import Networking
import RelayProtocol

/// One request, as an endpoint sees it.
struct Call: Sendable {
  let request: HTTPRequest
  /// The path's placeholders, in order.
  let parameters: [String]
  let authenticated: Caller?

  /// Who calls; routes that need no session have nobody.
  var caller: Caller {
    get throws(RelayError) {
      guard let authenticated else { throw RelayError(.unauthenticated, "This needs an access token.") }
      return authenticated
    }
  }

  /// The body, which must be one JSON value of that type.
  func body<Body: Decodable>(_ type: Body.Type = Body.self) throws(RelayError) -> Body {
    do {
      return try JSONDecoder().decode(type, from: Data(request.body))
    } catch {
      throw RelayError(.invalidRequest, "The body is not what this route takes.")
    }
  }

  /// The room of the path. A malformed id is no room, and is not told apart from one.
  var room: RoomID {
    get throws(RelayError) {
      guard let room = parameters.first.flatMap({ RoomID($0) }) else {
        throw RelayError(.roomNotFound, "There is no such room.")
      }
      return room
    }
  }

  /// A whole number of the query; `fallback` where it is absent.
  func number<Number: FixedWidthInteger>(_ name: String, default fallback: Number) throws(RelayError) -> Number {
    guard let text = request.query(name) else { return fallback }
    guard let number = Number(text) else { throw RelayError(.invalidRequest, "A query value is not a number.") }
    return number
  }
}

extension API {
  static func json(_ body: some Encodable, status: Int = 200) throws(RelayError) -> HTTPResponse {
    do {
      return HTTPResponse(
        status: status, headers: ["Content-Type": "application/json"], body: Array(try JSONEncoder().encode(body)))
    } catch {
      throw RelayError(.internalError, "An answer cannot be written.")
    }
  }

  static let done = HTTPResponse(status: 204)

  /// The refusal as a problem document (RFC 9457).
  static func problem(_ error: RelayError) -> HTTPResponse {
    let problem = Problem(error.code, title: "\(error.title)", retryAfter: error.retryAfter)
    let body = (try? JSONEncoder().encode(problem)).map { Array($0) } ?? []
    var response = HTTPResponse(
      status: error.code.status, headers: ["Content-Type": "application/problem+json"], body: body)
    if error.code.status == 401 { response.headers.set("WWW-Authenticate", "Bearer") }
    if let seconds = error.retryAfter { response.headers.set("Retry-After", String(Int(max(1, seconds.rounded(.up))))) }
    return response
  }
}
