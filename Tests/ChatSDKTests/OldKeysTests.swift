import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import FoundationEssentials
import RelayProtocol
import Testing

@testable import ChatSDK

/// Welcomes that come late, twice, or lead into the past (docs/threat-model.md, classes 15 and 19).
@Suite struct OldKeysTests {
  /// Attack 19: the relay keeps a Welcome back. It gets nobody into anything else, and is good when it comes.
  @Test func withheldWelcomeIsGoodWhenItComes() async throws {
    let world = try await World("alice", "bob", "carol")
    try await world.tamper("bob", path: "/v1/welcomes") { (_: WelcomesResponse) in WelcomesResponse(welcomes: []) }
    let story = try await world.room("alice").invites("bob")
    let bob = try await world.client("bob")
    try await bob.sync()
    #expect(try await bob.rooms().isEmpty)
    // The room goes on, and its epochs with it.
    try await story.says("alice", "where is bob?").invites("carol")
    try await story.room("alice").updateKeys()
    try await bob.sync()
    #expect(try await bob.rooms().isEmpty)
    try await world.member("bob").wire?.setTamper(nil)
    try await story.deliverAll().agrees()
    #expect(try await story.room("bob").history().map(\.text) == ["where is bob?"])
    #expect(try await bob.diagnose().isEmpty)
    await world.end()
  }

  /// Attacks 15 and 19: a Welcome that was taken in is shown once more, as one to another place of the log.
  @Test(arguments: [false, true])
  func welcomeIsGoodOnce(_ byLastResort: Bool) async throws {
    let world = try await World("alice", "bob", "carol")
    let bob = try await world.client("bob")
    if byLastResort { try await world.drain("bob", by: "carol") }
    let story = try await world.room("alice").invites("bob").deliverAll()
    let shown = try await world.welcome(of: "bob")
    try await story.says("bob", "spends keys of the first epoch").deliverAll()
    for step in ["same epoch", "later epoch", "removed"] {
      switch step {
      case "later epoch": try await story.room("alice").updateKeys()
      case "removed": try await story.removes("bob")
      default: break
      }
      try await world.replay(
        shown, to: "bob", at: StreamPosition(incarnation: shown.position.incarnation, sequence: 900))
      let epoch = try await story.room("bob").epoch
      try? await bob.sync()
      #expect(try await bob.diagnose().first?.code == .invalidWelcome, "\(step)")
      #expect(try await story.room("bob").epoch >= epoch)
      try await world.member("bob").wire?.setTamper(nil)
      if step == "removed" {
        #expect(try await story.room("bob").health == .left)
      } else {
        try await story.says("bob", step).says("alice", step).deliverAll().agrees()
      }
    }
    await world.end()
  }

  /// Attack 15: the room is gone here, and the Welcome that once led into it must not bring it back.
  @Test func welcomeBringsNoDeletedRoomBack() async throws {
    let world = try await World("alice", "bob", "carol")
    try await world.drain("bob", by: "carol")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let shown = try await world.welcome(of: "bob")
    try await world.client("alice").delete(try await story.room("alice"))
    let bob = try await world.client("bob")
    try await bob.sync()
    #expect(try await bob.rooms().isEmpty)
    try await world.replay(shown, to: "bob", at: shown.position)
    try? await bob.sync()
    #expect(try await bob.rooms().isEmpty)
    #expect(try await bob.diagnose().map(\.code) == [.invalidWelcome])
    await world.end()
  }

  /// Attack 15: an older Welcome by another key package, of a room that this device has followed since.
  @Test func welcomeToThePastIsRefused() async throws {
    let world = try await World("alice", "bob")
    let bob = try await world.client("bob")
    let story = try await world.room("alice").invites("bob")
    var first = try #require(try await bob.context.api.welcomes().first)
    // Removed and asked in again before anything reached it; the relay shows the newer Welcome first.
    try await story.removes("bob").invites("bob")
    let second = try #require(try await bob.context.api.welcomes().last)
    first.position.sequence = 900
    let both = [second, first]
    try await world.tamper("bob", path: "/v1/welcomes") { (_: WelcomesResponse) in WelcomesResponse(welcomes: both) }
    try? await bob.sync()
    #expect(try await bob.diagnose().map(\.code) == [.invalidWelcome])
    try await world.member("bob").wire?.setTamper(nil)
    try await story.says("bob", "in the present").deliverAll().agrees()
    await world.end()
  }

  /// The key of last resort is replaced once it was used, and erased when no Welcome can be on its way any more.
  @Test func usedLastResortIsReplacedAndErased() async throws {
    let world = try await World("alice", "bob", "carol")
    try await world.drain("bob", by: "carol")
    let bob = try await world.client("bob")
    func lastResorts() async throws -> [KeyPackageRecord] {
      try await bob.context.store.read { try $0.all(KeyPackageRecord.self) }.filter(\.isLastResort)
    }
    let first = try await lastResorts()
    #expect(first.count == 1 && first[0].used == 0)
    try await world.room("alice").invites("bob").deliverAll()
    var both = try await lastResorts()
    #expect(both.count == 2 && both.map { $0.used > 0 } == [true, false])
    // As if a day had passed.
    both[0].used = 1
    let aged = both[0]
    try await bob.context.store.write { try $0.save(aged) }
    try await bob.sync()
    #expect(try await lastResorts().map(\.reference) == [both[1].reference])
    // The one that others get now is the new one.
    try await world.drain("bob", by: "carol")
    let claimed = try await world.client("carol").context.api.claimKeyPackages(of: bob.context.identity().user)
    let package = try KeyPackage(message: claimed.claimed[0].keyPackage.bytes)
    #expect(try package.reference() == both[1].reference)
    await world.end()
  }

  /// Class 36: packages are replaced before their lifetime ends, and what has ended is erased.
  @Test func packagesAreRenewedBeforeTheyEnd() async throws {
    let world = try await World("bob", "carol")
    let bob = try await world.client("bob")
    let context = await bob.context
    try await bob.sync()
    let old = try context.store.read { try $0.all(KeyPackageRecord.self) }
    for (index, record) in old.enumerated() {
      var aged = record
      aged.expires = index == 0 ? 1 : context.now + 86_400_000
      let saved = aged
      try context.store.write { try $0.save(saved) }
    }
    try await bob.sync()
    let now = try context.store.read { try $0.all(KeyPackageRecord.self) }
    #expect(!now.contains { $0.reference == old[0].reference })
    #expect(
      now.count { !$0.isLastResort && $0.expires > context.now + ChatClient.renewal } == Limits.keyPackagesPerDevice)
    // None of the old ones is handed out any more.
    let claimed = try await world.client("carol").context.api.claimKeyPackages(of: context.identity().user)
    let reference = try KeyPackage(message: claimed.claimed[0].keyPackage.bytes).reference()
    #expect(!old.contains { $0.reference == reference })
    try await bob.sync()
    #expect(try context.store.read { try $0.all(KeyPackageRecord.self) }.count == now.count)
    await world.end()
  }
}

extension World {
  /// Takes all one-time key packages of somebody, as a stranger may.
  func drain(_ name: String, by other: String) async throws {
    let user = try await client(name).context.identity().user
    let (mine, theirs) = (try await client(name).context.api, try await client(other).context.api)
    while try await mine.countKeyPackages().oneTime > 0 { _ = try await theirs.claimKeyPackages(of: user) }
  }

  /// The Welcome that somebody was shown last.
  fileprivate func welcome(of name: String) async throws -> WelcomesResponse.Waiting {
    let calls = try await member(name).wire?.calls ?? []
    let shown = calls.filter { $0.call.path.hasSuffix("/v1/welcomes") }.compactMap { item in
      try? JSONDecoder().decode(WelcomesResponse.self, from: Data(item.answer.body)).welcomes.last
    }
    return try #require(shown.last)
  }

  /// Shows a Welcome once more.
  fileprivate func replay(_ shown: WelcomesResponse.Waiting, to name: String, at position: StreamPosition) async throws
  {
    try await tamper(name, path: "/v1/welcomes") { (answer: WelcomesResponse) in
      WelcomesResponse(
        welcomes: answer.welcomes + [.init(id: 99, room: shown.room, position: position, welcome: shown.welcome.bytes)])
    }
  }
}
