import RelayProtocol

// What members may do to each other and to the room.
extension Room {
  /// Removes users with all their devices.
  ///
  /// Returns when the relay has accepted it.
  ///
  /// - Throws: `notPermitted` unless this account is an admin, and an owner where one is removed; `notInRoom`.
  public func remove(_ usernames: String...) async throws { try await remove(usernames) }
  public func remove(_ usernames: [String]) async throws {
    try await chatErrors {
      let users = try await users(usernames)
      guard try !users.contains(context.identity().user) else {
        throw ChatError(.ownAccount, detail: "leave the room instead")
      }
      try await perform(.remove(users, ban: false))
    }
  }

  /// Removes users, if they are members, and keeps them out: relay and members refuse them from then on.
  public func ban(_ usernames: String...) async throws { try await ban(usernames) }
  public func ban(_ usernames: [String]) async throws {
    try await chatErrors {
      var users: [UserID] = []
      for username in usernames { users.append(try await anybody(username)) }
      guard try !users.contains(context.identity().user) else { throw ChatError(.ownAccount) }
      try await perform(.remove(users, ban: true))
    }
  }

  /// Lifts a ban. Who was banned is not a member by that.
  public func unban(_ usernames: String...) async throws { try await unban(usernames) }
  public func unban(_ usernames: [String]) async throws {
    try await chatErrors {
      var users: [UserID] = []
      for username in usernames { users.append(try await anybody(username)) }
      let lifted = users
      try await perform(.change { state, _ in state.banned.subtract(lifted) })
    }
  }

  /// Who is banned.
  public func banned() async throws -> [Person] {
    try await chatErrors {
      let state = try roomState()
      return try context.store.read { store in try state.banned.map { try person($0, in: store) } }
        .sorted { ($0.username, $0.id.text) < ($1.username, $1.id.text) }
    }
  }

  /// Gives a member a role.
  ///
  /// - Throws: `notPermitted` unless this account is an owner; `lastOwner` if nobody would be one then.
  public func setRole(_ role: Role, of username: String) async throws {
    try await chatErrors {
      let user = try await users([username])[0]
      try await perform(
        .change { state, members in
          guard members.contains(user) else { throw ChatError(.notInRoom, detail: username) }
          if role == .member { state.roles[user] = nil } else { state.roles[user] = role }
          guard state.roles.values.contains(.owner) else { throw ChatError(.lastOwner) }
        })
    }
  }

  /// Makes another member the owner; this account is an admin from then on.
  public func transfer(to username: String) async throws {
    try await chatErrors {
      let user = try await users([username])[0]
      let own = try context.identity().user
      try await perform(
        .change { state, members in
          guard state.role(of: own) == .owner, state.pair == nil else { throw ChatError(.notPermitted) }
          guard members.contains(user) else { throw ChatError(.notInRoom, detail: username) }
          guard user != own else { return }
          state.roles[user] = .owner
          state.roles[own] = .admin
        })
    }
  }

  // MARK: Settings

  /// What the members agree on.
  public var settings: RoomSettings { get async throws { try await chatErrors { try roomState().settings } } }

  /// Renames the room for all.
  public func rename(to name: String) async throws { try await change { $0.name = name } }

  /// Changes settings for all.
  ///
  /// - Parameter body: applied to the settings as they are when it is this change's turn, perhaps more than once.
  /// - Throws: `notPermitted` unless this account is an admin; `invalidName` if a text is too long or the name empty.
  public func change(_ body: @escaping @Sendable (inout RoomSettings) -> Void) async throws {
    try await chatErrors {
      try await perform(
        .change { state, _ in
          body(&state.settings)
          let settings = state.settings
          guard state.pair != nil || !settings.name.isEmpty, settings.name.utf8.count <= RoomState.maxName,
            settings.topic.utf8.count <= RoomState.maxTopic, settings.avatar.utf8.count <= RoomState.maxAvatar
          else { throw ChatError(.invalidName, detail: "a room's name has 1 to \(RoomState.maxName) bytes") }
          // Who may not come in needs no way in.
          if settings.joinPolicy == .closed { state.invites = [:] }
        })
    }
  }

  /// A user by name, member or not.
  private func anybody(_ username: String) async throws -> UserID {
    if let user = try? await users([username]).first { return user }
    return try await Trust(context: context).fetch(username: username).user
  }
}
