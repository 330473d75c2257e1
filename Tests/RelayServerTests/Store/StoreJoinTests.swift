import RelayProtocol
import RelayServer
import Testing

/// Ways into rooms where several are at the door at once, or one is there again and again.
@Suite struct StoreJoinTests {
  /// Attack 48. Where PostgreSQL is the store, the two come by different nodes.
  @Test(arguments: StoreKind.allCases) func ofAJoinAndABanAtOnceTheBanHolds(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let other = kind == .postgres ? try kind.open(world.folder) : world.store
    let (alice, mallory) = (try await world.person("alice"), try await world.person("mallory"))
    for _ in 0..<5 {
      let (room, invite) = (try await world.room(of: alice), InviteID(high: .random(in: 0 ... .max), low: 1))
      func commit(_ epoch: UInt64, removing removed: [UserID] = [], _ changes: RoomChanges) async throws -> RelayCode? {
        try await refusal {
          _ = try await world.store.commit(
            NewCommit(
              room: room, sender: alice.user, device: alice.device,
              request: CommitRequest(
                sendID: StoreWorld.random(), epoch: epoch, message: [1], welcome: nil, recipients: [], added: [],
                removed: removed, changes: changes, groupInfo: nil), now: 1000))
        }
      }
      func join(_ epoch: UInt64) async throws -> RelayCode? {
        try await refusal {
          _ = try await other.join(
            NewJoin(
              room: room, sender: mallory.user, device: mallory.device,
              request: JoinRequest(
                sendID: StoreWorld.random(), epoch: epoch, message: [2], invite: invite, groupInfo: nil), now: 1000)
          ) { _ in }
        }
      }
      var changes = RoomChanges()
      (changes.joinRule, changes.invites) = (.ask, [InviteTerms(invite: invite, expires: 0, uses: 0)])
      #expect(try await commit(0, changes) == nil)
      var ban = RoomChanges()
      ban.banned = [mallory.user]
      async let joining = join(1)
      let banning = try await commit(1, ban)
      let joined = try await joining
      if banning == nil {
        #expect(joined == .inviteInvalid || joined == .epochConflict)
      } else {
        // Who was in before is put out, and stays out.
        #expect(banning == .epochConflict && joined == nil)
        #expect(try await commit(2, ban) == .forbidden)
        #expect(try await commit(2, removing: [mallory.user], ban) == nil)
      }
      let epoch = try await world.store.room(room, for: alice.user).epoch
      #expect(try await join(epoch) == .inviteInvalid)
      #expect(try await refusal { _ = try await world.log(room, for: mallory) } == .roomNotFound)
      #expect(try await world.store.members(of: room, for: alice.user).map(\.user) == [alice.user])
    }
    await other.close()
  }

  /// Who may admit is not who gives codes: in an open room every member sees who asks, and only admins the code.
  @Test(arguments: StoreKind.allCases) func codesAreForAdminsInOpenRoomsToo(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room: RoomID = StoreWorld.random()
    _ = try await world.store.createRoom(
      NewRoom(room: room, owner: alice.user, direct: nil, joinRule: .open, now: 1))
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 0, adding: [bob]))
    let code = try await world.store.newCode(
      NewCode(
        room: room, sender: alice.user, device: alice.device, request: CodeRequest(lifetime: 600, uses: 1), now: 2))
    #expect(try await world.store.code(of: room, for: alice.user, now: 3).code == code.code)
    #expect(try await refusal { _ = try await world.store.code(of: room, for: bob.user, now: 3) } == .forbidden)
    #expect(try await world.store.asking(in: room, for: bob.user).isEmpty)
  }

  /// Attack 47: neither more devices nor more accounts make guessing worth while.
  @Test(arguments: StoreKind.allCases) func guessesAreCountedForAccountsAndForAll(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let hour: UInt64 = 3_600_000
    func guess(_ person: StoreWorld.Person, device: DeviceID? = nil, at now: UInt64) async throws -> RelayCode? {
      try await refusal {
        _ = try await world.store.ask(
          NewAsking(
            sender: person.user, device: device ?? person.device, request: AskRequest(code: "222222"), now: now))
      }
    }
    let mallory = try await world.person("mallory")
    let second: DeviceID = StoreWorld.random()
    try await world.store.replaceDeviceList(of: mallory.user, with: StoreWorld.list(2, mallory.device, second))
    for index in 0..<30 {
      #expect(try await guess(mallory, device: index % 2 == 0 ? nil : second, at: hour + UInt64(index)) == nil)
    }
    for device in [mallory.device, second] {
      #expect(try await guess(mallory, device: device, at: hour + 60_000) == .rateLimited)
    }
    #expect(try await guess(mallory, at: 2 * hour + 60_000) == nil)

    // The statements are the same for both stores, and these are many.
    guard kind == .sqlite else { return }
    let now = 10 * hour
    for index in 0..<20 {
      let one = try await world.person("guesser\(index)")
      for _ in 0..<30 { #expect(try await guess(one, at: now) == nil) }
    }
    let fresh = try await world.person("fresh")
    #expect(try await guess(fresh, at: now + 59_000) == .rateLimited)
    #expect(try await guess(fresh, at: now + 61_000) == nil)
  }
}
