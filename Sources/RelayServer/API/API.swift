import Networking
import Observability
import RelayProtocol

/// The relay's HTTP interface: finds the route, checks who calls and how often, and answers every refusal with a problem
/// document.
final class API: HTTPHandler {
  /// Answers the requests of one route.
  typealias Endpoint = @Sendable (API, Call) async throws(RelayError) -> HTTPResponse

  struct Services: Sendable {
    let configuration: RelayConfiguration
    let store: any RelayStore
    let bus: any Bus
    let writer: LogWriter
    let tokens: AccessTokens
    let authenticator: Authenticator
    let passwords: Passwords
    let external: ExternalIssuer?
    let polls: PollBoard
    let counts: ConnectionCounts
    let presence: PresenceKeeper
    let throttles: Throttles
    let instruments: Instruments
    let monitor: Monitor
    let hubs: [ObjectIdentifier: Hub]
    let timers: EventLoop
    let now: @Sendable () -> UInt64
  }

  let services: Services
  private let log: Log
  private let crossOrigin: CrossOrigin
  private let table: [(route: Route, parts: [Substring], endpoint: Endpoint)]

  init(_ services: Services, log: Log) {
    self.services = services
    self.log = log
    crossOrigin = CrossOrigin(allowed: services.configuration.allowedOrigins)
    // What a path says itself comes before what stands in for anything.
    table = Self.endpoints.map { ($0.key, $0.key.path.split(separator: "/"), $0.value) }
      .sorted { $0.parts.count { $0.hasPrefix("{") } < $1.parts.count { $0.hasPrefix("{") } }
  }

  /// All routes but the socket, by group.
  static let endpoints: [Route: Endpoint] = [
    health, accounts, external, people, sessions, devices, keyPackages, rooms, joining, directory, log, welcomes, poll,
  ].reduce(into: [:]) { all, group in all.merge(group) { first, _ in first } }

  // MARK: Requests

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    let result = await Result.of { () throws(RelayError) in
      _ = try crossOrigin.origin(of: request)
      return try await answer(request)
    }
    if case .failure(let error) = result { services.instruments.count(error.code) }
    var response = result.recover(Self.problem)
    crossOrigin.mark(&response, for: request)
    if response.status >= 500 { log.warning("request failed", ["status": response.status]) }
    services.instruments.requests[StatusClass(response.status)].add()
    response.headers.set("Cache-Control", "no-store")
    response.headers.set("X-Content-Type-Options", "nosniff")
    return response
  }

  private func answer(_ request: HTTPRequest) async throws(RelayError) -> HTTPResponse {
    var allowed: [String] = []
    for item in table {
      guard let parameters = Self.match(item.parts, request.segments) else { continue }
      guard item.route.method.rawValue == request.method.rawValue else {
        allowed.append(item.route.method.rawValue)
        continue
      }
      if item.route.givesWay { try services.monitor.admit() }
      var caller: Caller?
      if item.route.authorization == .session { caller = try await self.caller(of: request) }
      if let caller { try services.throttles.request(by: caller.user, now: services.now()) }
      return try await item.endpoint(self, Call(request: request, parameters: parameters, authenticated: caller))
    }
    if request.path == Route.socket.path {
      guard request.method != .get else { throw RelayError(.invalidRequest, "This path is for WebSockets.") }
      allowed.append(Route.socket.method.rawValue)
    }
    if let response = CrossOrigin.preflight(request, methods: allowed) { return response }
    guard allowed.isEmpty else {
      var response = Self.problem(RelayError(.methodNotAllowed, "The path has no such method."))
      response.headers.set("Allow", allowed.joined(separator: ", "))
      return response
    }
    throw RelayError(.notFound, "There is nothing at this path.")
  }

  private static func match(_ parts: [Substring], _ segments: [String]) -> [String]? {
    guard parts.count == segments.count else { return nil }
    var parameters: [String] = []
    for (part, segment) in zip(parts, segments) {
      if part.hasPrefix("{") { parameters.append(segment) } else if part != segment { return nil }
    }
    return parameters
  }

  private func caller(of request: HTTPRequest) async throws(RelayError) -> Caller {
    let headers = request.headers.values(for: "Authorization")
    guard headers.count == 1, let token = Authenticator.bearerToken(headers[0]) else {
      throw RelayError(.unauthenticated, "This needs an access token.")
    }
    return try await services.authenticator.caller(token: token)
  }

  /// Who counts as one visitor.
  func visitor(of request: HTTPRequest) -> String { request.client.visitor }

  /// What the server refuses by itself, before there is a request: malformed, too large, too slow, too many.
  func refusal(status: Int) -> HTTPResponse {
    switch status {
    case 400: Self.problem(RelayError(.invalidRequest, "This is not a request."))
    case 413: Self.problem(RelayError(.tooLarge, "The body is too large."))
    case 429: Self.problem(RelayError(.rateLimited, "Too many connections from this address.", retryAfter: 5))
    case 503: Self.problem(RelayError(.unavailable, "There is no room at present.", retryAfter: 5))
    default: HTTPResponse(status: status)
    }
  }

  /// Bounds a body before its first byte is read. Base64url makes four characters of three bytes.
  func bodyLimit(_ method: HTTPMethod, segments: [String], headers: HTTPHeaders) -> Int {
    let limit = Self.bodyLimit(segments)
    guard limit > Limits.jsonBody else { return limit }
    // Much memory only for those who have shown a token of ours, be its session alive or not.
    let token = headers["Authorization"].flatMap { Authenticator.bearerToken($0) }
    return token.map { services.authenticator.isOurs($0) } ?? false ? limit : Limits.jsonBody
  }

  private static func bodyLimit(_ segments: [String]) -> Int {
    switch segments.last {
    case "commits", "join": Self.maxBody
    case "messages", "leave": Limits.message / 3 * 4 + 4096
    case "key-packages": Limits.keyPackage * (Limits.keyPackagesPerUpload + 1) / 3 * 4 + 4096
    default: Limits.jsonBody
    }
  }

  /// The longest body of any route.
  static let maxBody = Limits.commitRequest / 3 * 4 + Limits.membersPerRoom * 160 + 4096

  // MARK: The socket

  func upgrade(_ request: HTTPRequest) async -> WebSocketDecision {
    await Result.of { () throws(RelayError) in try await admit(request) }.recover { .refuse(Self.problem($0)) }
  }

  private func admit(_ request: HTTPRequest) async throws(RelayError) -> WebSocketDecision {
    guard request.path == Route.socket.path else { throw RelayError(.notFound, "There is no socket at this path.") }
    _ = try crossOrigin.origin(of: request)
    guard request.headers.contains(token: Route.subprotocol, in: "Sec-WebSocket-Protocol") else {
      return .accept(subprotocol: nil) { UnsupportedSession($0) }
    }
    let caller: Caller? = request.headers["Authorization"] == nil ? nil : try await self.caller(of: request)
    return .accept(subprotocol: Route.subprotocol) { [services] connection in
      guard let hub = services.hubs[ObjectIdentifier(connection.loop)] else { return UnsupportedSession(connection) }
      return hub.open(connection, caller: caller)
    }
  }
}

extension Result where Failure == RelayError {
  func recover(_ body: (RelayError) -> Success) -> Success {
    switch self {
    case .success(let value): value
    case .failure(let error): body(error)
    }
  }
}
