import RelayProtocol
import Synchronization

/// Which users are connected, on whatever node, as leases that run out by themselves: a node that dies renews none, and
/// its users are gone when they are over. What a person shows of it stands in the store.
protocol PresenceStore: Sendable {
  /// This node has connections of these users, until then at least.
  func renew(_ users: [UserID], until: UInt64) async
  /// This node has none of theirs any more.
  func end(_ users: [UserID]) async
  /// Those who have a lease of any node.
  func connected(among users: [UserID], now: UInt64) async -> Set<UserID>
}

/// The leases of a relay that is alone.
final class LocalPresence: PresenceStore {
  private let leases = Mutex<[UserID: UInt64]>([:])

  func renew(_ users: [UserID], until: UInt64) async {
    leases.withLock { leases in for user in users { leases[user] = until } }
  }

  func end(_ users: [UserID]) async {
    leases.withLock { leases in for user in users { leases[user] = nil } }
  }

  func connected(among users: [UserID], now: UInt64) async -> Set<UserID> {
    leases.withLock { leases in Set(users.filter { leases[$0] ?? 0 > now }) }
  }
}
