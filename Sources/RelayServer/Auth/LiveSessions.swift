import RelayProtocol
import Synchronization

/// Which sessions live, remembered for a short time so that most requests need no look at the store.
///
/// Ending a session forgets it here at once, so a logged-out session's access token is dead before it expires. Where
/// several relays share a store, the time bounds how long another relay can be mistaken.
final class LiveSessions: BusListener {
  private struct Known {
    let user: UserID
    let device: DeviceID
    let until: UInt64
  }

  private struct State {
    var known: [UInt64: Known] = [:]
    /// Counts endings, so that a look which began before one does not bring the session back.
    var generation: UInt64 = 0
  }

  private static let capacity = 100_000

  private let store: any RelayStore
  private let lifetime: UInt64
  private let state = Mutex(State())

  init(store: any RelayStore, lifetimeMilliseconds: UInt64 = 30_000) {
    self.store = store
    lifetime = lifetimeMilliseconds
  }

  /// Throws `sessionEnded` unless the caller's session lives and is the caller's.
  func check(_ caller: Caller, now: UInt64) async throws(RelayError) {
    let (isLive, generation) = state.withLock { state in
      let isLive = state.known[caller.session].map { known in
        known.until > now && known.user == caller.user && known.device == caller.device
      }
      return (isLive ?? false, state.generation)
    }
    if isLive { return }
    guard let session = try await store.session(id: caller.session), session.user == caller.user,
      session.device == caller.device, session.expires > now
    else { throw RelayError(.sessionEnded, "The session has ended.") }
    state.withLock { state in
      guard state.generation == generation else { return }
      if state.known.count >= Self.capacity { state.known.removeAll(keepingCapacity: true) }
      state.known[caller.session] = Known(
        user: session.user, device: session.device, until: min(session.expires, now + lifetime))
    }
  }

  func hear(_ wakes: [Wake]) {
    for wake in wakes {
      switch wake {
      case .sessionEnded(let session):
        state.withLock { state in
          state.generation += 1
          state.known[session] = nil
        }
      case .devicesGone:
        // Rare, and the sessions of a device are not known here.
        state.withLock { state in
          state.generation += 1
          state.known.removeAll(keepingCapacity: true)
        }
      case .doubted(let doubt):
        // Whoever comes next is looked up.
        state.withLock { state in
          state.generation += 1
          for session in doubt.sessions { state.known[session] = nil }
          if !doubt.devices.isEmpty { state.known = state.known.filter { !doubt.devices.contains($0.value.device) } }
        }
      case .stored, .look, .grown, .everything, .tell, .changed, .rumoured, .asks, .asked: break
      }
    }
  }
}
