import RelayProtocol
import RelayServer
import Testing

@Suite struct StoreAccountTests {
  @Test(arguments: StoreKind.allCases) func anAccountIsFoundByNameAddressAndID(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let person = StoreWorld.Person(user: StoreWorld.random(), device: StoreWorld.random(), name: "alice")
    let account = StoreWorld.account(person, email: "alice@example.org")
    try await world.store.createAccount(account, devices: StoreWorld.list(1, person.device))
    #expect(try await world.store.account(login: "alice") == account)
    #expect(try await world.store.account(login: "alice@example.org") == account)
    #expect(try await world.store.account(id: person.user) == account)
    #expect(try await world.store.account(login: "alic_") == nil)
    #expect(try await world.store.account(login: "' OR 1=1 --") == nil)
    #expect(try await world.store.account(id: StoreWorld.random()) == nil)
    #expect(try await world.store.deviceList(of: person.user) == StoreWorld.list(1, person.device))
    #expect(try await world.store.deviceList(of: StoreWorld.random()) == nil)
    try await world.store.updatePasswordHash(of: person.user, to: "other")
    #expect(try await world.store.account(id: person.user)?.passwordHash == "other")
    #expect(
      try await refusal { try await world.store.updatePasswordHash(of: StoreWorld.random(), to: "x") } == .userNotFound)
  }

  @Test(arguments: StoreKind.allCases) func takenNamesAddressesIDsAndDevicesAreRefused(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    func register(_ name: String, _ email: String?, _ user: UserID, _ device: DeviceID) async throws -> RelayCode? {
      try await refusal {
        try await world.store.createAccount(
          StoreWorld.account(.init(user: user, device: device, name: name), email: email),
          devices: StoreWorld.list(1, device))
      }
    }
    let (user, device) = (StoreWorld.random(UserID.self), StoreWorld.random(DeviceID.self))
    #expect(try await register("alice", "a@x.org", user, device) == nil)
    #expect(try await register("alice", nil, StoreWorld.random(), StoreWorld.random()) == .usernameTaken)
    #expect(try await register("bob", "a@x.org", StoreWorld.random(), StoreWorld.random()) == .usernameTaken)
    #expect(try await register("bob", nil, user, StoreWorld.random()) == .usernameTaken)
    // Someone who names another's device would read its Welcomes.
    #expect(try await register("bob", nil, StoreWorld.random(), device) == .deviceListConflict)
    // A name that looks like an address could catch another's log-in.
    #expect(try await register("a@x.org", nil, StoreWorld.random(), StoreWorld.random()) == .invalidRequest)
    #expect(try await world.store.account(login: "bob") == nil)
    #expect(try await register("bob", nil, StoreWorld.random(), StoreWorld.random()) == nil)
  }

  @Test(arguments: StoreKind.allCases) func aDeviceListGrowsByOne(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    let second: DeviceID = StoreWorld.random()
    for number in [0, 1, 3, .max] as [UInt64] {
      let code = try await refusal {
        try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(number, alice.device))
      }
      #expect(code == .deviceListConflict, "\(number)")
    }
    let stolen = try await refusal {
      try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(2, alice.device, bob.device))
    }
    #expect(stolen == .deviceListConflict)
    #expect(try await world.store.deviceList(of: alice.user)?.number == 1)
    try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(2, alice.device, second))
    #expect(try await world.store.deviceList(of: alice.user) == StoreWorld.list(2, alice.device, second))
    let unknown = try await refusal {
      try await world.store.replaceDeviceList(of: StoreWorld.random(), with: StoreWorld.list(2, second))
    }
    #expect(unknown == .userNotFound)
  }

  @Test(arguments: StoreKind.allCases) func aRevokedDeviceLosesEverything(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    _ = try await world.store.addKeyPackages([[1]], lastResort: [2], device: bob.device)
    try await world.store.createSession(
      SessionRecord(id: 5, user: bob.user, device: bob.device, refreshHash: [5], created: 1, expires: 100))
    let room = try await world.room(of: alice, with: bob)
    try await world.send(StoreWorld.message(room, from: bob, epoch: 1))
    #expect(try await world.store.welcomes(for: bob.device).count == 1)

    try await world.store.replaceDeviceList(of: bob.user, with: StoreWorld.list(2, StoreWorld.random()))
    #expect(try await world.store.session(id: 5) == nil)
    #expect(try await world.store.welcomes(for: bob.device).isEmpty)
    #expect(try await world.store.keyPackageCount(device: bob.device).oneTime == 0)
    #expect(
      try await refusal { try await world.send(StoreWorld.message(room, from: bob, epoch: 1)) } == .deviceUnknown)
    let rotated = try await refusal {
      _ = try await world.store.rotateSession(from: [5], to: [6], now: 2, expires: 100)
    }
    #expect(rotated == .sessionEnded)
    #expect(try await world.store.claimKeyPackages(of: bob.user).claimed.isEmpty)
  }

  // MARK: Sessions

  private func session(_ world: StoreWorld, _ person: StoreWorld.Person, id: UInt64 = 1) async throws -> SessionRecord {
    let session = SessionRecord(
      id: id, user: person.user, device: person.device, refreshHash: [1, UInt8(id)], created: 10, expires: 100)
    try await world.store.createSession(session)
    return session
  }

  @Test(arguments: StoreKind.allCases) func aRefreshTokenIsGoodOnce(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    var session = try await session(world, try await world.person("alice"))
    #expect(try await world.store.session(id: 1) == session)
    let rotated = try await world.store.rotateSession(from: [1, 1], to: [2, 1], now: 50, expires: 150)
    (session.refreshHash, session.expires) = ([2, 1], 150)
    #expect(rotated == session)
    #expect(try await world.store.session(id: 1) == session)
    _ = try await world.store.rotateSession(from: [2, 1], to: [3, 1], now: 60, expires: 160)
    // Somebody uses the first token again: one of the two users of this session stole it, so nobody keeps it.
    let reused = try await refusal {
      _ = try await world.store.rotateSession(from: [1, 1], to: [9], now: 61, expires: 161)
    }
    #expect(reused == .sessionEnded)
    #expect(try await world.store.session(id: 1) == nil)
    let current = try await refusal {
      _ = try await world.store.rotateSession(from: [3, 1], to: [9], now: 62, expires: 162)
    }
    #expect(current == .sessionEnded)
  }

  @Test(arguments: StoreKind.allCases) func unknownAndExpiredTokensAreRefused(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    _ = try await session(world, alice)
    let other = try await session(world, alice, id: 2)
    func rotate(_ hash: [UInt8], now: UInt64) async throws -> RelayCode? {
      try await refusal { _ = try await world.store.rotateSession(from: hash, to: [8], now: now, expires: 200) }
    }
    #expect(try await rotate([99], now: 50) == .sessionEnded)
    #expect(try await rotate([], now: 50) == .sessionEnded)
    #expect(try await rotate([1, 1], now: 100) == .sessionEnded)
    #expect(try await world.store.session(id: 1) == nil)
    #expect(try await world.store.session(id: 2) == other)
    try await world.store.endSession(id: 2)
    #expect(try await world.store.session(id: 2) == nil)
    try await world.store.endSession(id: 2)
  }

  @Test(arguments: StoreKind.allCases) func aSessionNeedsAListedDevice(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let (alice, bob) = (try await world.person("alice"), try await world.person("bob"))
    for device in [bob.device, StoreWorld.random()] {
      let code = try await refusal {
        try await world.store.createSession(
          SessionRecord(id: 1, user: alice.user, device: device, refreshHash: [1], created: 1, expires: 9))
      }
      #expect(code == .deviceUnknown)
    }
    for id in 1...20 as ClosedRange<UInt64> {
      try await world.store.createSession(
        SessionRecord(
          id: id, user: alice.user, device: alice.device, refreshHash: [2, UInt8(id)], created: id, expires: 99))
    }
    // The oldest made way.
    #expect(try await world.store.session(id: 1) == nil)
    #expect(try await world.store.session(id: 20) != nil)
  }

  // MARK: Key packages

  @Test(arguments: StoreKind.allCases) func aOneTimePackageIsHandedOutOnce(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let count = try await world.store.addKeyPackages([[1], [2]], lastResort: [9], device: alice.device)
    #expect((count.oneTime, count.hasLastResort) == (2, true))
    var claimed: [[UInt8]] = []
    for _ in 0..<4 {
      let response = try await world.store.claimKeyPackages(of: alice.user)
      #expect(response.claimed.map(\.device) == [alice.device])
      claimed += response.claimed.map(\.keyPackage.bytes)
    }
    #expect(claimed == [[1], [2], [9], [9]])
    // A repeated upload does not bring back what was handed out.
    let again = try await world.store.addKeyPackages([[1], [2], [3]], lastResort: nil, device: alice.device)
    #expect((again.oneTime, again.hasLastResort) == (1, true))
    _ = try await world.store.addKeyPackages([], lastResort: [8], device: alice.device)
    #expect(try await world.store.claimKeyPackages(of: alice.user).claimed.map(\.keyPackage.bytes) == [[3]])
    #expect(try await world.store.claimKeyPackages(of: alice.user).claimed.map(\.keyPackage.bytes) == [[8]])
  }

  @Test(arguments: StoreKind.allCases) func eachDeviceGivesItsOwn(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    let (second, third) = (StoreWorld.random(DeviceID.self), StoreWorld.random(DeviceID.self))
    try await world.store.replaceDeviceList(of: alice.user, with: StoreWorld.list(2, alice.device, second, third))
    _ = try await world.store.addKeyPackages([[1]], lastResort: nil, device: alice.device)
    _ = try await world.store.addKeyPackages([[1]], lastResort: nil, device: second)
    let response = try await world.store.claimKeyPackages(of: alice.user)
    #expect(response.claimed.map(\.device) == [alice.device, second])
    #expect(response.without == [third])
    #expect(try await world.store.claimKeyPackages(of: alice.user).without.count == 3)
    #expect(
      try await refusal { _ = try await world.store.claimKeyPackages(of: StoreWorld.random()) } == .userNotFound)
  }

  @Test(arguments: StoreKind.allCases) func uploadsAreBounded(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    func add(_ packages: [[UInt8]], _ device: DeviceID) async throws -> RelayCode? {
      try await refusal { _ = try await world.store.addKeyPackages(packages, lastResort: nil, device: device) }
    }
    #expect(try await add([[1]], StoreWorld.random()) == .deviceUnknown)
    #expect(try await add(Array(repeating: [1], count: Limits.keyPackagesPerUpload + 1), alice.device) == .tooLarge)
    #expect(try await add([Array(repeating: 1, count: Limits.keyPackage + 1)], alice.device) == .tooLarge)
    #expect(try await add([[]], alice.device) == .invalidRequest)
    for batch in 0..<3 as Range<UInt8> {
      _ = try await add((0..<100).map { [batch, $0] }, alice.device)
    }
    #expect(try await world.store.keyPackageCount(device: alice.device).oneTime == Limits.keyPackagesPerDevice)
    // The newest stayed.
    #expect(try await world.store.claimKeyPackages(of: alice.user).claimed[0].keyPackage.bytes == [1, 0])
  }

  @Test(arguments: StoreKind.allCases) func manyClaimsAtOnceNeverShareAPackage(_ kind: StoreKind) async throws {
    let world = try StoreWorld(kind)
    let alice = try await world.person("alice")
    for batch in 0..<2 as Range<UInt8> {
      _ = try await world.store.addKeyPackages(
        (0..<100).map { [batch, $0] }, lastResort: [255], device: alice.device)
    }
    let claimed = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<250 {
        group.addTask { try await world.store.claimKeyPackages(of: alice.user).claimed[0].keyPackage.bytes }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(claimed.count { $0 == [255] } == 50)
    #expect(Set(claimed).count == 201)
  }
}
