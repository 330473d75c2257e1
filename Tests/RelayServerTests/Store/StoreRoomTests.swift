import RelayProtocol
import RelayServer
import Storage
import Testing

@Suite struct StoreRoomTests {
  @Test(arguments: StoreKind.allCases) func aRoomBeginsWithItsOwner(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, eve) = (try await world.person("alice"), try await world.person("eve"))
    let room: RoomID = StoreWorld.random()
    let made = try await world.store.createRoom(room, owner: alice.user, now: 5)
    let start = StreamPosition(incarnation: world.store.incarnation, sequence: 0)
    #expect(
      made == RoomResponse(room: room, epoch: 0, position: start, members: 1, role: .owner, joinRule: .closed))
    #expect(try await world.store.room(room, for: alice.user) == made)
    #expect(try await world.store.rooms(of: alice.user) == [made])
    #expect(try await world.store.rooms(of: eve.user).isEmpty)
    #expect(
      try await world.store.members(of: room, for: alice.user) == [
        .init(user: alice.user, username: "alice", role: .owner)
      ])
    let again = try await refusal { _ = try await world.store.createRoom(room, owner: eve.user, now: 6) }
    #expect(again == .roomExists)
    let nobody = try await refusal {
      _ = try await world.store.createRoom(StoreWorld.random(), owner: StoreWorld.random(), now: 6)
    }
    #expect(nobody == .userNotFound)
  }

  @Test(arguments: StoreKind.allCases) func aRoomDoesNotExistForOthers(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, eve) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("eve")
    )
    let room = try await world.room(of: alice, with: bob)
    try await world.send(StoreWorld.message(room, from: alice, epoch: 1))
    // What a stranger sees of this room, and of one that is not there, is the same.
    for room in [room, StoreWorld.random()] {
      let attempts: [@Sendable () async throws -> Void] = [
        { _ = try await world.store.room(room, for: eve.user) },
        { _ = try await world.store.members(of: room, for: eve.user) },
        { _ = try await world.log(room, for: eve) },
        { try await world.send(StoreWorld.message(room, from: eve, epoch: 1)) },
        { try await world.send(StoreWorld.message(room, from: eve, epoch: 99)) },
        { _ = try await world.store.commit(StoreWorld.commit(room, from: eve, epoch: 1, adding: [eve])) },
        { _ = try await world.store.leave(StoreWorld.message(room, from: eve, epoch: 1, kind: .proposal)) },
      ]
      for (index, attempt) in attempts.enumerated() {
        #expect(try await refusal(attempt) == .roomNotFound, "\(index)")
      }
    }
    #expect(try await world.log(room, for: alice).entries.count == 2)
    // Nor can she speak with another's device or for another.
    let forged = StoreWorld.Person(user: alice.user, device: eve.device, name: "")
    #expect(
      try await refusal { try await world.send(StoreWorld.message(room, from: forged, epoch: 1)) } == .deviceUnknown)
  }

  @Test(arguments: StoreKind.allCases) func aCommitMovesTheEpochAndTheMembers(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, carol) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("carol")
    )
    let room: RoomID = StoreWorld.random()
    _ = try await world.store.createRoom(room, owner: alice.user, now: 1)
    let appended = try await world.store.commit(
      StoreWorld.commit(
        room, from: alice, epoch: 0, [5, 6], welcome: [8], for: [bob.device, carol.device], adding: [bob, carol]))
    #expect(appended.response.position == StreamPosition(incarnation: world.store.incarnation, sequence: 1))
    #expect(
      appended.entry == LogEntry(room: room, sequence: 1, kind: .commit, epoch: 0, time: 1000, message: [5, 6]))
    let response = try await world.store.room(room, for: bob.user)
    #expect((response.epoch, response.position.sequence, response.members) == (1, 1, 3))
    #expect(try await world.store.members(of: room, for: carol.user).map(\.username) == ["alice", "bob", "carol"])
    let welcome = try #require(try await world.store.welcomes(for: bob.device).first)
    #expect((welcome.room, welcome.welcome.bytes, welcome.position.sequence) == (room, [8], 1))

    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 1, removing: [carol]))
    #expect(try await world.store.room(room, for: alice.user).epoch == 2)
    #expect(try await refusal { _ = try await world.log(room, for: carol) } == .roomNotFound)
    #expect(
      try await refusal { try await world.send(StoreWorld.message(room, from: carol, epoch: 2)) } == .roomNotFound)
    #expect(try await world.store.rooms(of: carol.user).isEmpty)
    // The Welcome that she had not taken in went with her membership; his is still there.
    #expect(try await world.store.welcomes(for: carol.device).isEmpty)
    #expect(try await world.store.welcomes(for: bob.device).count == 1)
  }

  @Test(arguments: StoreKind.allCases) func aCommitThatIsRefusedChangesNothing(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, eve) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("eve")
    )
    let room = try await world.room(of: alice, with: bob)
    let nobody = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "")
    let attempts: [(NewCommit, RelayCode)] = [
      (StoreWorld.commit(room, from: alice, epoch: 0), .epochConflict),
      (StoreWorld.commit(room, from: alice, epoch: 2), .epochConflict),
      (StoreWorld.commit(room, from: alice, epoch: .max), .epochConflict),
      (StoreWorld.commit(room, from: alice, epoch: 1, removing: [bob, alice]), .invalidRequest),
      (StoreWorld.commit(room, from: alice, epoch: 1, adding: [eve, nobody]), .userNotFound),
      // Welcomes go to members only, whom the log tells of.
      (StoreWorld.commit(room, from: alice, epoch: 1, welcome: [1], for: [eve.device]), .deviceUnknown),
      (StoreWorld.commit(room, from: alice, epoch: 1, welcome: [1], for: [nobody.device]), .deviceUnknown),
      (
        StoreWorld.commit(room, from: alice, epoch: 1, welcome: [1], for: [bob.device], removing: [bob]),
        .deviceUnknown
      ),
      (
        StoreWorld.commit(room, from: alice, epoch: 1, welcome: [1], for: [bob.device, bob.device], adding: [bob]),
        .invalidRequest
      ),
      (StoreWorld.commit(room, from: alice, epoch: 1, welcome: [1]), .invalidRequest),
      (StoreWorld.commit(room, from: alice, epoch: 1, for: [bob.device]), .invalidRequest),
      (StoreWorld.commit(room, from: alice, epoch: 1, []), .invalidRequest),
      (
        StoreWorld.commit(room, from: alice, epoch: 1, [UInt8](repeating: 0, count: Limits.commitRequest + 1)),
        .tooLarge
      ),
    ]
    let before = try await world.store.room(room, for: alice.user)
    for (index, (commit, code)) in attempts.enumerated() {
      #expect(try await refusal { _ = try await world.store.commit(commit) } == code, "\(index)")
      #expect(try await world.store.room(room, for: alice.user) == before, "\(index)")
    }
    #expect(try await world.store.members(of: room, for: alice.user).map(\.username) == ["alice", "bob"])
    #expect(try await world.store.welcomes(for: bob.device).map(\.welcome.bytes) == [[9]])
    #expect(try await world.log(room, for: alice).entries.count == 1)
    // The send id of a refused commit is free, and nothing in memory was left behind.
    let retried = attempts[4].0
    var request = retried.request
    request.added = [eve.user]
    let accepted = try await world.store.commit(
      NewCommit(room: room, sender: alice.user, device: alice.device, request: request, now: 1))
    #expect(accepted.response.position.sequence == 2)
  }

  @Test(arguments: StoreKind.allCases) func ofManyCommitsForOneEpochOneWins(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: alice, with: bob)
    for epoch in 1...20 as ClosedRange<UInt64> {
      let outcomes = try await withThrowingTaskGroup(of: RelayCode?.self) { group in
        for index in 0..<8 as Range<UInt8> {
          group.addTask {
            try await refusal {
              _ = try await world.store.commit(
                StoreWorld.commit(room, from: index % 2 == 0 ? alice : bob, epoch: epoch, [index]))
            }
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(outcomes.count { $0 == nil } == 1)
      #expect(outcomes.count { $0 == .epochConflict } == 7)
      #expect(try await world.store.room(room, for: alice.user).epoch == epoch + 1)
    }
    #expect(try await world.log(room, for: alice).entries.map(\.epoch) == Array(0...20))
  }

  @Test(arguments: StoreKind.allCases) func aRepeatedCommitReturnsItsFirstOutcome(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room: RoomID = StoreWorld.random()
    _ = try await world.store.createRoom(room, owner: alice.user, now: 1)
    let commit = StoreWorld.commit(room, from: alice, epoch: 0, welcome: [1], for: [bob.device], adding: [bob])
    let first = try await world.store.commit(commit)
    let second = try await world.store.commit(commit)
    #expect(second.response == first.response)
    #expect(second.entry == nil)
    #expect(try await world.store.room(room, for: alice.user).epoch == 1)
    #expect(try await world.store.welcomes(for: bob.device).count == 1)
    var other = commit.request
    other.message = Base64URL([99])
    let reused = try await refusal {
      _ = try await world.store.commit(
        NewCommit(room: room, sender: alice.user, device: alice.device, request: other, now: 1))
    }
    #expect(reused == .sendIDReused)
  }

  @Test(arguments: StoreKind.allCases) func setsOfMembersAreToBeReached(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, eve) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("eve")
    )
    let room = try await world.room(of: alice, with: bob)
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 1, adding: [bob], removing: [eve]))
    #expect(try await world.store.members(of: room, for: alice.user).map(\.username) == ["alice", "bob"])
    #expect(try await world.log(room, for: bob).entries.map(\.sequence) == [1, 2])
    // In both lists, a member starts anew.
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 2, adding: [bob], removing: [bob]))
    #expect(try await world.log(room, for: bob).entries.map(\.sequence) == [3])
  }

  // MARK: History

  @Test(arguments: StoreKind.allCases) func aMemberSeesNothingFromBeforeItJoinedNorAfterItLeft(
    _ kind: StoreKind
  ) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, carol) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("carol")
    )
    let room = try await world.room(of: alice, with: bob)  // 1
    for _ in 2...4 { try await world.send(StoreWorld.message(room, from: alice, epoch: 1)) }
    _ = try await world.store.commit(StoreWorld.commit(room, from: alice, epoch: 1, adding: [carol]))  // 5
    try await world.send(StoreWorld.message(room, from: bob, epoch: 2))  // 6
    #expect(try await world.log(room, for: alice).entries.map(\.sequence) == [1, 2, 3, 4, 5, 6])
    #expect(try await world.log(room, for: carol).entries.map(\.sequence) == [5, 6])
    #expect(try await world.log(room, for: carol, after: 3).entries.map(\.sequence) == [5, 6])
    #expect(try await world.log(room, for: carol, after: 5).entries.map(\.sequence) == [6])

    let left = try await world.store.leave(StoreWorld.message(room, from: carol, epoch: 2, kind: .proposal))  // 7
    #expect(left.entry?.kind == .proposal)
    #expect(try await refusal { _ = try await world.log(room, for: carol) } == .roomNotFound)
    try await world.send(StoreWorld.message(room, from: bob, epoch: 2))  // 8
    _ = try await world.store.commit(
      StoreWorld.commit(room, from: alice, epoch: 2, adding: [carol], removing: [carol]))
    #expect(try await world.log(room, for: carol).entries.map(\.sequence) == [9])
  }

  @Test(arguments: StoreKind.allCases) func leavingIsIdempotentAndNeedsThePresentEpoch(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let room = try await world.room(of: alice, with: bob)
    func leave(_ message: NewMessage) async throws -> RelayCode? {
      try await refusal { _ = try await world.store.leave(message) }
    }
    #expect(try await leave(StoreWorld.message(room, from: bob, epoch: 0, kind: .proposal)) == .epochConflict)
    #expect(try await leave(StoreWorld.message(room, from: bob, epoch: 1, kind: .application)) == .invalidRequest)
    let message = StoreWorld.message(room, from: bob, epoch: 1, kind: .proposal)
    let first = try await world.store.leave(message)
    let second = try await world.store.leave(message)
    #expect(second.response == first.response)
    #expect(second.entry == nil)
    #expect(try await leave(StoreWorld.message(room, from: bob, epoch: 1, kind: .proposal)) == .roomNotFound)
    #expect(try await world.store.welcomes(for: bob.device).isEmpty)
    #expect(try await world.log(room, for: alice).entries.count == 2)
  }

  @Test(arguments: StoreKind.allCases) func pagesAreBoundedAndGapless(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let room = try await world.room(of: alice)
    _ = await world.send((0..<25).map { StoreWorld.message(room, from: alice, Array(repeating: $0, count: 100)) })
    func page(_ after: UInt64, _ limit: Int, _ bytes: Int = 1 << 20) async throws -> [UInt64] {
      let log = try await world.store.entries(of: room, after: after, limit: limit, bytes: bytes, for: alice.user)
      #expect(log.last.sequence == 25)
      return log.entries.map(\.sequence)
    }
    #expect(try await page(0, 10) == Array(1...10))
    #expect(try await page(10, 10) == Array(11...20))
    #expect(try await page(20, 10) == Array(21...25))
    #expect(try await page(25, 10) == [])
    #expect(try await page(0, 10, 350) == [1, 2, 3])
    #expect(try await page(0, 10, 1) == [1])
    #expect(try await page(.max, 10) == [])
    #expect(try await page(0, 0) == [])
    #expect(try await page(0, -5) == [])
    #expect(try await page(0, .max) == Array(1...25))
  }

  // MARK: Welcomes

  @Test(arguments: StoreKind.allCases) func aWelcomeIsForItsDeviceAlone(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob, carol) = (
      try await world.person("alice"), try await world.person("bob"), try await world.person("carol")
    )
    let room = try await world.room(of: alice, with: bob, carol)
    let welcome = try #require(try await world.store.welcomes(for: bob.device).first)
    try await world.store.deleteWelcome(welcome.id, for: carol.device)
    try await world.store.deleteWelcome(.max, for: bob.device)
    #expect(try await world.store.welcomes(for: bob.device).count == 1)
    try await world.store.deleteWelcome(welcome.id, for: bob.device)
    #expect(try await world.store.welcomes(for: bob.device).isEmpty)
    #expect(try await world.store.welcomes(for: carol.device).count == 1)
    // A second one to the same room replaces the first.
    _ = try await world.store.commit(
      StoreWorld.commit(room, from: alice, epoch: 1, welcome: [44], for: [carol.device], adding: [carol]))
    let waiting = try await world.store.welcomes(for: carol.device)
    #expect(waiting.map(\.welcome.bytes) == [[44]])
    // But only by a commit that adds that member: nobody replaces another's Welcome in passing.
    let passing = try await refusal {
      _ = try await world.store.commit(
        StoreWorld.commit(room, from: bob, epoch: 2, welcome: [45], for: [carol.device]))
    }
    #expect(passing == .deviceUnknown)
    #expect(waiting.map(\.position.sequence) == [2])
    #expect(waiting[0].id > welcome.id)
  }

  /// To ask for the members of another's room costs what it costs to ask for those of none, however many there are.
  @Test func membersOfOthersAreNotEvenRead() async throws {
    let world = try StoreWorld(.sqlite)
    let (alice, mallory) = (try await world.person("alice"), try await world.person("mallory"))
    let (large, none): (RoomID, RoomID) = (try await world.room(of: alice), StoreWorld.random())
    let database = try SQLiteDatabase(path: world.folder.database)
    try database.executeScript(
      """
      WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
      INSERT INTO account (id, username, password_hash, role, created, list_number, list)
      SELECT randomblob(16), 'member' || i, '', 'user', 1, 1, x'00' FROM n;
      INSERT INTO member (room, account, joined, role)
      SELECT room.key, account.key, 1, 0 FROM room, account WHERE account.username LIKE 'member%';
      """)
    #expect(try await world.store.members(of: large, for: alice.user).count == 4001)
    func time(_ room: RoomID) async throws -> Duration {
      var least = Duration.seconds(1)
      for _ in 0..<20 {
        let begun = ContinuousClock.now
        #expect(
          try await refusal { _ = try await world.store.members(of: room, for: mallory.user) } == .roomNotFound)
        least = min(least, .now - begun)
      }
      return least
    }
    let (another, nothing) = (try await time(large), try await time(none))
    #expect(another < nothing * 5 + .milliseconds(1), "\(another) instead of \(nothing)")
  }
}
