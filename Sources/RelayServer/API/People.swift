import Networking
import RelayProtocol

/// Profiles, contacts and presence.
extension API {
  static let people: [Route: Endpoint] = [
    .putProfile: { api, call async throws(RelayError) in
      let caller = try call.caller.user
      let body: ProfileBody = try call.body()
      try await api.services.store.changeProfile(of: caller, to: try checked(body))
      api.services.presence.tell(.profile(caller))
      return done
    },
    .contacts: { api, call async throws(RelayError) in
      let contacts = try await api.services.store.contacts(of: try call.caller.user)
      return try json(ContactsResponse(contacts: contacts.map(ContactsResponse.Contact.init)))
    },
    .changeContact: { api, call async throws(RelayError) in try await api.changeContact(call) },
    .putPresence: { api, call async throws(RelayError) in
      let caller = try call.caller.user
      let body: PresenceRequest = try call.body()
      guard let status = PresenceStatus(text: body.status) else {
        throw RelayError(.invalidRequest, "There is no such status.")
      }
      try await api.services.store.changePresence(of: caller, to: status, isShown: body.isShown)
      api.services.presence.tell(.changed(caller))
      return done
    },
    .queryPresence: { api, call async throws(RelayError) in
      let body: PresenceQuery = try call.body()
      guard body.users.count <= Limits.presenceQuery else { throw RelayError(.tooLarge, "These are too many users.") }
      let found = try await api.services.presence.presence(of: body.users, for: try call.caller.user)
      return try json(
        PresenceResponse(
          users: found.map { .init(user: $0.user, status: $0.status.text, lastSeen: $0.lastSeen) }))
    },
  ]

  private func changeContact(_ call: Call) async throws(RelayError) -> HTTPResponse {
    let caller = try call.caller.user
    let change: ContactChange? =
      switch call.parameters[1] {
      case "request": .request
      case "accept": .accept
      case "decline": .decline
      case "remove": .remove
      case "block": .block
      case "unblock": .unblock
      default: nil
      }
    guard let change else { throw RelayError(.notFound, "There is nothing at this path.") }
    let now = services.now()
    if change == .request { try services.throttles.contactRequest(by: caller, now: now) }
    let other = try await contact(named: call.parameters[0], change, of: caller)
    let devices = try await services.store.change(change, of: caller, with: other, now: now)
    services.bus.publish([.look(.contacts, devices)])
    return Self.done
  }

  /// Who is meant. Whom the caller has among its contacts it can name whatever became of them.
  private func contact(named text: String, _ change: ContactChange, of caller: UserID) async throws(RelayError)
    -> UserID
  {
    if change != .request {
      let known = try await services.store.contacts(of: caller)
      if let contact = known.first(where: { $0.username == text || "\($0.user)" == text }) { return contact.user }
    }
    return try await account(named: text, for: caller).id
  }

  /// A profile that holds nothing with which a terminal or a page could be led astray; clients make it harmless again.
  static func checked(_ body: ProfileBody) throws(RelayError) -> Profile {
    let name = body.displayName
    guard name.unicodeScalars.count <= Limits.displayName, name.utf8.count <= 4 * Limits.displayName,
      name.unicodeScalars.allSatisfy({ !isHostile($0) }), name.first != " ", name.last != " "
    else { throw RelayError(.invalidRequest, "The display name is not valid.") }
    if !body.avatarURL.isEmpty {
      guard body.avatarURL.utf8.count <= Limits.avatarURL, let url = try? WebURL(body.avatarURL), url.scheme == .https
      else { throw RelayError(.invalidRequest, "The avatar's URL is not valid.") }
    }
    return Profile(displayName: name, avatar: body.avatarURL)
  }

  private static func isHostile(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
    // Joiners are part of how many scripts and emoji are written; the rest of this class hides or reorders.
    case .format: !(scalar == "\u{200c}" || scalar == "\u{200d}")
    default: false
    }
  }
}

extension ContactsResponse.Contact {
  init(_ record: ContactRecord) {
    let profile = ProfileBody(displayName: record.profile.displayName, avatarURL: record.profile.avatar)
    self.init(
      user: record.user, username: record.username, state: record.state.text,
      profile: record.state == .accepted ? profile : nil, changed: record.changed)
  }
}
