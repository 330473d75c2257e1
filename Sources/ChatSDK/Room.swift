public import RelayProtocol

/// A room of this account: an MLS group, its history and its outbox.
///
/// An actor that owns the group, so that whatever two tasks ask for happens one after the other.
public actor Room: Identifiable {
  public nonisolated let id: RoomID

  init(id: RoomID) { self.id = id }

  /// The name, which members see and the relay does not.
  public var name: String { get throws { throw ChatError(.internalError) } }
  public var health: RoomHealth { get throws { throw ChatError(.internalError) } }
  /// The MLS epoch.
  public var epoch: UInt64 { get throws { throw ChatError(.internalError) } }

  /// What happens in this room from now on; ends when the client closes.
  public nonisolated var events: Events { EventHub().events { _ in true } }

  /// The members, as the group's tree has them.
  public func members() async throws -> [RoomMember] { throw ChatError(.internalError) }

  /// Adds users with all their devices. Returns when the relay has accepted it.
  ///
  /// - Throws: `userNotFound`, `noKeyPackage`, `notPermitted`, `identityInvalid`; network errors may be tried again:
  ///   whoever is a member already is passed over.
  public func invite(_ usernames: String...) async throws { try await invite(usernames) }
  public func invite(_ usernames: [String]) async throws { throw ChatError(.internalError) }

  /// Removes users with all their devices. Returns when the relay has accepted it.
  public func remove(_ usernames: String...) async throws { try await remove(usernames) }
  public func remove(_ usernames: [String]) async throws { throw ChatError(.internalError) }

  /// Renames the room for all.
  public func rename(to name: String) async throws { throw ChatError(.internalError) }

  /// Gives a member a role.
  public func setRole(_ role: Role, of username: String) async throws { throw ChatError(.internalError) }

  /// Ends the membership of this account. History stays.
  public func leave() async throws { throw ChatError(.internalError) }

  /// Changes this device's keys in the group, which heals it after its state was stolen.
  public func updateKeys() async throws { throw ChatError(.internalError) }

  /// Sends a text. It is on this device's disk, sealed, before it leaves.
  ///
  /// Without a relay within reach it returns a message in state `pending`, which goes out by itself, exactly once.
  ///
  /// - Throws: `messageTooLong`, `notAMember`, `roomStopped`, `identityChanged`: a verified contact has a new identity.
  @discardableResult
  public func send(_ text: String) async throws -> Message { throw ChatError(.internalError) }

  /// Messages in the agreed order, the newest last.
  ///
  /// - Parameter before: only messages before this sequence.
  public func history(before: UInt64? = nil, limit: Int = 50) async throws -> [Message] {
    throw ChatError(.internalError)
  }

  /// Remembers that everything up to now was read.
  public func markRead() async throws { throw ChatError(.internalError) }
}
