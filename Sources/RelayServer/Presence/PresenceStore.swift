import RelayProtocol
import Synchronization

/// Which users are connected, on whatever node, by leases that run out by themselves: a node that dies renews none, and its users are
/// gone when they are over. What a person shows of it, and to whom, stands in the ``RelayStore`` alone.
protocol PresenceStore: Sendable {
  /// This node has connections of these users, until it releases them or dies.
  func hold(_ users: [UserID]) async
  /// This node has none of theirs any more.
  func release(_ users: [UserID]) async
  /// Those who have a lease of any node.
  func connected(among users: [UserID]) async -> Connected
}

struct Connected: Sendable, Equatable {
  var users: Set<UserID>
  /// False if the other nodes' leases could not be asked for: then these are this node's own.
  var isWhole = true
}

/// The leases of a relay that is alone: they end with its process.
final class LocalPresence: PresenceStore {
  private let held = Mutex<Set<UserID>>([])

  func hold(_ users: [UserID]) async { held.withLock { $0.formUnion(users) } }
  func release(_ users: [UserID]) async { held.withLock { $0.subtract(users) } }

  func connected(among users: [UserID]) async -> Connected {
    Connected(users: held.withLock { held in Set(users.filter { held.contains($0) }) })
  }
}
