import CryptoPrimitives
import Networking
import RelayProtocol
import Testing
import WireCodec

@testable import RelayServer

struct AccountAPITests {
  @Test func registersLogsInAndLooksUp() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let me: AccountResponse = try await alice.call(.me)
      #expect(me.username == "alice" && me.user == alice.user && me.role == "user" && me.device == alice.device)
      for name in ["alice", "\(alice.user)"] {
        let found: UserResponse = try await alice.call(.user, Route.user.path(name))
        #expect(found.user == alice.user && found.deviceList.bytes == alice.list.encoded)
      }
      for name in ["nobody", "alice@example.org", "x'--", "\(UserID.random())"] {
        await #expect(throws: Refusal(code: "user_not_found")) {
          let _: UserResponse = try await alice.call(.user, "/v1/users/\(name)")
        }
      }
      let login = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: alice.device))
      #expect(login.status == 201)
      let session: SessionResponse = try login.decoded()
      #expect(session.accessToken != alice.token && session.expiresIn == 600)
      let unknown = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: .random()))
      #expect(try unknown.problem() == "device_unknown")
    }
  }

  @Test func checksRegistrations() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let key = SigningKey.generate()
      let list = try Person.newList(accountKey: key)
      func refusal(
        _ list: [UInt8], name: String = "bob", password: String = Person.password, email: String? = nil
      ) async throws -> String {
        try await fixture.call(
          .register, nil, RegisterRequest(username: name, password: password, email: email, deviceList: list)
        ).problem()
      }
      for name in [
        "", "ab", "Bob", "bob bob", ".bob", "bob@x", String(repeating: "b", count: 33), "b\u{202e}ob", "b\0b",
      ] {
        #expect(try await refusal(list.encoded, name: name) == "invalid_request", "\(name)")
      }
      #expect(try await refusal(list.encoded, password: "1234567") == "invalid_request")
      #expect(try await refusal(list.encoded, password: String(repeating: "p", count: 1025)) == "invalid_request")
      #expect(try await refusal(list.encoded, email: "no address") == "invalid_request")
      #expect(try await refusal(list.encoded, name: "alice") == "username_taken")
      #expect(try await refusal(alice.list.encoded) == "username_taken")

      var wrong = list
      wrong.signature[0] ^= 1
      #expect(try await refusal(wrong.encoded) == "invalid_signature")
      wrong = SignedDeviceList(
        list: list.list, signature: try SigningKey.generate().sign(SignedDeviceList.signedBytes(of: list.list)))
      #expect(try await refusal(wrong.encoded) == "invalid_signature")
      #expect(try await refusal(list.encoded + [0]) == "invalid_request")
      #expect(try await refusal(Array(list.encoded.dropLast())) == "invalid_request")
      #expect(try await refusal([]) == "invalid_request")
      #expect(try await refusal([UInt8](repeating: 0xff, count: 70_000)) == "invalid_request")
      let changes: [(inout DeviceList) -> Void] = [
        { $0.number = 2 }, { $0.number = 0 }, { $0.previous = [1] }, { $0.devices = [] },
        { $0.devices.append(Person.entry(.random())) }, { $0.devices[0].signatureKey = [1] },
      ]
      for change in changes {
        var list = list.list
        change(&list)
        #expect(try await refusal(Person.sign(list, key).encoded) == "invalid_request")
      }
      // Another's device.
      var stolen = list.list
      stolen.devices = [Person.entry(alice.device)]
      #expect(try await refusal(Person.sign(stolen, key).encoded) == "device_list_conflict")
    }
    try await RelayFixture.run({ $0.registration = .closed }) { fixture in
      let list = try Person.newList(accountKey: .generate())
      let response = try await fixture.call(
        .register, nil, RegisterRequest(username: "bob", password: Person.password, deviceList: list.encoded))
      #expect(try response.problem() == "registration_closed")
    }
  }

  /// Guesses that come at once are as many as those that come one after another; who is right spends nothing.
  @Test func guessesAtOnceAreNotMoreGuesses() async throws {
    try await RelayFixture.run(clock: { 1_800_000_000_000 }) { fixture in
      let alice = try await fixture.person("alice")
      func logIn(_ password: String) async throws -> Int {
        try await fixture.call(.logIn, nil, LoginRequest(login: "alice", password: password, device: alice.device))
          .status
      }
      for _ in 0..<15 { #expect(try await logIn(Person.password) == 201) }
      let answers = try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<60 { group.addTask { try await logIn("wrong password \(index)") } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(answers.count { $0 == 401 } == 10 && answers.count { $0 == 429 } == 50)
    }
  }

  @Test func doesNotTellUnknownNamesFromWrongPasswords() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      func hashes(_ name: String) async throws -> (code: String, hashes: UInt64, body: [UInt8]) {
        let before = fixture.relay.passwordHashes
        let response = try await fixture.call(
          .logIn, nil, LoginRequest(login: name, password: "wrong password", device: alice.device))
        return (try response.problem(), fixture.relay.passwordHashes - before, response.body.sorted())
      }
      let known = try await hashes("alice")
      let unknown = try await hashes("nobody")
      #expect(known.code == "invalid_credentials" && unknown.code == "invalid_credentials")
      #expect(known.hashes == 1 && unknown.hashes == 1 && known.body == unknown.body)
      // Guessing is throttled at the name, known or not.
      for name in ["alice", "nobody"] {
        var codes: [String] = []
        for _ in 0..<12 { codes.append(try await hashes(name).code) }
        #expect(codes.last == "rate_limited")
      }
    }
  }

  @Test func rotatesRefreshTokensAndNoticesReuse() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let socket = try await alice.socket()
      let first = RefreshRequest(refreshToken: alice.session.refreshToken)
      let refreshed = try await fixture.call(.refresh, nil, first)
      #expect(refreshed.status == 200)
      let second: SessionResponse = try refreshed.decoded()
      #expect(second.refreshToken != alice.session.refreshToken && second.user == alice.user)
      // A made-up token that names the session's number ends nothing.
      let forged = String(second.refreshToken.prefix(11)) + String(repeating: "A", count: 43)
      #expect(try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: forged)).problem() == "session_ended")
      let _: AccountResponse = try await alice.call(.me)
      // The stolen one is used after its owner went on: the session ends for both, at once.
      let third = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: second.refreshToken))
      #expect(try await fixture.call(.refresh, nil, first).problem() == "session_ended")
      let newest = RefreshRequest(refreshToken: try third.decoded(SessionResponse.self).refreshToken)
      #expect(try await fixture.call(.refresh, nil, newest).problem() == "session_ended")
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await alice.call(.me) }
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      for text in ["", "x", String(repeating: "A", count: 54), String(repeating: "=", count: 54)] {
        #expect(try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: text)).problem() == "session_ended")
      }
    }
  }

  @Test func theOldestSessionMakesWayAtOnce() async throws {
    try await RelayFixture.run({
      ($0.limits[.failedLogins], $0.visitorAttemptBurst) = (Rate(burst: 100, count: 1, period: .minute), 100)
    }) { fixture in
      let alice = try await fixture.person("alice")
      let socket = try await alice.socket()
      let login = LoginRequest(login: "alice", password: Person.password, device: alice.device)
      for _ in 0..<15 { #expect(try await fixture.call(.logIn, nil, login).status == 201) }
      let _: AccountResponse = try await alice.call(.me)
      #expect(try await fixture.call(.logIn, nil, login).status == 201)
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await alice.call(.me) }
    }
  }

  @Test func logsOutAtOnce() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let socket = try await alice.socket()
      let _: AccountResponse = try await alice.call(.me)
      let response = try await fixture.call(.logOut, token: alice.token)
      #expect(response.status == 204)
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await alice.call(.me) }
      await #expect(throws: NetworkError(.upgradeRefused, "")) { _ = try await Socket(fixture, token: alice.token) }
      let refresh = try await fixture.call(.refresh, nil, RefreshRequest(refreshToken: alice.session.refreshToken))
      #expect(try refresh.problem() == "session_ended")
    }
  }

  @Test func replacesDeviceLists() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let phone = DeviceID.random()
      var next = alice.list.list
      next.number = 2
      next.previous = Digest.hash(.sha256, alice.list.encoded)
      next.devices.append(Person.entry(phone))
      let second = try Person.sign(next, alice.accountKey)
      func put(_ list: SignedDeviceList) async throws -> HTTPResponse {
        try await fixture.call(.putDevices, token: alice.token, DeviceListRequest(deviceList: list.encoded))
      }
      func refusal(_ key: SigningKey? = nil, _ change: (inout DeviceList) -> Void) async throws -> String {
        var list = next
        change(&list)
        return try await put(Person.sign(list, key ?? alice.accountKey)).problem()
      }
      #expect(try await refusal { $0.number = 1 } == "device_list_conflict")
      #expect(try await refusal { $0.number = 3 } == "device_list_conflict")
      #expect(try await refusal { $0.previous[0] ^= 1 } == "device_list_conflict")
      #expect(try await refusal { $0.issued = 0 } == "device_list_conflict")
      #expect(try await refusal { $0.devices[0].signatureKey[0] ^= 1 } == "device_list_conflict")
      #expect(try await refusal { $0.user = .random() } == "invalid_signature")
      #expect(try await refusal(.generate()) { _ in } == "invalid_signature")
      let other = SigningKey.generate()
      #expect(try await refusal(other) { $0.accountKey = other.publicKey } == "invalid_signature")
      #expect(try await put(second).status == 204)
      #expect(try await put(second).problem() == "device_list_conflict")

      let login = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: phone))
      #expect(login.status == 201)
      var onPhone = alice
      onPhone.session = try login.decoded()
      let socket = try await onPhone.socket()
      let laptopSocket = try await alice.socket()
      // The phone is lost.
      next.number = 3
      next.previous = Digest.hash(.sha256, second.encoded)
      next.devices.removeLast()
      #expect(try await put(Person.sign(next, alice.accountKey)).status == 204)
      #expect(try await socket.closeCode() == CloseCode.sessionEnded.number)
      await #expect(throws: Refusal(code: "session_ended")) { let _: AccountResponse = try await onPhone.call(.me) }
      let again = try await fixture.call(
        .logIn, nil, LoginRequest(login: "alice", password: Person.password, device: phone))
      #expect(try again.problem() == "device_unknown")
      // The other device hears that there is a newer list, and of nothing else.
      #expect(try await laptopSocket.next() == .profile(alice.user))
      #expect(await laptopSocket.quiet() == nil)
      let _: AccountResponse = try await alice.call(.me)
    }
  }

  @Test func handsOutEachKeyPackageOnce() async throws {
    try await RelayFixture.run { fixture in
      let alice = try await fixture.person("alice")
      let bob = try await fixture.person("bob")
      let packages = (0..<10).map { alice.keyPackage($0) }
      let last = alice.keyPackage(99)
      let count: KeyPackageCount = try await alice.call(
        .publishKeyPackages, nil, KeyPackagesRequest(keyPackages: packages, lastResort: last))
      #expect(count.oneTime == 10 && count.hasLastResort)
      let socket = try await alice.socket()
      let claim = Route.claimKeyPackages.path("alice")
      let claimed = try await withThrowingTaskGroup(of: [UInt8].self) { group in
        for _ in 0..<14 {
          group.addTask {
            let response: ClaimResponse = try await bob.call(.claimKeyPackages, claim)
            return try #require(response.claimed.first).keyPackage.bytes
          }
        }
        return try await group.reduce(into: [[UInt8]]()) { $0.append($1) }
      }
      let oneTime = claimed.filter { $0 != last }
      #expect(oneTime.count == 10 && Set(oneTime) == Set(packages))
      #expect(try await socket.next() == .look(.keyPackages))
      let left: KeyPackageCount = try await alice.call(.countKeyPackages)
      #expect(left.oneTime == 0 && left.hasLastResort)
      var codes: [String] = []
      for _ in 0..<40 {
        let response = try await fixture.call(.claimKeyPackages, claim, token: bob.token)
        if response.status != 200 { codes.append(try response.problem()) }
      }
      #expect(codes.count >= 20 && Set(codes) == ["rate_limited"])
      let empty: ClaimResponse = try await alice.call(.claimKeyPackages, Route.claimKeyPackages.path("bob"))
      #expect(empty.claimed.isEmpty && empty.without == [bob.device])
    }
  }
}
