import CryptoPrimitives
import Networking
import RelayProtocol

extension API {
  static let sessions: [Route: Endpoint] = [
    .logIn: { api, call async throws(RelayError) in try await api.logIn(call) },
    .refresh: { api, call async throws(RelayError) in try await api.refresh(call) },
    .logOut: { api, call async throws(RelayError) in
      let session = try call.caller.session
      try await api.services.store.endSession(id: session)
      api.services.bus.publish([.sessionEnded(session)])
      return done
    },
    .sessions: { api, call async throws(RelayError) in
      let caller = try call.caller
      let sessions = try await api.services.store.sessions(of: caller.user)
      return try json(
        SessionsResponse(
          sessions: sessions.map { session in
            .init(
              id: "\(session.id)", device: session.device, created: session.created, expires: session.expires,
              isCurrent: session.id == caller.session)
          }))
    },
    .endSessions: { api, call async throws(RelayError) in try await api.end(nil, of: try call.caller) },
    .endSession: { api, call async throws(RelayError) in
      guard let id = UInt64(call.parameters[0]), id <= UInt64(Int64.max) else {
        throw RelayError(.notFound, "There is no such session.")
      }
      return try await api.end(id, of: try call.caller)
    },
  ]

  private func end(_ session: UInt64?, of caller: Caller) async throws(RelayError) -> HTTPResponse {
    let ended = try await services.store.endSessions(of: caller.user, only: session, nil)
    if session != nil, ended.isEmpty { throw RelayError(.notFound, "There is no such session.") }
    services.bus.publish(ended.map { .sessionEnded($0) })
    return Self.done
  }

  private func logIn(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    let visitor = visitor(of: call.request)
    try services.throttles.visit(from: visitor, now: now)
    let body: LoginRequest = try call.body()
    // A name or password that no account can have takes the same way as any other.
    let login = Self.lowercased(String(body.login.prefix(256)))
    guard body.password.utf8.count <= Limits.passwordLengths.upperBound else {
      throw RelayError(.invalidCredentials, "The name or the password is wrong.")
    }
    try services.throttles.login(as: login, from: visitor, now: now)
    let (tried, isRight, better): (AccountRecord?, Bool, String?)
    do throws(RelayError) {
      // No name holds a NUL, and not every database can be asked for one.
      tried = try await services.store.account(login: login.utf8.contains(0) ? "" : login)
      (isRight, better) = try await services.passwords.check(body.password, against: tried?.passwordHash)
    } catch {
      services.throttles.notFailedLogin(as: login, from: visitor, now: now)
      throw error
    }
    guard isRight, let account = tried else {
      throw RelayError(.invalidCredentials, "The name or the password is wrong.")
    }
    services.throttles.notFailedLogin(as: login, from: visitor, now: now)
    if let better { try await services.store.updatePasswordHash(of: account.id, to: better) }
    return try await beginSession(for: account, device: body.device, status: 201)
  }

  /// Makes a session for a device of the account's list; `deviceUnknown` for others, which the store checks.
  func beginSession(
    for account: AccountRecord, device: DeviceID, status: Int, redeeming redemption: Redemption? = nil
  ) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    let token = RefreshToken(session: Random.uint64() >> 1)
    let session = SessionRecord(
      id: token.session, user: account.id, device: device, refreshHash: token.hash, created: now,
      expires: now + services.configuration.sessionLifetime.wholeMilliseconds)
    let ended = try await services.store.createSession(session, redeeming: redemption)
    services.bus.publish(ended.map { .sessionEnded($0) })
    return try Self.json(answer(session, token, username: account.username, now: now), status: status)
  }

  private func refresh(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    try services.throttles.visit(from: visitor(of: call.request), now: now)
    let body: RefreshRequest = try call.body()
    guard let old = RefreshToken(text: body.refreshToken) else {
      throw RelayError(.sessionEnded, "The refresh token is not good.")
    }
    let new = RefreshToken(session: old.session)
    do throws(RelayError) {
      let session = try await services.store.rotateSession(
        from: old.hash, to: new.hash, now: now,
        expires: now + services.configuration.sessionLifetime.wholeMilliseconds)
      let account = try await self.account(session.user)
      return try Self.json(answer(session, new, username: account.username, now: now))
    } catch {
      // If a stolen token ended the session, its sockets end too; a number that somebody made up ends nothing.
      if error.code == .sessionEnded, try await services.store.session(id: old.session) == nil {
        services.bus.publish([.sessionEnded(old.session)])
      }
      throw error
    }
  }

  private func answer(
    _ session: SessionRecord, _ token: RefreshToken, username: String, now: UInt64
  ) throws(RelayError) -> SessionResponse {
    let lifetime = services.configuration.accessTokenLifetime.wholeMilliseconds
    let caller = Caller(user: session.user, device: session.device, session: session.id, expires: now + lifetime)
    return SessionResponse(
      user: session.user, username: username, device: session.device,
      accessToken: try services.tokens.issue(caller, now: now), expiresIn: lifetime / 1000, refreshToken: token.text)
  }
}

extension Duration {
  /// For settings, which are positive and bounded.
  var wholeMilliseconds: UInt64 {
    UInt64(max(0, components.seconds)) * 1000 + UInt64(max(0, components.attoseconds) / 1_000_000_000_000_000)
  }
}
