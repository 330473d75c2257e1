import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// Who may do what: each role tries each act, by the word of the relay and by the rule of the clients, which agree.
@Suite struct RightsTests {
  enum Act: String, CaseIterable {
    case addToClosed, addToOpen, removeMember, removeAdmin, removeOwner, banMember, banOwner, unban, makeAdmin,
      makeOwner
    case demoteOwner, retention, policy, rename, link, revokeLink, code, publish, requests, delete

    /// The least role that may.
    var least: Role {
      switch self {
      case .addToOpen: .member
      case .removeOwner, .banOwner, .makeAdmin, .makeOwner, .demoteOwner, .publish, .delete: .owner
      default: .admin
      }
    }

    /// What only members can see, the relay can refuse nobody.
    var isHiddenFromRelay: Bool { self == .rename }
  }

  @Test(arguments: [(Role.owner, "alice"), (.admin, "bob"), (.member, "carol")])
  func relayAndClientsAgree(_ role: Role, _ name: String) async throws {
    let world = try await World("alice", "bob", "carol", "dave", "frank", "grace", "erin")
    let (frank, grace, bob) = (try await id("frank", world), try await id("grace", world), try await id("bob", world))
    var shared: Room?
    for act in Act.allCases {
      let may = role >= act.least
      // What is refused changes nothing, so the next can be tried in the same room.
      let isOwn =
        may || act.isHiddenFromRelay || act == .addToClosed || act == .addToOpen || act == .unban || act == .revokeLink
      let alice: Room
      if let shared, !isOwn {
        alice = shared
      } else {
        var settings = RoomSettings(name: act.rawValue)
        settings.joinPolicy = act == .addToClosed ? .closed : act == .addToOpen ? .open : .ask
        alice = try await world.client("alice").createRoom(settings)
        try await alice.invite("bob", "carol", "dave", "frank", "grace")
        try await alice.perform(
          .change { state, _ in state.roles.merge([bob: .admin, frank: .admin, grace: .owner]) { $1 } })
        if !isOwn { shared = alice }
      }
      if act == .unban { try await alice.ban("erin") }
      if act == .revokeLink { _ = try await alice.newLink() }
      try await world.client(name).sync()
      let room = try await world.client(name).room(alice.id)
      let raw = try await attempt(act, room, in: world)
      if let raw {
        #expect(raw.client == may, "\(role) \(act): the clients' rule")
        #expect(raw.relay == (may || act.isHiddenFromRelay), "\(role) \(act): the relay's rule")
      }
      // By the verb itself; after the raw try, which is done where it was allowed.
      if !may {
        await #expect(throws: ChatError(.notPermitted), "\(role) \(act)") { try await call(act, room, in: world) }
      } else if raw == nil {
        try await call(act, room, in: world)
      }
    }
    await world.end()
  }

  private func id(_ name: String, _ world: World) async throws -> UserID {
    try #require(try await world.client(name).account).id
  }

  /// Makes the commit as a client that keeps to no rule, and says what the others' rule and the relay make of it. `nil` for
  /// acts that are no commits.
  private func attempt(_ act: Act, _ room: Room, in world: World) async throws -> (client: Bool, relay: Bool)? {
    var remove: [UserID] = []
    var add: ChatClient?
    var change: @Sendable (inout RoomState) -> Void = { _ in }
    let (dave, grace, erin) = (try await id("dave", world), try await id("grace", world), try await id("erin", world))
    switch act {
    case .addToClosed, .addToOpen: add = try await world.client("erin")
    case .removeMember: remove = [dave]
    case .removeAdmin: remove = [try await id("frank", world)]
    case .removeOwner: remove = [grace]
    case .banMember: (remove, change) = ([dave], { $0.banned.insert(dave) })
    case .banOwner: (remove, change) = ([grace], { $0.banned.insert(grace) })
    case .unban: change = { $0.banned.remove(erin) }
    case .makeAdmin: change = { $0.roles[dave] = .admin }
    case .makeOwner: change = { $0.roles[dave] = .owner }
    case .demoteOwner: change = { $0.roles[grace] = .admin }
    case .retention: change = { $0.settings.retention = 86_400 }
    case .policy: change = { $0.settings.joinPolicy = .open }
    case .rename: change = { $0.settings.name = "Mine" }
    case .revokeLink: change = { $0.invites = [:] }
    case .link:
      let secret = try InviteSecret.random()
      let own = try await room.context.identity().user
      change = { $0.invites[secret.id] = secret.keys(madeBy: own, expires: 0, uses: 0) }
    case .code, .publish, .requests, .delete: return nil
    }
    return try await room.attempt(remove: remove, add: add, change)
  }

  private func call(_ act: Act, _ room: Room, in world: World) async throws {
    switch act {
    case .addToClosed, .addToOpen: try await room.invite("erin")
    case .removeMember: try await room.remove("dave")
    case .removeAdmin: try await room.remove("frank")
    case .removeOwner: try await room.remove("grace")
    case .banMember: try await room.ban("dave")
    case .banOwner: try await room.ban("grace")
    case .unban: try await room.unban("erin")
    case .makeAdmin: try await room.setRole(.admin, of: "dave")
    case .makeOwner: try await room.setRole(.owner, of: "dave")
    case .demoteOwner: try await room.setRole(.admin, of: "grace")
    case .retention: try await room.change { $0.retention = 86_400 }
    case .policy: try await room.change { $0.joinPolicy = .open }
    case .rename: try await room.rename(to: "Mine")
    case .link: _ = try await room.newLink()
    case .revokeLink: try await room.revokeLinks()
    // What is no commit is refused by the relay's mirror of the roles too, if a client asks all the same.
    case .code:
      try await both(room, { try await $0.newCode() }) {
        try await $0.newCode(CodeRequest(lifetime: 60, uses: 1), of: room.id)
      }
    case .publish:
      try await both(room, { try await $0.publish() }) {
        try await $0.publish(ListingRequest(name: "x", topic: ""), of: room.id)
      }
    case .requests: _ = try await room.context.api.requests(in: room.id)
    case .delete:
      let client = try await client(of: room, in: world)
      try await both(room, { try await client.delete($0) }) {
        try await $0.deleteRoom(
          room.id, proof: DeletionProof.make(room: room.id, await room.context.identity()).encoded)
      }
    }
  }

  private func client(of room: Room, in world: World) async throws -> ChatClient {
    let own = try await room.context.identity().username
    return try await world.client(own)
  }

  /// By the client; where it refuses, by the relay alone, which must refuse as well.
  private func both<A, B>(
    _ room: Room, _ verb: (Room) async throws -> A, raw: (RelayAPI) async throws -> B
  ) async throws {
    do { _ = try await verb(room) } catch let error as ChatError {
      guard error == ChatError(.notPermitted) else { throw error }
      _ = try await raw(room.context.api)
      throw ChatError(.internalError, detail: "the relay did what the client refused")
    }
  }
}

extension Room {
  fileprivate func attempt(
    remove: [UserID], add: ChatClient?, _ change: @escaping @Sendable (inout RoomState) -> Void
  ) async throws -> (client: Bool, relay: Bool) {
    try await exclusively {
      try await pullLog()
      let (box, before) = (try group(), try roomState())
      let leaves = box.group.members.compactMap { CommitClaim.Leaf($0) }
      var next = before
      change(&next)
      var proposals: [Proposal] = box.group.members.compactMap { member in
        LeafCheck.credential(of: member).flatMap { remove.contains($0.user) ? .remove(member.leafIndex) : nil }
      }
      if !remove.isEmpty {
        next = next.without(Set(remove), invites: [])
        next.renewReentry()
      }
      if let add {
        let context = await add.context
        let bundle = try KeyPackageBundle.generate(
          suite: .x25519ChaCha20Poly1305, identity: try context.identity().client,
          capabilities: ClientContext.capabilities, lifetime: context.lifetime)
        proposals.append(.add(bundle.keyPackage))
      }
      if next != before { proposals.append(.groupContextExtensions(next.extensions)) }
      let commit = try box.group.commit(proposals, now: context.timestamp)
      let claim = try CommitClaim(commit.effects, authenticatedData: [])
      let isAllowed = RoomPolicy.check(claim, state: before, members: leaves, room: id, time: context.now) == nil
      let membership = MembershipChange(before: Set(leaves.map(\.user)), claim, members: leaves)
      let request = CommitRequest(
        sendID: .random(), epoch: box.group.epoch.rawValue, message: commit.message, welcome: commit.welcome,
        recipients: claim.added.map(\.device), added: membership.added, removed: membership.removed,
        changes: before.changes(to: next, members: membership.after))
      self.box = nil
      do {
        _ = try await context.api.commit(request, to: id)
        return (isAllowed, true)
      } catch let error as ChatError where error.relayCode == .forbidden { return (isAllowed, false) }
    }
  }
}
