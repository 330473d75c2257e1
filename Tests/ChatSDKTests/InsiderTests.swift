import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing
import WireCodec

@testable import ChatSDK

/// A member whose client does not keep to the rules (docs/threat-model.md, classes 14, 20, 25 and 38).
@Suite struct InsiderTests {
  /// Attack 14: a member sends its own sealed content once more under a new generation, and another's as its own.
  @Test func repeatedContentIsShownOnce() async throws {
    let world = try await World("alice", "bob", "mallory")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    let mallory = try await story.room("mallory")
    let content = try Envelope.text("pay me again", sentAt: 1).encoded
    for _ in 0..<3 { try await mallory.forge(Envelope.pad(content)) }
    try await story.deliverAll()
    for name in ["alice", "bob"] {
      let history = try await story.room(name).history()
      #expect(history.map(\.text) == ["pay me again"])
      #expect(history.first?.sender.username == "mallory")
      #expect(try await world.client(name).diagnose().filter { $0.code == .replayed }.count == 2)
    }
    // Another's content, bytes and salt, becomes a message of mallory's own: it never speaks for alice.
    try await story.says("alice", "I agree").deliverAll()
    let copied = try #require(try await story.room("bob").stored(text: "I agree"))
    try await mallory.forge(Envelope.pad(copied))
    try await story.deliverAll()
    let agreed = try await story.room("bob").history().filter { $0.text == "I agree" }
    #expect(agreed.map(\.sender.username) == ["alice", "mallory"])
    #expect(Set(agreed.map(\.id)).count == 2)
    await world.end()
  }

  @Test func contentThatIsNoneIsNotedAndStopsNothing() async throws {
    let world = try await World("alice", "mallory")
    let story = try await world.room("alice").invites("mallory").deliverAll()
    let mallory = try await story.room("mallory")
    let good = try Envelope.text("good", sentAt: 1).encoded
    for bytes in [[], [0xff], good, Envelope.pad(good) + [1], [UInt8](repeating: 0, count: 5000)] {
      try await mallory.forge(bytes)
    }
    try await story.says("mallory", "after all that").deliverAll()
    let alice = try await story.room("alice")
    // Bare content without its frame is no envelope, unless its first byte happens to be its length.
    #expect(try await alice.history().map(\.text).last == "after all that")
    #expect(await alice.health == .good)
    #expect(try await world.client("alice").diagnose().contains { $0.code == .unreadableContent })
    await world.end()
  }

  /// Attacks 1 and 38: a plain member commits what it may not, adding a friend; every honest client refuses alike.
  @Test func commitWithoutTheRightToIsRefusedByAll() async throws {
    let world = try await World("alice", "bob", "mallory", "eve")
    let story = try await world.room("alice").invites("bob", "mallory").deliverAll()
    let eve = try await world.client("eve").context
    let package = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305, identity: try eve.identity().client, capabilities: ClientContext.capabilities,
      lifetime: eve.lifetime)
    try await story.room("mallory").forgeCommit([.add(package.keyPackage)])
    try? await story.room("alice").pull()
    try? await story.room("bob").pull()
    for name in ["alice", "bob"] {
      let room = try await story.room(name)
      #expect(await room.epoch == 1)
      #expect(await room.health == .stopped)
      #expect(try await room.members().map(\.person.username).sorted() == ["alice", "bob", "mallory"])
      #expect(try await world.client(name).diagnose().contains { $0.code == .forbiddenCommit })
    }
    await world.end()
  }

  /// Attacks 2, 11 and 12: an owner adds a device that bob's account never listed; nobody follows.
  @Test(arguments: ["own account key", "bob's account key", "bob's listed device"])
  func ghostDeviceIsRefusedByAll(_ kind: String) async throws {
    let world = try await World("mallory", "alice", "bob")
    let story = try await world.room("mallory").invites("alice", "bob").deliverAll()
    let bob = try await world.client("bob").context.identity()
    let (forger, device) = (SigningKey.generate(), SigningKey.generate())
    let entry = DeviceEntry(
      device: kind == "bob's listed device" ? bob.device.device : DeviceID(high: 1, low: 2),
      signatureKey: device.publicKey, name: "ghost", added: 1)
    var credential = try DeviceCredential.make(user: bob.user, entry: entry, accountKey: forger)
    if kind != "own account key" { credential.accountKey = bob.accountKey.publicKey }
    let package = try KeyPackageBundle.generate(
      suite: .x25519ChaCha20Poly1305,
      identity: ClientIdentity(credential: .basic(identity: credential.encoded), signingKey: device),
      capabilities: ClientContext.capabilities, lifetime: try await world.client("bob").context.lifetime)
    let before = try await story.room("alice").epoch
    try await story.room("mallory").forgeCommit([.add(package.keyPackage)])
    for name in ["alice", "bob"] {
      try? await world.client(name).sync()
      let room = try await story.room(name)
      #expect(await room.epoch == before)
      #expect(try await room.members().allSatisfy { $0.deviceCount == 1 })
      #expect(try await world.client(name).diagnose().contains { $0.code == .invalidLeaf })
    }
    await world.end()
  }
}

extension Room {
  /// Seals and sends bytes as this member, past everything that an honest client checks.
  fileprivate func forge(_ content: [UInt8]) async throws {
    let box = try group()
    let message = try box.group.protect(content)
    try write { try save(box, wholeEpoch: false, in: $0) }
    _ = try await context.api.send(SendRequest(sendID: .random(), epoch: epoch, message: message), to: id)
  }

  /// Commits as this member, past the room's rules.
  func forgeCommit(_ proposals: [Proposal]) async throws {
    let box = try group()
    let commit = try box.group.commit(proposals, now: context.timestamp)
    let request = CommitRequest(
      sendID: .random(), epoch: epoch, message: commit.message, welcome: nil, recipients: [], added: [], removed: [])
    _ = try await context.api.commit(request, to: id)
  }

  /// The encoded content of a message, as it was inside the encryption.
  fileprivate func stored(text: String) async throws -> [UInt8]? {
    guard let shown = try await history(before: nil, limit: 50).last(where: { $0.text == text }) else { return nil }
    return try context.store.read { try $0.message(shown.id, in: id)?.content }
  }
}
