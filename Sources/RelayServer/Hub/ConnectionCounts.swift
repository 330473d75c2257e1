import RelayProtocol
import Synchronization

/// How many sockets and long polls each account has open, over all loops.
final class ConnectionCounts: Sendable {
  private let limit: Int
  private let counts = Mutex<[UserID: Int]>([:])

  init(limit: Int) { self.limit = limit }

  /// Counts one more, unless the account has its fill.
  func enter(_ user: UserID) -> Bool {
    counts.withLock { counts in
      let count = counts[user, default: 0]
      guard count < limit else { return false }
      counts[user] = count + 1
      return true
    }
  }

  func leave(_ user: UserID) {
    counts.withLock { counts in
      let count = counts[user, default: 0]
      counts[user] = count > 1 ? count - 1 : nil
    }
  }
}
