import RelayProtocol
import Synchronization

/// How many sockets and long polls each account has open, over all loops.
final class ConnectionCounts: Sendable {
  private let limit: Int
  private let presence: PresenceKeeper?
  private let counts = Mutex<[UserID: Int]>([:])

  init(limit: Int, presence: PresenceKeeper? = nil) { (self.limit, self.presence) = (limit, presence) }

  /// Counts one more, unless the account has its fill.
  func enter(_ user: UserID) -> Bool {
    let isCounted = counts.withLock { counts in
      let count = counts[user, default: 0]
      guard count < limit else { return false }
      counts[user] = count + 1
      return true
    }
    if isCounted { presence?.tell(.arrived(user)) }
    return isCounted
  }

  func leave(_ user: UserID) {
    counts.withLock { counts in
      let count = counts[user, default: 0]
      counts[user] = count > 1 ? count - 1 : nil
    }
    presence?.tell(.left(user))
  }
}
