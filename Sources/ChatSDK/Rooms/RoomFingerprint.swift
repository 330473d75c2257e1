import CryptoPrimitives
import E2ECrypto
import RelayProtocol

/// What members of a room must agree on, for tests that compare.
package struct RoomFingerprint: Sendable, Hashable {
  package var name: String
  package var epoch: UInt64
  package var sequence: UInt64
  /// The group's epoch authenticator (RFC 9420 section 8.7).
  package var authenticator: [UInt8]
  package var members: [String]
  /// Ids and texts, in order.
  package var messages: [String]
  package var health: RoomHealth
  /// Entries and commits that wait for the relay.
  package var waiting: Int
}

extension Room {
  package func fingerprint() async throws -> RoomFingerprint {
    let members = try await members().map { "\($0.person.id) \($0.role)" }
    let messages = try await history(limit: 100_000).map { "\($0.id) \($0.sender.id) \($0.sequence ?? 0) \($0.text)" }
    return RoomFingerprint(
      name: stored.name, epoch: stored.epoch, sequence: stored.position.sequence,
      authenticator: try group().group.epochAuthenticator.withBytes { Array($0) }, members: members,
      messages: messages, health: stored.health, waiting: outbox.count + (pending == nil ? 0 : 1))
  }
}
