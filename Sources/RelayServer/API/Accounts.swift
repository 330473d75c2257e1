import Networking
import RelayProtocol

extension API {
  static let accounts: [Route: Endpoint] = [
    .register: { api, call async throws(RelayError) in try await api.register(call) },
    .me: { api, call async throws(RelayError) in
      let caller = try call.caller
      let account = try await api.account(caller.user)
      return try json(
        AccountResponse(
          user: account.id, username: account.username, email: account.email, role: account.role,
          device: caller.device))
    },
    .user: { api, call async throws(RelayError) in
      let account = try await api.account(named: call.parameters[0])
      guard let list = try await api.services.store.deviceList(of: account.id) else { throw noUser }
      return try json(UserResponse(user: account.id, username: account.username, deviceList: list.encoded))
    },
  ]

  private static let noUser = RelayError(.userNotFound, "There is no such user.")

  private func register(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    try services.throttles.visit(from: visitor(of: call.request), now: now)
    guard services.configuration.isRegistrationOpen else {
      throw RelayError(.registrationClosed, "This relay takes no new accounts.")
    }
    let body: RegisterRequest = try call.body()
    guard Limits.isUsername(body.username) else { throw RelayError(.invalidRequest, "The username is not valid.") }
    guard Limits.passwordLengths.contains(body.password.utf8.count) else {
      throw RelayError(.invalidRequest, "The password is too short or too long.")
    }
    if let email = body.email, !Self.isEmail(email) {
      throw RelayError(.invalidRequest, "The email address is not valid.")
    }
    let devices = try SignedDevices(body.deviceList.bytes)
    guard devices.list.number == 1, devices.list.previous.isEmpty, devices.list.devices.count == 1 else {
      throw RelayError(.invalidRequest, "An account begins with list number 1 of one device.")
    }
    try services.throttles.register(from: visitor(of: call.request), now: now)
    // Before the costly hash: most refusals are of this kind. The store decides again.
    guard try await services.store.account(login: body.username) == nil else {
      throw RelayError(.usernameTaken, "The username is taken.")
    }
    let hash = try await services.passwords.hash(body.password)
    let account = AccountRecord(
      id: devices.list.user, username: body.username, email: body.email, passwordHash: hash, role: "user", created: now)
    try await services.store.createAccount(account, devices: devices.record)
    return try await beginSession(for: account, device: devices.list.devices[0].device, status: 201)
  }

  /// Rough on purpose: only a message to an address shows that it is one.
  private static func isEmail(_ text: String) -> Bool {
    let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    return text.utf8.count <= 254 && parts.count == 2 && parts.allSatisfy { !$0.isEmpty }
      && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f }
  }

  func account(_ user: UserID) async throws(RelayError) -> AccountRecord {
    guard let account = try await services.store.account(id: user) else { throw Self.noUser }
    return account
  }

  /// By id or name. An id wins, so that nobody can be found under another's id by taking it as a name.
  func account(named text: String) async throws(RelayError) -> AccountRecord {
    if let user = UserID(text), let account = try await services.store.account(id: user) { return account }
    // Addresses contain `@` and so are no user names: they cannot be looked up.
    guard Limits.isUsername(text), let account = try await services.store.account(login: text) else {
      throw Self.noUser
    }
    return account
  }
}
