import FoundationEssentials
import RelayProtocol

/// The relay's REST interface in types, with the session's token put in and renewed.
struct RelayAPI: Sendable {
  let transport: any RelayTransport
  let session: Session
  let timeout: Duration

  // MARK: Accounts

  func register(_ request: RegisterRequest) async throws -> SessionResponse {
    try await plain(.register, body: request)
  }

  func logIn(_ request: LoginRequest) async throws -> SessionResponse { try await plain(.logIn, body: request) }

  func register(_ request: ExternalRegisterRequest) async throws -> SessionResponse {
    try await external { try await plain(.registerExternal, body: request) }
  }

  func logIn(_ request: ExternalLoginRequest) async throws -> SessionResponse {
    try await external { try await plain(.logInExternal, body: request) }
  }

  /// A relay without another issuer, and one that is too old to know of any, say that there is nothing.
  private func external(_ body: () async throws -> SessionResponse) async throws -> SessionResponse {
    do { return try await body() } catch let error as ChatError where error.relayCode == .notFound {
      throw ChatError(.noSignOn, underlying: error)
    }
  }

  func logOut() async throws { _ = try await authorized(.logOut) }

  func user(_ nameOrID: String) async throws -> UserResponse { try decode(try await authorized(.user, nameOrID)) }

  // MARK: Key packages

  func publish(_ request: KeyPackagesRequest) async throws -> KeyPackageCount {
    try decode(try await authorized(.publishKeyPackages, body: encode(request)))
  }

  func countKeyPackages() async throws -> KeyPackageCount { try decode(try await authorized(.countKeyPackages)) }

  func claimKeyPackages(of user: UserID) async throws -> ClaimResponse {
    try decode(try await authorized(.claimKeyPackages, "\(user)"))
  }

  // MARK: Rooms

  func createRoom(_ request: CreateRoomRequest) async throws -> RoomResponse {
    try decode(try await authorized(.createRoom, body: encode(request)))
  }

  func rooms() async throws -> RoomsResponse { try decode(try await authorized(.rooms)) }

  func room(_ room: RoomID) async throws -> RoomResponse { try decode(try await authorized(.room, "\(room)")) }

  func members(of room: RoomID) async throws -> [MembersResponse.Member] {
    (try decode(try await authorized(.members, "\(room)")) as MembersResponse).members
  }

  func send(_ request: SendRequest, to room: RoomID) async throws -> SendResponse {
    try decode(try await authorized(.send, "\(room)", body: encode(request)))
  }

  func commit(_ request: CommitRequest, to room: RoomID) async throws -> SendResponse {
    try decode(try await authorized(.commit, "\(room)", body: encode(request)))
  }

  func leave(_ request: LeaveRequest, _ room: RoomID) async throws {
    _ = try await authorized(.leave, "\(room)", body: encode(request))
  }

  /// A page of the log. An incarnation other than the log's is refused with `incarnationChanged`.
  func log(of room: RoomID, after position: StreamPosition) async throws -> LogResponse {
    let page: LogResponse = try decode(
      try await authorized(
        .log, "\(room)",
        query: [
          (name: "after", value: "\(position.sequence)"), (name: "limit", value: "\(Limits.entriesPerPage)"),
          (name: "incarnation", value: "\(position.incarnation)"),
        ]))
    guard page.entries.allSatisfy({ $0.room == room }) else { throw ChatError(.protocolViolation) }
    return page
  }

  func welcomes() async throws -> [WelcomesResponse.Waiting] {
    (try decode(try await authorized(.welcomes)) as WelcomesResponse).welcomes
  }

  func deleteWelcome(_ id: UInt64) async throws { _ = try await authorized(.deleteWelcome, "\(id)") }

  func poll(_ cursors: [RoomCursor], wait: Double, requests: UInt64? = nil) async throws -> PollResponse {
    let request = PollRequest(cursors: cursors, wait: wait, requests: requests)
    return try decode(
      try await authorized(.poll, body: encode(request), timeout: .seconds(wait) + timeout))
  }

  func openSocket() async throws -> any RelaySocket {
    try await transport.openSocket(token: try await session.token(using: self))
  }

  // MARK: Calls

  func refresh(_ token: String) async throws -> SessionResponse {
    try await plain(.refresh, body: RefreshRequest(refreshToken: token))
  }

  private func plain<Answer: Decodable>(_ route: Route, body: some Encodable) async throws -> Answer {
    let answer = try await transport.call(
      RelayCall(method: route.method.rawValue, path: route.path(), body: try encode(body), timeout: timeout))
    return try decode(try accepted(answer))
  }

  func authorized(
    _ route: Route, _ values: String..., query: [(name: String, value: String)] = [], body: [UInt8] = [],
    timeout: Duration? = nil
  ) async throws -> [UInt8] {
    let path = values.isEmpty ? route.path() : route.path(values)
    var call = RelayCall(
      method: route.method.rawValue, path: path, query: query, body: body, timeout: timeout ?? self.timeout)
    let token = try await session.token(using: self)
    call.token = token
    let answer = try await transport.call(call)
    guard answer.status == 401 else { return try accepted(answer) }
    // The clocks may differ, or the relay may have new keys: one fresh token, then its word counts.
    call.token = try await session.token(using: self, replacing: token)
    return try accepted(try await transport.call(call))
  }

  private func accepted(_ answer: RelayAnswer) throws -> [UInt8] {
    guard !(200..<300).contains(answer.status) else { return answer.body }
    guard let problem = try? JSONDecoder().decode(Problem.self, from: Data(answer.body)) else {
      // Something between us and the relay answered in its place.
      let isPassing = answer.status == 429 || answer.status >= 500
      throw ChatError(
        isPassing ? .relayUnavailable : .protocolViolation, detail: "HTTP status \(answer.status)",
        isRetryable: isPassing)
    }
    throw ChatError(problem)
  }

  func encode(_ value: some Encodable) throws -> [UInt8] {
    do { return Array(try JSONEncoder().encode(value)) } catch {
      throw ChatError(.internalError, underlying: error)
    }
  }

  func decode<Value: Decodable>(_ bytes: [UInt8]) throws -> Value {
    do { return try JSONDecoder().decode(Value.self, from: Data(bytes)) } catch {
      throw ChatError(.protocolViolation)
    }
  }
}
