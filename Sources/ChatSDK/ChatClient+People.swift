import RelayProtocol

// The account at the relay, and the people around it.
extension ChatClient {
  // MARK: The own account

  /// What the relay keeps of this account.
  public func accountDetails() async throws -> AccountDetails {
    try await chatErrors {
      let me = try await context.api.me()
      return AccountDetails(
        email: me.email, phone: me.phone, role: me.role, profile: Profile(me.profile),
        presence: Presence.Status(rawValue: me.presence.status) ?? .offline, showsPresence: me.presence.isShown)
    }
  }

  /// Sets what contacts and room mates see beside the name.
  ///
  /// - Throws: `invalidProfile`: too long, or with characters that hide or reorder others.
  public func setProfile(_ profile: Profile) async throws {
    try await chatErrors {
      do { try await context.api.setProfile(profile.body) } catch let error as ChatError
        where error.relayCode == .invalidRequest
      { throw ChatError(.invalidProfile, underlying: error) }
      let identity = try context.identity()
      let record = ProfileRecord(user: identity.user, profile: profile, fetched: context.now)
      try context.store.write { try $0.save(record) }
      _ = context.profiles.take(record)
    }
  }

  /// The sessions of this account, the newest first.
  public func sessions() async throws -> [SessionInfo] {
    try await chatErrors {
      try await context.api.sessions().map { session in
        SessionInfo(
          id: session.id, device: session.device, created: Moment(millisecondsSince1970: session.created),
          expires: Moment(millisecondsSince1970: session.expires), isCurrent: session.isCurrent)
      }
    }
  }

  /// Ends one session; its sockets close at once.
  ///
  /// - Throws: `sessionNotFound`.
  public func endSession(_ id: String) async throws {
    try await chatErrors {
      guard UInt64(id) != nil else { throw ChatError(.sessionNotFound) }
      let isOwn = try await sessions().first { $0.isCurrent }?.id == id
      try await context.api.endSession(id)
      if isOwn { try await forgetSession() }
    }
  }

  /// Ends all sessions of this account, on all devices, this one too.
  public func logoutEverywhere() async throws {
    try await chatErrors {
      try await context.api.endSessions()
      try await forgetSession()
    }
  }

  private func forgetSession() async throws {
    try await context.session.end()
    await context.link?.end()
  }

  // MARK: Contacts

  /// Everybody whom this account asked, was asked by, knows or blocks, by name.
  public func contacts() async throws -> [Contact] {
    try await chatErrors { try await refreshContacts() }
  }

  /// The same as this client knew them last, without a question to the relay.
  public func knownContacts() throws -> [Contact] {
    do {
      return try context.store.read { try $0.all(ContactRecord.self) }.compactMap(\.contact)
        .sorted { $0.person.username < $1.person.username }
        .map { Contact(person: context.profiles.named($0.person), state: $0.state) }
    } catch { throw ChatError(wrapping: error) }
  }

  /// Asks somebody to be a contact. There is no text to it, and no answer but acceptance.
  ///
  /// - Throws: `userNotFound`, also of those who block this account; `rateLimited`.
  public func requestContact(_ username: String) async throws { try await change("request", username) }

  /// - Throws: `noSuchContact`, as do the following.
  public func acceptContact(_ username: String) async throws { try await change("accept", username) }
  /// Nobody is told.
  public func declineContact(_ username: String) async throws { try await change("decline", username) }
  /// Ends a contact on both sides, or takes a request back.
  public func removeContact(_ username: String) async throws { try await change("remove", username) }

  /// Keeps somebody from asking, from inviting, and from seeing presence. They are not told: this account looks to them
  /// like one that does not exist. Rooms that both are in stay as they are, but in a room of the two this client shows nothing
  /// that they send from then on.
  public func block(_ username: String) async throws { try await change("block", username) }
  public func unblock(_ username: String) async throws { try await change("unblock", username) }

  private func change(_ change: String, _ username: String) async throws {
    try await chatErrors {
      let name = username.lowercased()
      guard Limits.isUsername(name) else { throw ChatError(.userNotFound, detail: nil) }
      guard try context.identity().username != name else { throw ChatError(.ownAccount) }
      do { try await context.api.changeContact(name, change) } catch let error as ChatError {
        switch error.relayCode {
        case .notFound?: throw ChatError(.noSuchContact, detail: name, underlying: error.underlying)
        case .userNotFound?: throw ChatError(.userNotFound, detail: name, underlying: error.underlying)
        case .forbidden?: throw ChatError(.contactBlocked, detail: name, underlying: error.underlying)
        default: throw error
        }
      }
      _ = try await refreshContacts()
    }
  }

  /// Fetches the contacts and tells what is different from what this client knew.
  @discardableResult
  func refreshContacts() async throws -> [Contact] {
    let theirs = try await context.api.contacts()
    var fresh: [UserID: ContactRecord] = [:]
    for contact in theirs {
      guard Limits.isUsername(contact.username), let state = Contact.State(rawValue: contact.state) else {
        throw ChatError(.protocolViolation)
      }
      fresh[contact.user] = ContactRecord(user: contact.user, username: contact.username, state: state)
      try context.take(contact.profile, of: Person(id: contact.user, username: contact.username))
    }
    let changes = try context.store.write { [fresh] store in
      var changes: [ContactChange] = []
      let known = try store.all(ContactRecord.self)
      for record in known where fresh[record.user] == nil {
        try store.remove(.contact, record.key)
        changes.append(ContactChange(person: Person(id: record.user, username: record.username), state: nil))
      }
      for record in fresh.values.sorted(by: { $0.username < $1.username }) where !known.contains(record) {
        try store.save(record)
        if let contact = record.contact {
          changes.append(ContactChange(person: contact.person, state: contact.state))
        }
      }
      return changes
    }
    if !changes.isEmpty { context.hub.tell([.contactsChanged(changes)]) }
    return fresh.values.compactMap(\.contact).sorted { $0.person.username < $1.person.username }.map { contact in
      Contact(person: context.profiles.named(contact.person), state: contact.state)
    }
  }

  // MARK: Presence

  /// Sets what this account shows while it is connected, and whether it shows anything at all.
  public func setPresence(_ status: Presence.Status, isShown: Bool = true) async throws {
    try await chatErrors {
      try await context.api.setPresence(PresenceRequest(status: status.rawValue, isShown: isShown))
    }
  }

  /// How contacts and room mates stand. Who does not show it, or blocks this account, is left out.
  public func presence() async throws -> [Presence] {
    try await chatErrors {
      let own = try context.identity().user
      var people: [UserID: Person] = [:]
      for contact in try await refreshContacts() where contact.state == .accepted {
        people[contact.person.id] = contact.person
      }
      for room in roomsByID.values where await room.health == .good {
        for member in try await room.members() { people[member.person.id] = member.person }
      }
      people[own] = nil
      var found: [Presence] = []
      let users = Array(people.keys)
      for start in stride(from: 0, to: users.count, by: Limits.presenceQuery) {
        let part = Array(users[start..<min(start + Limits.presenceQuery, users.count)])
        for item in try await context.api.presence(of: part) {
          guard let person = people[item.user], let status = Presence.Status(rawValue: item.status) else { continue }
          found.append(
            Presence(
              person: context.profiles.named(person), status: status,
              lastSeen: item.lastSeen == 0 ? nil : Moment(millisecondsSince1970: item.lastSeen)))
        }
      }
      return found.sorted { $0.person.username < $1.person.username }
    }
  }

  /// Passes on what the relay pushed, of people whom this client knows.
  func take(_ news: PresenceNews) throws {
    guard let person = try person(news.user) else { return }
    let status = Presence.Status(rawValue: news.status.text) ?? .offline
    let lastSeen = news.lastSeen == 0 ? nil : Moment(millisecondsSince1970: news.lastSeen)
    context.hub.tell([
      .presence(Presence(person: context.profiles.named(person), status: status, lastSeen: lastSeen))
    ])
  }

  private func person(_ user: UserID) throws -> Person? {
    try context.store.read { store in
      try store.decode(ContactRecord.self, user.bytes)?.contact?.person ?? store.decode(Pin.self, user.bytes)?.person
    }
  }

  // MARK: Profiles

  /// How old a profile may be before it is asked for again.
  private static let profileAge: UInt64 = 300_000

  /// Asks for the profiles of room mates that are not known or old, a few at a time.
  func refreshProfiles() async throws {
    let own = try context.identity()
    let known = try context.store.read { try $0.all(Pin.self) }.map(\.user)
    func isOld(_ user: UserID) -> Bool {
      context.profiles[user].map { $0.fetched + Self.profileAge < context.now } ?? true
    }
    // The own one too: another device may have changed it, and the list of devices.
    for user in ([own.user] + known.filter { $0 != own.user }).filter(isOld).prefix(50) {
      do { try await Trust(context: context).fetch(user: user) } catch let error as ChatError {
        // Whoever is gone, or shows nothing, is asked for again later.
        guard error == ChatError(.userNotFound) || error == ChatError(.identityInvalid) else { throw error }
      }
      if isOld(user) {
        let none = ProfileRecord(
          user: user, profile: context.profiles[user]?.profile ?? Profile(), fetched: context.now)
        try context.store.write { try $0.save(none) }
        _ = context.profiles.take(none)
      }
    }
  }
}
