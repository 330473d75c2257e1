import RelayProtocol

/// Turns an access token into a caller: the one way in for requests and sockets.
struct Authenticator: Sendable {
  let tokens: AccessTokens
  let sessions: LiveSessions
  let now: @Sendable () -> UInt64

  /// Throws `unauthenticated`, `tokenExpired` or `sessionEnded`; `unavailable` when the store does not answer.
  func caller(token: String) async throws(RelayError) -> Caller {
    let now = now()
    let caller = try tokens.check(token, now: now)
    try await sessions.check(caller, now: now)
    return caller
  }

  /// Whether the token was issued here and may still be good, from its text alone: for what must be decided at once.
  func isOurs(_ token: String) -> Bool { (try? tokens.check(token, now: now())) != nil }

  /// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1), or `nil` if it is of another form.
  static func bearerToken(_ header: String) -> String? {
    let parts = header.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count == 6, parts[0].lowercased() == "bearer", !parts[1].isEmpty else {
      return nil
    }
    return String(parts[1])
  }
}
