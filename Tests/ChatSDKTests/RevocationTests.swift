import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// Devices that their account does not list any more, and what becomes of their leaves (attacks A2, A3 and 44).
@Suite struct RevocationTests {
  /// A room of alice, bob with two devices, and carol.
  private func room(_ world: World, _ folder: Folder) async throws -> (Story, ChatClient) {
    let second = try await world.client("bob").addDevice(
      named: "bob's phone", folder: folder.path, password: "password of bob")
    try await second.sync()
    let story = try await world.room("alice").invites("bob", "carol").deliverAll()
    try await second.sync()
    #expect(try await devices(of: "bob", in: story.room("carol")) == 2)
    return (story, second)
  }

  private func devices(of name: String, in room: Room) async throws -> Int? {
    try await room.members().first { $0.person.username == name }?.deviceCount
  }

  @Test func revokedDeviceIsTakenOutByWhoeverSeesIt() async throws {
    let world = try await World("alice", "bob", "carol")
    let folder = try Folder()
    let (story, second) = try await room(world, folder)
    try await story.says("alice", "for both devices").deliverAll()
    try await second.sync()
    let phone = try await second.room(story.id)
    #expect(try await phone.history().map(\.text) == ["for both devices"])
    let secret = try await phone.roomState().reentrySecret

    let device = try await second.context.identity().device.device
    try await world.client("bob").revoke(device)
    // The relay has nothing more to say to it.
    await #expect(throws: ChatError.self) { try await second.sync() }
    #expect(await second.account?.isLoggedIn == false)

    // A plain member is the first who sees the newer list, and needs nobody's leave.
    _ = try await world.client("carol").safetyNumber(with: "bob")
    try await world.client("carol").sync()
    try await story.deliverAll().agrees()
    for name in ["alice", "bob", "carol"] {
      let room = try await story.room(name)
      #expect(try await devices(of: "bob", in: room) == 1)
      #expect(try await room.roomState().reentrySecret != secret)
      #expect(try await world.client(name).diagnose().isEmpty)
    }
    let heard = try await world.member("alice").events
    #expect(
      heard.contains {
        if case .deviceRemoved(let change) = $0 {
          change.member.username == "bob" && change.by.username == "carol"
        } else {
          false
        }
      })

    // Somebody else gives it the log all the same: there is nothing in it that its keys open.
    try await story.says("alice", "not for the phone").deliverAll()
    let log = try await world.client("alice").context.api.log(of: story.id, after: await phone.cursor.position)
    for entry in log.entries { await phone.force(entry) }
    await phone.pretendMembership()
    for entry in log.entries { await phone.force(entry) }
    #expect(try await phone.history().map(\.text) == ["for both devices"])
    await second.close()
    await world.end()
  }

  /// The account's own other device does it as well, in a room of two too.
  @Test func ownDeviceTakesItOutOfARoomOfTwo() async throws {
    let world = try await World("alice", "bob")
    let folder = try Folder()
    let bob = try await world.client("bob")
    let second = try await bob.addDevice(named: "bob's phone", folder: folder.path, password: "password of bob")
    try await second.sync()
    let room = try await world.client("alice").directRoom(with: "bob")
    try await bob.sync()
    #expect(try await devices(of: "bob", in: bob.room(room.id)) == 2)
    try await bob.revoke(try await second.context.identity().device.device)
    try await bob.sync()
    try await world.client("alice").sync()
    #expect(try await devices(of: "bob", in: room) == 1)
    #expect(await room.health == .good)
    try await bob.room(room.id).send("just us")
    try await world.client("alice").sync()
    #expect(try await room.history().map(\.text) == ["just us"])
    await second.close()
    await world.end()
  }

  /// A Welcome from before the device was revoked still brings others in; and nothing is said to the revoked device, even by
  /// whoever comes to know of it only then.
  @Test func nothingIsSealedToADeviceThatIsKnownToBeRevoked() async throws {
    let world = try await World("alice", "bob", "carol")
    let folder = try Folder()
    let second = try await world.client("bob").addDevice(
      named: "bob's phone", folder: folder.path, password: "password of bob")
    try await second.sync()
    let story = try await world.room("alice").invites("bob", "carol")
    try await second.sync()
    let phone = try await second.room(story.id)
    try await world.client("bob").revoke(try await second.context.identity().device.device)
    // bob and carol take in their Welcomes only now, and carol speaks at once.
    try await world.client("bob").sync()
    let room: Room = try await world.client("carol").catchUpOnly(story.id)
    try await room.send("only to those who are left")
    try await story.deliverAll().agrees()
    for name in ["alice", "bob", "carol"] {
      #expect(try await devices(of: "bob", in: story.room(name)) == 1)
      #expect(try await story.room(name).history().map(\.text) == ["only to those who are left"])
      #expect(try await world.client(name).diagnose().isEmpty)
    }
    let log = try await world.client("alice").context.api.log(of: story.id, after: await phone.cursor.position)
    await phone.pretendMembership()
    for entry in log.entries { await phone.force(entry) }
    #expect(try await phone.history().isEmpty)
    await second.close()
    await world.end()
  }

  /// All are connected and hear of it at once: one commit is made, not one by each.
  @Test func oneCommitAndNoStorm() async throws {
    let world = try await World("alice", "bob", "carol", "dave", "erin", connection: .automatic)
    let folder = try Folder()
    let bob = try await world.client("bob")
    let first = try await world.room("alice", named: "Before").invites("bob", "carol")
    try await eventually { (try? await first.room("carol").members().count) == 3 }
    let second = try await bob.addDevice(named: "bob's phone", folder: folder.path, password: "password of bob")
    try await second.sync()
    // A new device is told of before it is anywhere.
    for name in ["alice", "carol"] {
      let member = try await world.member(name)
      try await eventually {
        await member.events.contains {
          if case .newDevice(let change) = $0 { change.name == "bob's phone" } else { false }
        }
      }
    }
    let story = try await world.room("alice").invites("bob", "carol", "dave", "erin")
    for name in ["bob", "carol", "dave", "erin"] {
      try await eventually { (try? await devices(of: "bob", in: story.room(name))) == 2 }
    }
    let before = try await story.room("alice").epoch
    try await bob.revoke(try await second.context.identity().device.device)
    for name in ["alice", "bob", "carol", "dave", "erin"] {
      try await eventually { try await devices(of: "bob", in: story.room(name)) == 1 }
    }
    // Whoever waited for its turn finds that there is nothing to do.
    try await Task.sleep(for: .seconds(2.5))
    var commits = 0
    for name in ["alice", "bob", "carol", "dave", "erin"] {
      commits +=
        try await world.member(name).wire?.calls.filter {
          $0.call.path.hasSuffix("/\(story.id)/commits")
            && String(decoding: $0.call.body, as: UTF8.self).contains("\"epoch\":\(before)")
        }.count ?? 0
    }
    #expect(commits == 1)
    #expect(try await story.room("alice").epoch == before + 1)
    await second.close()
    await world.end()
  }

  /// A member takes out a device that is not revoked, with what might look like a proof.
  @Test(arguments: ["none", "another key's", "older than the device", "of another account"])
  func falseProofIsRefusedByAll(_ kind: String) async throws {
    let world = try await World("alice", "bob", "carol", "mallory")
    let folder = try Folder()
    let old = try SignedDeviceList(stored: try #require(try await world.client("bob").record()).deviceList)
    let (story, second) = try await room(world, folder)
    try await story.invites("mallory").deliverAll()
    let bob = try #require(try await world.client("bob").record())
    let device = try await second.context.identity().device.device
    let list: SignedDeviceList? =
      switch kind {
      case "another key's":
        try {
          var list = try bob.nextList(removing: [device], now: 0)
          list.signature = try SigningKey.generate().sign(SignedDeviceList.signedBytes(of: list.list))
          return list
        }()
      case "older than the device": old
      case "of another account":
        try #require(try await world.client("mallory").record()).nextList(now: 0)
      default: nil
      }
    try await story.room("mallory").expel(device, showing: list)
    for name in ["carol", "bob"] {
      try? await story.room(name).pull()
      #expect(try await story.room(name).health == .stopped)
      #expect(try await devices(of: "bob", in: story.room(name)) == 2)
      #expect(try await world.client(name).diagnose().contains { $0.code == .forbiddenCommit })
    }
    // The room goes on by the owner's client.
    for name in ["alice", "carol", "bob"] { try await world.client(name).sync() }
    try await story.says("carol", "still here").says("bob", "both of us")
    try await second.sync()
    #expect(try await second.room(story.id).history().map(\.text) == ["still here", "both of us"])
    await second.close()
    await world.end()
  }

  /// The relay shows a list without the device that the account did not sign: nobody moves.
  @Test func relayRevokesNobody() async throws {
    let world = try await World("alice", "bob", "carol")
    let folder = try Folder()
    let (story, second) = try await room(world, folder)
    let bob = try #require(try await world.client("bob").record())
    var list = try bob.nextList(removing: [try await second.context.identity().device.device], now: 0)
    list.signature[0] ^= 1
    let forged = list.encoded
    try await world.tamper("carol", path: "/v1/users/bob") { (answer: UserResponse) in
      UserResponse(user: answer.user, username: answer.username, deviceList: forged)
    }
    let carol = try await world.client("carol")
    await #expect(throws: ChatError(.identityInvalid)) { try await carol.safetyNumber(with: "bob") }
    try await carol.sync()
    #expect(try await devices(of: "bob", in: story.room("carol")) == 2)
    #expect(try await carol.diagnose().first?.code == .deviceListForged)
    await second.close()
    await world.end()
  }

  /// A thief of the revoked device, with the room as it was before: by the old secret nobody comes back.
  @Test func oldSecretOpensNothing() throws {
    let (account, key) = (SigningKey.generate(), SigningKey.generate())
    func leaf(_ user: UInt64, _ device: UInt64) -> CommitClaim.Leaf {
      CommitClaim.Leaf(
        user: UserID(high: user, low: 0), device: DeviceID(high: user, low: device), signatureKey: key.publicKey,
        accountKey: account.publicKey, added: 1, invite: nil)
    }
    let room = RoomID(high: 1, low: 1)
    let before = RoomState(name: "Garden", roles: [UserID(high: 1, low: 0): .owner])
    var after = before
    after.renewReentry()
    let phone = leaf(2, 2)
    let members = [leaf(1, 1), leaf(2, 1)]
    for state in [before, after] {
      var claim = CommitClaim(sender: phone, epoch: 3)
      claim.authority = .some(.reentry(before.reentrySecret, phone, room: room, epoch: 3))
      claim.added = [phone]
      #expect(RoomPolicy.check(claim, state: state, members: members, room: room, time: 0) == .join)
      // Nor with the leaf still there, once the secret has changed.
      claim.removed = [phone]
      let verdict = RoomPolicy.check(claim, state: state, members: members + [phone], room: room, time: 0)
      #expect(verdict == (state == before ? nil : .join))
    }
  }

  @Test func turnsComeOneAfterTheOther() {
    #expect(Turn.delay(rank: 0, random: 0.999) < .milliseconds(151))
    for rank in 1..<60 {
      #expect(Turn.delay(rank: rank, random: 0.999) <= Turn.delay(rank: rank + 1, random: 0))
      #expect(Turn.delay(rank: rank, random: 0) > Turn.delay(rank: 0, random: 0.999))
    }
    #expect(Turn.delay(rank: .max, random: 0.999) < .seconds(32))
  }

  @Test func proofsHaveOneEncoding() throws {
    let account = try Identity.make(username: "bob", deviceName: "x", relay: "", now: 5000)
    let list = try account.nextList(now: 0)
    #expect(list.list.issued > 5 && list.isValid)
    let proofs = Revocations([list])
    #expect(try Revocations(decoding: proofs.encoded) == proofs)
    for count in 0..<proofs.encoded.count {
      #expect(throws: WireError.self) { try Revocations(decoding: Array(proofs.encoded.prefix(count))) }
    }
    for lists in [[], [list, list]] {
      #expect(throws: WireError(.invalidValue)) { try Revocations(decoding: Revocations(lists).encoded) }
    }
  }
}

extension ChatClient {
  /// Takes Welcomes in, and does nothing else that waits.
  fileprivate func catchUpOnly(_ room: RoomID) async throws -> Room {
    try await takeWelcomes()
    return try await self.room(room)
  }

  fileprivate func record() throws -> AccountRecord? {
    try context.store.read { try $0.decode(AccountRecord.self, AccountRecord.key) }
  }
}

extension Room {
  /// Commits a device's removal past this client's own check, as quietly as it goes.
  fileprivate func expel(_ device: DeviceID, showing list: SignedDeviceList?) async throws {
    try await exclusively {
      try await pullLog()
      let box = try group()
      let leaf = box.group.members.first { LeafCheck.credential(of: $0)?.entry.device == device }
      guard let leaf else { throw ChatError(.internalError) }
      var next = try roomState()
      next.renewReentry()
      var options = CommitOptions()
      options.authenticatedData = list.map { Revocations([$0]).encoded } ?? []
      let commit = try box.group.commit(
        [.remove(leaf.leafIndex), .groupContextExtensions(next.extensions)], options: options, now: context.timestamp)
      let request = CommitRequest(
        sendID: .random(), epoch: epoch, message: commit.message, welcome: nil, recipients: [], added: [], removed: [])
      _ = try await context.api.commit(request, to: id)
      self.box = nil
    }
  }
}
