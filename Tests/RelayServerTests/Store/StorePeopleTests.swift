import RelayProtocol
import Testing

@testable import RelayServer

@Suite struct StorePeopleTests {
  static func act(_ act: String = "test") -> AuditRecord {
    AuditRecord(time: 9, actor: "uid 0", act: act, subject: "x")
  }

  @Test(arguments: StoreKind.allCases) func aStateEndsSessionsAndKeepsTheName(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    func begin(_ id: UInt64) async throws -> RelayCode? {
      try await refusal {
        try await world.store.createSession(
          SessionRecord(
            id: id, user: bob.user, device: bob.device, refreshHash: [UInt8(id)], created: id, expires: 100))
      }
    }
    for state in [AccountState.disabled, .locked, .deleted] {
      let id = UInt64(state.rawValue) * 10
      #expect(try await begin(id) == nil)
      #expect(try await begin(id + 1) == nil)
      let ended = try await world.store.changeState(of: bob.user, to: state, Self.act())
      #expect(Set(ended).isSuperset(of: [id, id + 1]))
      #expect(try await world.store.sessions(of: bob.user).isEmpty)
      #expect(try await begin(id + 2) == .accountDisabled)
      #expect(
        try await refusal { _ = try await world.store.rotateSession(from: [UInt8(id)], to: [0], now: 2, expires: 9) }
          == .sessionEnded)
      #expect(try await world.store.account(login: "bob")?.state == state)
      #expect(try await world.store.mayReach(bob.user, from: alice.user) == false)
      let taken = try await refusal {
        let other = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "bob")
        try await world.store.createAccount(StoreWorld.account(other), devices: StoreWorld.list(1, other.device))
      }
      #expect(taken == .usernameTaken)
      #expect(try await world.store.changeState(of: bob.user, to: .active, Self.act("back")).isEmpty)
      #expect(try await world.store.mayReach(bob.user, from: alice.user))
      #expect(try await begin(id + 3) == nil)
    }
    #expect(try await world.store.audit(limit: 100).map(\.act) == ["back", "test", "back", "test", "back", "test"])
    let nobody = try await refusal {
      _ = try await world.store.changeState(of: StoreWorld.random(), to: .locked, Self.act("never"))
    }
    #expect(nobody == .userNotFound)
    // What was not done is not in the log.
    #expect(try await world.store.audit(limit: 1).first?.act == "back")
  }

  @Test(arguments: StoreKind.allCases) func anInvitationIsRedeemedAsOftenAsItSaysUnderAnyRace(
    _ kind: StoreKind
  ) async throws {
    let world = try StoreWorld(kind)
    func invite(_ hash: [UInt8], uses: Int, expires: UInt64 = 100) async throws -> UInt64 {
      try await world.store.createInvite(
        InviteRecord(id: 0, uses: uses, used: 0, created: 1, expires: expires, isRevoked: false), hash: hash,
        actor: "uid 0"
      ).id
    }
    func register(_ name: String, _ hash: [UInt8]) async throws -> RelayCode? {
      try await refusal {
        let person = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: name)
        try await world.store.createAccount(
          StoreWorld.account(person), devices: StoreWorld.list(1, person.device), invite: hash, identity: nil,
          redeeming: nil)
      }
    }
    _ = try await invite([1], uses: 3)
    let codes = try await withThrowingTaskGroup(of: RelayCode?.self) { group in
      for index in 0..<20 { group.addTask { try await register("racer\(index)", [1]) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(codes.count { $0 == nil } == 3 && codes.count { $0 == .invitationInvalid } == 17)
    #expect(try await world.store.invites().first?.used == 3)

    _ = try await invite([2], uses: 1)
    // A registration that fails uses nothing up.
    let taken = try await world.person("taken")
    #expect(try await register(taken.name, [2]) == .usernameTaken)
    #expect(try await register("fresh", [2]) == nil)
    _ = try await invite([3], uses: 1, expires: 1)
    #expect(try await register("late", [3]) == .invitationInvalid)
    let revoked = try await invite([4], uses: 5)
    try await world.store.revokeInvite(revoked, Self.act())
    #expect(try await register("revoked", [4]) == .invitationInvalid)
    #expect(try await register("unknown", [5]) == .invitationInvalid)
    #expect(try await refusal { try await world.store.revokeInvite(999, Self.act()) } == .notFound)
  }

  @Test(arguments: StoreKind.allCases) func aLostAnswerToARefreshIsForgivenOnce(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let bob = try await world.person("bob")
    func begin() async throws {
      try await world.store.createSession(
        SessionRecord(id: 7, user: bob.user, device: bob.device, refreshHash: [1], created: 1, expires: 1 << 40))
    }
    func rotate(_ old: UInt8, _ new: UInt8, at now: UInt64) async throws -> RelayCode? {
      try await refusal {
        _ = try await world.store.rotateSession(from: [old], to: [new], now: now, expires: 1 << 40)
      }
    }
    // The answer with 2 is lost; 1 is good once more, and gives 3.
    try await begin()
    #expect(try await rotate(1, 2, at: 10) == nil)
    #expect(try await rotate(1, 3, at: 20) == nil)
    #expect(try await rotate(3, 4, at: 30) == nil)
    // Whoever got hold of 2 after all ends the session.
    #expect(try await rotate(2, 5, at: 40) == .sessionEnded)
    #expect(try await rotate(4, 5, at: 50) == .sessionEnded)
    // Not twice.
    try await begin()
    #expect(try await rotate(1, 2, at: 10) == nil)
    #expect(try await rotate(1, 3, at: 20) == nil)
    #expect(try await rotate(1, 4, at: 30) == .sessionEnded)
    #expect(try await rotate(3, 4, at: 40) == .sessionEnded)
    // Not if its successor was used.
    try await begin()
    #expect(try await rotate(1, 2, at: 10) == nil)
    #expect(try await rotate(2, 3, at: 20) == nil)
    #expect(try await rotate(1, 4, at: 30) == .sessionEnded)
    #expect(try await rotate(3, 4, at: 30) == .sessionEnded)
    // Not later.
    try await begin()
    #expect(try await rotate(1, 2, at: 10) == nil)
    #expect(try await rotate(1, 3, at: 11 + Limits.refreshGrace) == .sessionEnded)
    #expect(try await world.store.session(id: 7) == nil)
  }

  @Test(arguments: StoreKind.allCases) func contactsAreAskedAcceptedDeclinedAndBlocked(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    typealias Person = StoreWorld.Person
    func change(_ change: ContactChange, _ owner: Person, _ other: Person) async throws -> RelayCode? {
      try await refusal { _ = try await world.store.change(change, of: owner.user, with: other.user, now: 5) }
    }
    func state(_ owner: Person) async throws -> ContactState? {
      let contacts: [ContactRecord] = try await world.store.contacts(of: owner.user)
      return contacts.first?.state
    }
    func states() async throws -> [ContactState?] { [try await state(alice), try await state(bob)] }
    #expect(try await change(.accept, alice, bob) == .notFound)
    #expect(try await change(.request, alice, alice) == .invalidRequest)
    #expect(try await change(.request, alice, bob) == nil)
    #expect(try await states() == [.requested, .received])
    #expect(try await change(.accept, alice, bob) == .notFound)
    #expect(try await change(.accept, bob, alice) == nil)
    #expect(try await states() == [.accepted, .accepted])
    #expect(try await world.store.knowEachOther(alice.user, bob.user))
    #expect(try await world.store.audience(of: alice.user, limit: 10) == [bob.user])
    #expect(try await change(.remove, bob, alice) == nil)
    #expect(try await states() == [nil, nil])
    // Declined: the one who asked sees no difference, and does not reach the other again.
    #expect(try await change(.request, alice, bob) == nil)
    #expect(try await change(.decline, bob, alice) == nil)
    #expect(try await states() == [.requested, nil])
    #expect(try await change(.request, alice, bob) == nil)
    #expect(try await states() == [.requested, nil])
    // Who declined may ask, and both are contacts.
    #expect(try await change(.request, bob, alice) == nil)
    #expect(try await states() == [.accepted, .accepted])
    // Blocked: as if the account were gone.
    #expect(try await change(.block, alice, bob) == nil)
    #expect(try await states() == [.blocked, nil])
    #expect(try await change(.request, bob, alice) == .userNotFound)
    #expect(try await world.store.mayReach(alice.user, from: bob.user) == false)
    #expect(try await world.store.mayReach(bob.user, from: alice.user))
    #expect(try await change(.request, alice, bob) == .forbidden)
    #expect(try await change(.unblock, bob, alice) == .notFound)
    #expect(try await change(.unblock, alice, bob) == nil)
    #expect(try await states() == [nil, nil])
    #expect(try await world.store.mayReach(alice.user, from: bob.user))
    // Two who ask each other are contacts, whoever was first.
    #expect(try await change(.request, bob, alice) == nil)
    #expect(try await change(.request, alice, bob) == nil)
    #expect(try await states() == [.accepted, .accepted])
  }

  @Test(arguments: StoreKind.allCases) func theBlockedAddNobodyToRoomsAndSeeNoPresence(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let carol = try await world.person("carol")
    func seen(by viewer: StoreWorld.Person) async throws -> [UserID] {
      try await world.store.presence(of: [alice.user, bob.user, carol.user], for: viewer.user).map(\.user)
    }
    // Strangers see only themselves.
    #expect(try await seen(by: bob) == [bob.user])
    let shared = try await world.room(of: bob, with: alice)
    #expect(try await seen(by: bob) == [alice.user, bob.user])
    #expect(try await world.store.audience(of: alice.user, limit: 9) == [bob.user])
    _ = try await world.store.change(.block, of: alice.user, with: bob.user, now: 1)
    #expect(try await seen(by: bob) == [bob.user])
    #expect(try await world.store.audience(of: alice.user, limit: 9).isEmpty)
    let room: RoomID = StoreWorld.random()
    _ = try await world.store.createRoom(room, owner: bob.user, now: 1)
    func add(_ person: StoreWorld.Person, to room: RoomID, _ epoch: UInt64) async throws -> RelayCode? {
      try await refusal {
        _ = try await world.store.commit(StoreWorld.commit(room, from: bob, epoch: epoch, adding: [person]))
      }
    }
    #expect(try await add(alice, to: room, 0) == .userNotFound)
    #expect(try await add(carol, to: room, 0) == nil)
    // Where both are already, another device of hers may be added by anybody.
    #expect(try await add(alice, to: shared, 1) == nil)
    // An account that is gone cannot be added either, with the same answer.
    _ = try await world.store.changeState(of: alice.user, to: .deleted, Self.act())
    _ = try await world.store.change(.unblock, of: alice.user, with: bob.user, now: 1)
    #expect(try await add(alice, to: room, 1) == .userNotFound)
    #expect(try await seen(by: bob) == [bob.user, carol.user])
    try await world.store.changePresence(of: carol.user, to: .busy, isShown: false)
    #expect(try await seen(by: bob) == [bob.user])
  }

  @Test(arguments: StoreKind.allCases) func anIdentityElsewhereBelongsToOneAccount(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let identity = ExternalIdentity(issuer: "https://sso.example", subject: "1")
    #expect(try await world.store.account(identity: identity) == nil)
    try await world.store.link(identity, to: alice.user, Self.act())
    try await world.store.link(identity, to: alice.user, Self.act())
    #expect(try await world.store.account(identity: identity)?.id == alice.user)
    #expect(try await refusal { try await world.store.link(identity, to: bob.user, Self.act()) } == .identityInUse)
    #expect(try await world.store.account(identity: .init(issuer: "https://other.example", subject: "1")) == nil)
  }

  /// A login by an identity that is taken from the account meanwhile begins nothing: the sessions that ended were all.
  @Test(arguments: StoreKind.allCases) func aLostIdentityBeginsNoSession(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let identity = ExternalIdentity(issuer: "https://id.example", subject: "alice")
    let act = AuditRecord(time: 1, actor: "test", act: "test", subject: "test")
    try await world.store.link(identity, to: alice.user, act)
    func logIn(_ id: UInt64, as person: StoreWorld.Person) async throws -> RelayCode? {
      try await refusal {
        _ = try await world.store.createSession(
          SessionRecord(
            id: id, user: person.user, device: person.device, refreshHash: [UInt8(id)], created: 1, expires: 100),
          redeeming: Redemption(hash: [UInt8(id)], now: 1, expires: 100, identity: identity))
      }
    }
    #expect(try await logIn(1, as: alice) == nil)
    #expect(try await world.store.unlink(identity, from: alice.user, act) == [1])
    #expect(try await logIn(2, as: alice) == .identityUnknown)
    // Nor when it is another's by then.
    try await world.store.link(identity, to: bob.user, act)
    #expect(try await logIn(3, as: alice) == .identityUnknown)
    #expect(try await logIn(4, as: bob) == nil)
    #expect(try await world.store.sessions(of: alice.user).isEmpty)
  }
}
