package import ChatSDK
import Synchronization

/// What goes wrong between a client and the relay, each with its probability.
public struct Faults: Sendable {
  /// The request never arrives.
  public var losesRequests = 0.0
  /// The relay acts, and its answer never arrives.
  public var losesAnswers = 0.0
  /// The request arrives twice.
  public var repeatsRequests = 0.0
  /// The answer takes up to this long.
  public var delay = Duration.zero
  /// No WebSocket can be had.
  public var refusesSockets = false
  /// Nothing gets through at all.
  public var isOffline = false

  public init() {}
}

/// A way to the relay that fails as a seed says.
package final class FaultyLink: RelayTransport {
  private struct State {
    var faults: Faults
    var random: SeededRandom
  }

  private let inner: any RelayTransport
  private let state: Mutex<State>
  /// Changes what passes: what a relay in the wrong hands could do.
  private let tamper: Mutex<(@Sendable (RelayCall, RelayAnswer) -> RelayAnswer)?> = Mutex(nil)
  private let recorded = Mutex<[(call: RelayCall, answer: RelayAnswer)]>([])

  package init(_ inner: any RelayTransport, seed: UInt64, faults: Faults = Faults()) {
    self.inner = inner
    state = Mutex(State(faults: faults, random: SeededRandom(seed: seed)))
  }

  package var faults: Faults {
    get { state.withLock { $0.faults } }
    set { state.withLock { $0.faults = newValue } }
  }

  package func setTamper(_ body: (@Sendable (RelayCall, RelayAnswer) -> RelayAnswer)?) {
    tamper.withLock { $0 = body }
  }

  /// Every call that reached the relay, with its answer.
  package var calls: [(call: RelayCall, answer: RelayAnswer)] { recorded.withLock { $0 } }

  package func call(_ request: RelayCall) async throws -> RelayAnswer {
    let fate = state.withLock { state in
      (
        losesRequest: state.faults.isOffline || state.random.happens(state.faults.losesRequests),
        losesAnswer: state.random.happens(state.faults.losesAnswers),
        repeats: state.random.happens(state.faults.repeatsRequests),
        delay: state.faults.delay * (Double(state.random.next() >> 11) / 9_007_199_254_740_992)
      )
    }
    guard !fate.losesRequest else { throw ChatError(.relayUnreachable) }
    var answer = try await inner.call(request)
    // The second time only where it changes nothing for the session: a refresh token is good for one use.
    if fate.repeats, request.token != nil { answer = try await inner.call(request) }
    if fate.delay > .zero { try await Task.sleep(for: fate.delay) }
    guard !fate.losesAnswer else { throw ChatError(.timedOut) }
    if let tamper = tamper.withLock({ $0 }) { answer = tamper(request, answer) }
    let kept = answer
    recorded.withLock { $0.append((request, kept)) }
    return answer
  }

  package func openSocket(token: String) async throws -> any RelaySocket {
    let faults = self.faults
    guard !faults.isOffline else { throw ChatError(.relayUnreachable) }
    guard !faults.refusesSockets else { throw ChatError(.webSocketRefused) }
    return try await inner.openSocket(token: token)
  }

  package func close() { inner.close() }
}
