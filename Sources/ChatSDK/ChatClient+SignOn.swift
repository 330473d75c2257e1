import RelayProtocol

/// Accounts of a team's single sign-on: the relay exchanges a token of it for a session, and from there on nothing differs.
extension ChatClient {
  /// Makes an account for whom the token names, with this device as its first.
  ///
  /// - Parameters:
  ///   - username: only needed where the token gives none that can be used; else the same or `nil`.
  ///   - details: of these, the profile and the invitation.
  /// - Throws: `externalTokenInvalid`: get a fresh one, since each is good once; `identityInUse` if whom the token names has an
  ///   account; `usernameTaken` if somebody else has the name; `invalidName` if one has to be chosen, or another than the token's
  ///   was; `registrationClosed`, `invitationInvalid`, `noSignOn`, `alreadyRegistered`.
  @discardableResult
  public func register(
    with token: SignOnToken, as username: String? = nil, details: RegistrationDetails = RegistrationDetails()
  ) async throws -> Account {
    try await chatErrors {
      guard username.map(Limits.isUsername) ?? true else { throw ChatError(.invalidName) }
      guard context.optionalIdentity == nil else { throw ChatError(.alreadyRegistered) }
      let text = try token.text()
      // The keys bear no name, so they can be made before the relay says which it is.
      var record = try prepareAccount(username ?? "")
      let response: SessionResponse
      do {
        response = try await context.api.register(
          ExternalRegisterRequest(
            token: text, username: username, profile: details.profile?.body, invite: details.invite,
            deviceList: record.deviceList))
      } catch let error as ChatError where error == ChatError(.identityInUse) {
        // An earlier try may have reached the relay without its answer reaching us. The token was not spent by the refusal.
        do {
          response = try await context.api.logIn(ExternalLoginRequest(token: text, device: record.device))
        } catch let second as ChatError where second == ChatError(.accountDisabled) { throw second } catch {
          throw ChatError(.identityInUse)
        }
      } catch let error as ChatError where error.relayCode == .invalidRequest {
        throw ChatError(.invalidName, detail: "the token gives another name or none", underlying: error)
      }
      guard response.user == record.user, response.device == record.device, Limits.isUsername(response.username),
        username == nil || response.username == username
      else { throw ChatError(.identityInUse) }
      record.username = response.username
      return try await begin(response, record)
    }
  }

  /// Begins a new session for this store's account.
  ///
  /// - Throws: `externalTokenInvalid`: get a fresh one, since each is good once; `identityUnknown` if the operator has linked no
  ///   account to whom the token names, `identityInvalid` if it is linked to another than this store's; `accountDisabled`,
  ///   `noSignOn`, `notRegistered`.
  @discardableResult
  public func login(with token: SignOnToken) async throws -> Account {
    try await chatErrors {
      guard let record = try context.store.read({ try $0.decode(AccountRecord.self, AccountRecord.key) }),
        record.isRegistered
      else { throw ChatError(.notRegistered) }
      let response: SessionResponse
      do {
        response = try await context.api.logIn(ExternalLoginRequest(token: try token.text(), device: record.device))
      } catch let error as ChatError where error == ChatError(.deviceUnknown) {
        throw ChatError(.deviceUnknown, detail: "or the token names another account", underlying: error)
      }
      guard response.user == record.user, response.device == record.device else {
        throw ChatError(.identityInvalid, detail: "the relay knows this name as another account")
      }
      return try await begin(response, record)
    }
  }
}
