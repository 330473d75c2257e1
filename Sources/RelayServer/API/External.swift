import Networking
import RelayProtocol

/// Tokens of another issuer, exchanged for a session of this relay: from there on everything is as for anybody else.
extension API {
  static let external: [Route: Endpoint] = [
    .registerExternal: { api, call async throws(RelayError) in try await api.registerExternal(call) },
    .logInExternal: { api, call async throws(RelayError) in try await api.logInExternal(call) },
  ]

  /// - Throws: `notFound` where no issuer is configured.
  private func issuer() throws(RelayError) -> ExternalIssuer {
    guard let issuer = services.external else {
      throw RelayError(.notFound, "This relay takes tokens of no other issuer.")
    }
    return issuer
  }

  private func logInExternal(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    try services.throttles.visit(from: visitor(of: call.request), now: now)
    let issuer = try issuer()
    let body: ExternalLoginRequest = try call.body()
    let person = try await issuer.person(body.token, now: now)
    guard let account = try await services.store.account(identity: person.identity) else {
      throw RelayError(.identityUnknown, "No account belongs to whom the token names.")
    }
    return try await redeeming(issuer) { () throws(RelayError) in
      try await beginSession(for: account, device: body.device, status: 201, redeeming: person.redemption)
    }
  }

  private func registerExternal(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    try services.throttles.visit(from: visitor(of: call.request), now: now)
    let issuer = try issuer()
    let body: ExternalRegisterRequest = try call.body()
    let profile = try body.profile.map { body throws(RelayError) in try Self.checked(body) } ?? Profile()
    let devices = try SignedDevices(first: body.deviceList.bytes)
    try services.throttles.register(from: visitor(of: call.request), now: now)
    let person = try await issuer.person(body.token, now: now)
    guard try await services.store.account(identity: person.identity) == nil else {
      throw RelayError(.identityInUse, "Whom the token names has an account already.")
    }
    let invite = try admission(issuer.registration, body.invite)
    var account = AccountRecord(
      id: devices.list.user, username: try Self.username(for: person, asked: body.username), email: nil,
      passwordHash: AccountRecord.noPassword, role: AccountRole.user.rawValue, created: now)
    account.profile = profile
    let record = account
    return try await redeeming(issuer) { () throws(RelayError) in
      try await services.store.createAccount(
        record, devices: devices.record, invite: invite, identity: person.identity, redeeming: person.redemption)
      return try await beginSession(for: record, device: devices.list.devices[0].device, status: 201)
    }
  }

  /// Counts a token that was redeemed before among the refused ones.
  private func redeeming<T>(
    _ issuer: ExternalIssuer, _ body: () async throws(RelayError) -> T
  ) async throws(RelayError) -> T {
    do throws(RelayError) { return try await body() } catch {
      throw error.code == .externalTokenInvalid ? issuer.refused(.redeemed) : error
    }
  }

  /// The invitation to redeem, if one is asked for.
  ///
  /// - Throws: `registrationClosed` where accounts are not made for whom the issuer names.
  private func admission(_ registration: ExternalRegistration, _ invite: String?) throws(RelayError) -> [UInt8]? {
    let closed = RelayError(.registrationClosed, "This relay takes no new accounts.")
    switch registration {
    case .open: return nil
    case .closed: throw closed
    case .same:
      guard services.configuration.registration != .closed else { throw closed }
      return try invitation(invite)
    }
  }

  /// The token's word decides the name; only where it gives none may the person choose. A name that is taken is refused by
  /// the store, whoever has it: an account belongs to an identity, never to whoever has its name elsewhere.
  private static func username(for person: ExternalPerson, asked: String?) throws(RelayError) -> String {
    if let username = person.username {
      guard asked == nil || asked == username else {
        throw RelayError(.invalidRequest, "The token gives another username.")
      }
      return username
    }
    guard let asked, Limits.isUsername(asked) else {
      throw RelayError(.invalidRequest, "The token gives no username, so a valid one has to be chosen.")
    }
    return asked
  }
}
