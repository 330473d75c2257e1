import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import FoundationEssentials
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// A relay in the wrong hands: what it shows is changed on the way to one client (docs/threat-model.md, A to C).
@Suite struct HostileRelayTests {
  /// Attack 4: the relay hands out somebody else's key package.
  @Test func swappedKeyPackageIsRefused() async throws {
    let world = try await World("alice", "bob", "mallory")
    let mallory = try await world.client("mallory").context.identity()
    let package = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305, identity: mallory.client, capabilities: ClientContext.capabilities,
      lifetime: await world.client("mallory").context.lifetime
    ).message
    try await world.tamper("alice", path: "/key-packages/claim") { (answer: ClaimResponse) in
      let device = answer.claimed[0].device
      return ClaimResponse(
        user: answer.user, claimed: [.init(device: device, keyPackage: package)], without: [])
    }
    let story = try await world.room("alice")
    await #expect(throws: ChatError(.identityInvalid)) { try await story.invites("bob") }
    #expect(try await world.client("alice").diagnose().map(\.code) == [.invalidLeaf])
    #expect(try await story.room("alice").members().count == 1)
    await world.end()
  }

  /// Attack 4, the other way: a key package of the relay's own making, with the user's name on it.
  @Test func forgedCredentialIsRefused() async throws {
    let world = try await World("alice", "bob")
    let bob = try await world.client("bob").context.identity()
    let forger = SigningKey.generate()
    let device = SigningKey.generate()
    let entry = DeviceEntry(
      device: bob.device.device, signatureKey: device.publicKey, name: bob.device.name, added: bob.device.added)
    var credential = try DeviceCredential.make(user: bob.user, entry: entry, accountKey: forger)
    credential.accountKey = bob.accountKey.publicKey
    for credential in [credential, try DeviceCredential.make(user: bob.user, entry: entry, accountKey: forger)] {
      let package = try KeyPackageBundle.generate(
        suite: .x25519ChaCha20Poly1305,
        identity: ClientIdentity(credential: .basic(identity: credential.encoded), signingKey: device),
        capabilities: ClientContext.capabilities, lifetime: await world.client("bob").context.lifetime
      ).message
      try await world.tamper("alice", path: "/key-packages/claim") { (answer: ClaimResponse) in
        ClaimResponse(
          user: answer.user, claimed: [.init(device: answer.claimed[0].device, keyPackage: package)], without: [])
      }
      let story = try await world.room("alice")
      await #expect(throws: ChatError(.identityInvalid)) { try await story.invites("bob") }
    }
    await world.end()
  }

  /// Attack 7: an older device list, another of the same number, one that the account did not sign.
  @Test func deviceListsNeverGoBack() async throws {
    let world = try await World("alice", "bob")
    let alice = try await world.client("alice")
    let bob = try await world.client("bob").context.identity()
    let first = try await alice.safetyNumber(with: "bob")
    func list(_ number: UInt64, name: String, signer: SigningKey, previous: [UInt8] = []) throws -> [UInt8] {
      var entry = bob.device
      entry.name = name
      let list = DeviceList(
        user: bob.user, accountKey: bob.accountKey.publicKey, number: number, previous: previous, issued: 1,
        devices: [entry])
      return SignedDeviceList(list: list, signature: try signer.sign(SignedDeviceList.signedBytes(of: list))).encoded
    }
    let cases = [
      (try list(1, name: "other", signer: bob.accountKey), Finding.Code.deviceListRolledBack),
      (try list(2, name: "wrong chain", signer: bob.accountKey, previous: [1]), .deviceListRolledBack),
      (try list(3, name: "forged", signer: .generate()), .deviceListForged),
      ([1, 2, 3], .deviceListForged),
    ]
    for (bytes, code) in cases {
      try await world.tamper("alice", path: "/v1/users/bob") { (answer: UserResponse) in
        UserResponse(user: answer.user, username: answer.username, deviceList: bytes)
      }
      await #expect(throws: ChatError(.identityInvalid)) { try await alice.safetyNumber(with: "bob") }
      #expect(try await alice.diagnose().first?.code == code)
    }
    try await world.member("alice").wire?.setTamper(nil)
    #expect(try await alice.safetyNumber(with: "bob").digits == first.digits)
    await world.end()
  }

  /// Attack 4 and D3: another account under the same name, after the first was verified.
  @Test func changedIdentityOfVerifiedContactStopsSending() async throws {
    let world = try await World("alice", "bob", "carol")
    let alice = try await world.client("alice")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let number = try await alice.safetyNumber(with: "bob")
    #expect(try await world.client("bob").safetyNumber(with: "alice").digits == number.digits)
    #expect(number.digits.utf8.count == 60 && !number.isVerified)
    try await alice.markVerified("bob")
    #expect(try await alice.safetyNumber(with: "bob").isVerified)

    let bob = try await alice.context.identity(of: "bob")
    var other = try Identity.make(username: "bob", deviceName: "x", relay: "", now: 0)
    let key = try SigningKey(seed: Secret(copying: other.accountSeed))
    var list = try SignedDeviceList(decoding: other.deviceList).list
    list.user = bob
    other.deviceList =
      SignedDeviceList(list: list, signature: try key.sign(SignedDeviceList.signedBytes(of: list))).encoded
    let shown = other.deviceList
    try await world.tamper("alice", path: "/v1/users/bob") { (answer: UserResponse) in
      UserResponse(user: answer.user, username: answer.username, deviceList: shown)
    }
    let changed = try await alice.safetyNumber(with: "bob")
    #expect(changed.digits != number.digits && changed.hasChanged && !changed.isVerified)
    let member = try await world.member("alice")
    try await eventually {
      await member.events.contains { if case .identityChanged(let change) = $0 { change.wasVerified } else { false } }
    }
    await #expect(throws: ChatError(.identityChanged)) { try await story.says("alice", "not for a stranger") }
    await #expect(throws: ChatError(.identityChanged)) { try await story.invites("bob") }
    #expect(try await story.room("bob").history().isEmpty)
    try await alice.acceptNewIdentity(of: "bob")
    try await story.says("alice", "accepted")
    await world.end()
  }

  /// Attacks 13, 16, 17, 20: entries twice, out of order, left out, or from another room.
  @Test func logIsTakenOnceInOrderAndFromItsRoomOnly() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let other = try await world.room("alice", named: "Other").invites("bob").deliverAll()
    try await other.says("alice", "elsewhere")
    try await story.says("alice", "one").says("alice", "two").says("alice", "three")
    let context = try await world.client("alice").context
    let foreign = try #require(
      try await context.api.log(of: other.id, after: other.room("bob").cursor.position).entries.last)

    try await world.tamper("bob", path: "/\(story.id)/log") { (answer: LogResponse) in
      var entries = answer.entries
      // One twice, one of another room, and the rest after them, all under numbers without a gap.
      if entries.count == 3 {
        var spliced = foreign
        spliced.room = story.id
        entries = [entries[0], entries[0], spliced, entries[2], entries[1]]
      }
      for index in entries.indices { entries[index].sequence = answer.entries[0].sequence + UInt64(index) }
      let last = StreamPosition(
        incarnation: answer.last.incarnation, sequence: entries.last?.sequence ?? answer.last.sequence)
      return LogResponse(entries: entries, last: last, epoch: answer.epoch)
    }
    let bob = try await story.room("bob")
    try await bob.pull()
    #expect(try await bob.history().map(\.text) == ["one", "three", "two"])
    #expect(await bob.health == .good)
    let codes = try await world.client("bob").diagnose().map(\.code)
    #expect(codes.sorted { $0.rawValue < $1.rawValue } == [.replayed, .undecryptable])
    await world.end()
  }

  /// Attack 17: what the relay keeps back is missed as soon as anything follows.
  @Test func gapIsPulled() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("alice", "one").says("alice", "two")
    let bob = try await story.room("bob")
    let entries = try await bob.context.api.log(of: story.id, after: bob.cursor.position).entries
    await bob.push(entries[1])
    await bob.drain?.value
    #expect(try await bob.history().map(\.text) == ["one", "two"])
    await world.end()
  }

  /// Attacks 38 and 39: rubbish in the log is passed over.
  @Test func rubbishInTheLogStopsNothing() async throws {
    let world = try await World("alice", "bob")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("alice", "one").says("alice", "two").says("alice", "three")
    try await world.tamper("bob", path: "/\(story.id)/log") { (answer: LogResponse) in
      var entries = answer.entries
      guard entries.count == 3 else { return answer }
      entries[0].message = Base64URL([1, 2, 3])
      entries[1].message.bytes[entries[1].message.bytes.count - 1] ^= 1
      return LogResponse(entries: entries, last: answer.last, epoch: answer.epoch)
    }
    let bob = try await story.room("bob")
    try await bob.pull()
    #expect(try await bob.history().map(\.text) == ["three"])
    #expect(try await world.client("bob").diagnose().map(\.code) == [.undecryptable, .undecryptable])
    try await world.member("bob").wire?.setTamper(nil)
    try await story.says("bob", "still here").deliverAll()
    #expect(try await story.room("alice").health == .good)
    await world.end()
  }

  /// Attack 19: a Welcome for a room is passed off as one for another.
  @Test func welcomeForAnotherRoomIsRefused() async throws {
    let world = try await World("alice", "bob")
    try await world.room("alice").invites("bob")
    let other = RoomID(high: 1, low: 2)
    try await world.tamper("bob", path: "/v1/welcomes") { (answer: WelcomesResponse) in
      WelcomesResponse(
        welcomes: answer.welcomes.map {
          .init(id: $0.id, room: other, position: $0.position, welcome: $0.welcome.bytes)
        })
    }
    let bob = try await world.client("bob")
    try await bob.sync()
    #expect(try await bob.rooms().isEmpty)
    #expect(try await bob.diagnose().map(\.code) == [.invalidWelcome])
    await world.end()
  }

  /// Attack 20: a stranger makes a group of the same id, and the relay helps to put it in the room's place.
  @Test func strangerCannotReplaceARoom() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob").deliverAll()
    try await story.says("alice", "the real one").deliverAll()
    let (bob, mallory) = (try await world.client("bob"), try await world.client("mallory").context)
    let claimed = try await mallory.api.claimKeyPackages(of: try await bob.context.identity().user).claimed[0]
    let identity = try mallory.identity()
    let state = RoomState(name: "Garden", roles: [identity.user: .owner])
    var group = try Group.create(
      groupID: GroupID(story.id.bytes), suite: .x25519ChaCha20Poly1305, identity: identity.client,
      capabilities: ClientContext.capabilities, extensions: state.extensions, lifetime: mallory.lifetime)
    let commit = try group.commit([.add(KeyPackage(message: claimed.keyPackage.bytes))], now: mallory.timestamp)
    let made = commit.welcome
    let welcome = try #require(made)
    let position = StreamPosition(incarnation: 1, sequence: 1000)
    try await world.tamper("bob", path: "/v1/welcomes") { (_: WelcomesResponse) in
      WelcomesResponse(welcomes: [.init(id: 7, room: story.id, position: position, welcome: welcome)])
    }
    try? await bob.sync()
    #expect(try await bob.diagnose().map(\.code) == [.invalidWelcome])
    try await world.member("bob").wire?.setTamper(nil)
    try await story.says("bob", "still the real one").deliverAll().agrees()
    await world.end()
  }
}

extension ClientContext {
  func identity(of username: String) throws -> UserID {
    let pin = try store.read { try $0.all(Pin.self) }.first { $0.username == username }
    return try #require(pin).user
  }
}

extension World {
  /// Changes what one client is shown under a path.
  func tamper<Value: Codable & SendableMetatype>(
    _ name: String, path: String, _ change: @escaping @Sendable (Value) -> Value
  ) async throws {
    try await member(name).wire?.setTamper { call, answer in
      guard call.path.hasSuffix(path), answer.status == 200,
        let value = try? JSONDecoder().decode(Value.self, from: Data(answer.body)),
        let body = try? JSONEncoder().encode(change(value))
      else { return answer }
      return RelayAnswer(status: 200, body: Array(body))
    }
  }
}
