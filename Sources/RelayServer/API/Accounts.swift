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
          device: caller.device, phone: account.phone,
          profile: ProfileBody(displayName: account.profile.displayName, avatarURL: account.profile.avatar),
          presence: PresenceRequest(status: account.presence.text, isShown: account.showsPresence)))
    },
    .user: { api, call async throws(RelayError) in
      let caller = try call.caller.user
      let account = try await api.account(named: call.parameters[0], for: caller)
      guard let list = try await api.services.store.deviceList(of: account.id) else { throw noUser }
      var response = UserResponse(user: account.id, username: account.username, deviceList: list.encoded)
      // As with presence: whom it blocks, an account tells no more than which devices it has.
      let isSeen = try await api.services.store.mayReach(account.id, from: caller)
      if try await api.services.store.knowEachOther(account.id, caller), isSeen || account.id == caller {
        response.profile = ProfileBody(
          displayName: account.profile.displayName, avatarURL: account.profile.avatar)
      }
      return try json(response)
    },
  ]

  static let noUser = RelayError(.userNotFound, "There is no such user.")

  private func register(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let now = services.now()
    try services.throttles.visit(from: visitor(of: call.request), now: now)
    guard services.configuration.registration != .closed else {
      throw RelayError(.registrationClosed, "This relay takes no new accounts.")
    }
    let body: RegisterRequest = try call.body()
    let invite = try invitation(body.invite)
    guard Limits.isUsername(body.username) else { throw RelayError(.invalidRequest, "The username is not valid.") }
    guard Limits.passwordLengths.contains(body.password.utf8.count) else {
      throw RelayError(.invalidRequest, "The password is too short or too long.")
    }
    if let email = body.email, !Self.isEmail(email) {
      throw RelayError(.invalidRequest, "The email address is not valid.")
    }
    if let phone = body.phone, !Self.isPhone(phone) {
      throw RelayError(.invalidRequest, "The phone number is not valid.")
    }
    let profile = try body.profile.map { body throws(RelayError) in try Self.checked(body) } ?? Profile()
    let devices = try SignedDevices(first: body.deviceList.bytes)
    try services.throttles.register(from: visitor(of: call.request), now: now)
    // Before the costly hash: most refusals are of this kind. The store decides again. Where an invitation is asked for,
    // only whoever has a good one learns which names are taken.
    if invite == nil, try await services.store.account(login: body.username) != nil {
      throw RelayError(.usernameTaken, "The username is taken.")
    }
    let hash = try await services.passwords.hash(body.password)
    var account = AccountRecord(
      id: devices.list.user, username: body.username, email: body.email.map(Self.lowercased), passwordHash: hash,
      role: AccountRole.user.rawValue, created: now)
    (account.phone, account.profile) = (body.phone, profile)
    try await services.store.createAccount(
      account, devices: devices.record, invite: invite, identity: nil, redeeming: nil)
    return try await beginSession(for: account, device: devices.list.devices[0].device, status: 201)
  }

  /// The hash of the invitation that is to be redeemed, where the relay asks for one.
  func invitation(_ token: String?) throws(RelayError) -> [UInt8]? {
    guard services.configuration.registration == .invite else { return nil }
    guard let token, !token.isEmpty, token.utf8.count <= Limits.inviteToken else {
      throw RelayError(.invitationInvalid, "This relay asks for an invitation.")
    }
    return InviteToken.hash(token)
  }

  /// Addresses are compared without regard to case, and stored so.
  static func lowercased(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  private static func isPhone(_ text: String) -> Bool {
    text.utf8.first == UInt8(ascii: "+") && (7...16).contains(text.utf8.count)
      && text.utf8.dropFirst().allSatisfy { $0 &- 0x30 < 10 }
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

  /// By id or name, as far as the caller may know of the user. An id wins, so that nobody can be found under another's
  /// id by taking it as a name.
  ///
  /// A user who blocks the caller, or is not active, is found only by the id and by those who share a room or a contact
  /// with it: they need the devices of whom they talk to. The same questions are asked of the store whatever the answer.
  func account(named text: String, for caller: UserID) async throws(RelayError) -> AccountRecord {
    // Addresses contain `@` and so are no user names: they cannot be looked up.
    let id = UserID(text)
    let any = try await services.store.account(id: id ?? UserID(high: 0, low: 0))
    // Any id may be somebody's: what was asked only for the asking's sake is nobody's answer.
    let byID = id == nil ? nil : any
    let byName = try await services.store.account(login: Limits.isUsername(text) ? text : "")
    let user = (byID ?? byName)?.id ?? UserID(high: 0, low: 0)
    let mayReach = try await services.store.mayReach(user, from: caller)
    let isKnown = try await services.store.knowEachOther(user, caller)
    guard let account = byID ?? byName, account.id == caller || mayReach || (byID != nil && isKnown) else {
      throw Self.noUser
    }
    return account
  }
}
