import ChatTestKit
import CryptoPrimitives
import E2ECrypto
import RelayProtocol
import Testing

@testable import ChatSDK

/// Key packages that are of no use, by their owner's fault or the relay's (docs/threat-model.md, classes 36 and 37).
@Suite struct KeyPackageAttackTests {
  /// Attack 37: what one account published keeps nobody else from coming in, nor anybody from being removed.
  @Test(arguments: ["rubbish", "cut short", "another suite", "damaged", "over", "for ever", "bad key"])
  func brokenPackageKeepsNobodyElseOut(_ kind: String) async throws {
    let world = try await World("alice", "bob", "carol", "mallory")
    let story = try await world.room("alice").invites("bob").deliverAll()
    let mallory = try await world.client("mallory").context
    let package = try Self.broken(kind, mallory)
    try await world.tamper("alice", path: "\(mallory.identity().user)/key-packages/claim") { (answer: ClaimResponse) in
      ClaimResponse(
        user: answer.user, claimed: answer.claimed.map { .init(device: $0.device, keyPackage: package) }, without: [])
    }
    let error = await #expect(throws: ChatError.self) { try await story.invites("mallory", "carol") }
    #expect(error == ChatError(.identityInvalid) || error == ChatError(.noKeyPackage))
    let alice = try await story.room("alice")
    #expect(try await alice.members().map(\.person.username) == ["alice", "bob", "carol"])
    try await story.removes("bob").says("alice", "and on").deliverAll().agrees()
    #expect(try await alice.members().map(\.person.username) == ["alice", "carol"])
    #expect(try await story.room("carol").history().map(\.text) == ["and on"])
    // With a good one the same account comes in.
    try await world.member("alice").wire?.setTamper(nil)
    try await story.invites("mallory").deliverAll().agrees()
    await world.end()
  }

  private static func broken(_ kind: String, _ context: ClientContext) throws -> [UInt8] {
    let identity = try context.identity()
    var (suite, lifetime) = (CipherSuite.x25519ChaCha20Poly1305, context.lifetime)
    let day: UInt64 = 86_400
    let now = context.now / 1000
    switch kind {
    case "rubbish": return [UInt8](repeating: 0xff, count: 300)
    case "another suite": suite = .x25519AES128GCM
    case "over":
      lifetime = Lifetime(
        notBefore: Timestamp(secondsSinceEpoch: now - 91 * day), notAfter: Timestamp(secondsSinceEpoch: now - day))
    case "for ever":
      lifetime = Lifetime(
        notBefore: Timestamp(secondsSinceEpoch: now - day), notAfter: Timestamp(secondsSinceEpoch: now + 4000 * day))
    default: break
    }
    var bytes = try KeyPackageBundle.generate(
      suite: suite, identity: identity.client, capabilities: ClientContext.capabilities, lifetime: lifetime
    ).message
    switch kind {
    case "cut short": bytes.removeLast(10)
    case "damaged": bytes[bytes.count - 5] ^= 1
    // The init key, of 32 bytes behind four fields of two and its length.
    case "bad key": for index in 9..<41 { bytes[index] = 0 }
    default: break
    }
    return bytes
  }

  /// Attack 36: a stranger takes all one-time packages. The one of last resort still lets others invite, each such use is
  /// known to be one, and new packages come at the next look.
  @Test func drainedAccountCanStillBeInvited() async throws {
    let world = try await World("alice", "bob", "mallory")
    try await world.drain("bob", by: "mallory")
    let bob = try await world.client("bob")
    let count = try await bob.context.api.countKeyPackages()
    #expect(count.oneTime == 0 && count.hasLastResort)
    let one = try await world.room("alice").invites("bob")
    let two = try await world.room("alice", named: "Other").invites("bob")
    try await one.deliverAll().agrees()
    try await two.says("alice", "in both").deliverAll().agrees()
    #expect(try await bob.context.api.countKeyPackages().oneTime == ChatClient.keyPackagesWanted)
    await world.end()
  }
}
