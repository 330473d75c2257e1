import RelayProtocol

/// The session at the relay: hands out access tokens and renews them, one renewal at a time, since a refresh token is
/// good for one use.
actor Session {
  private let store: any ChatStore
  private let now: @Sendable () -> UInt64
  private var record: SessionRecord?
  private var renewal: Task<String, any Error>?

  init(store: any ChatStore, now: @escaping @Sendable () -> UInt64) throws {
    (self.store, self.now) = (store, now)
    record = try store.read { try $0.decode(SessionRecord.self, SessionRecord.key) }
  }

  var isAlive: Bool { record != nil }

  func begin(_ response: SessionResponse) throws {
    let fresh = try record(from: response)
    try store.write { try $0.save(fresh) }
    record = fresh
  }

  func end() throws {
    record = nil
    try store.write { try $0.remove(.session, SessionRecord.key) }
  }

  /// How long the access token is good for.
  var remaining: Duration {
    guard let record, record.accessExpires > now() else { return .zero }
    return .milliseconds(Int64(clamping: record.accessExpires - now()))
  }

  /// Forgets the access token's time, so that the next use renews it.
  func expire() { record?.accessExpires = 0 }

  /// A token that is good for a while yet, other than `stale`.
  ///
  /// - Throws: `notLoggedIn`; `sessionEnded` if the relay does not renew it.
  func token(using api: RelayAPI, replacing stale: String? = nil) async throws -> String {
    guard let record else { throw ChatError(.notLoggedIn) }
    if record.accessToken != stale, record.accessExpires > now() + 15_000 { return record.accessToken }
    if let renewal { return try await renewal.value }
    let task = Task { try await renew(record, using: api) }
    renewal = task
    defer { renewal = nil }
    return try await task.value
  }

  private func renew(_ old: SessionRecord, using api: RelayAPI) async throws -> String {
    do {
      let fresh = try record(from: try await api.refresh(old.refreshToken))
      try store.write { try $0.save(fresh) }
      record = fresh
      return fresh.accessToken
    } catch let error as ChatError where error == ChatError(.sessionEnded) || error == ChatError(.invalidCredentials) {
      try end()
      throw ChatError(.sessionEnded, underlying: error)
    }
  }

  private func record(from response: SessionResponse) throws -> SessionRecord {
    // Longer ones could be written to the store and not be read from it again.
    guard response.accessToken.utf8.count <= Limits.token, response.refreshToken.utf8.count <= Limits.token else {
      throw ChatError(.protocolViolation, detail: "a token longer than tokens are")
    }
    return SessionRecord(
      accessToken: response.accessToken, accessExpires: now() + min(response.expiresIn, 86_400 * 365) * 1000,
      refreshToken: response.refreshToken)
  }
}
