import Synchronization

/// Who is inside, in all and by address.
struct Lobby {
  /// Why somebody is not let in, as the status that says so.
  enum Refusal: Int {
    /// Their address has its fill.
    case tooMany = 429
    /// The house has.
    case full = 503
  }

  private(set) var count = 0
  private var perVisitor: [String: Int] = [:]
  /// Those who wait until the house is empty.
  var waiters: [CheckedContinuation<Void, Never>] = []

  /// Counts a connection. `nil` is a proxy's, which stands for many visitors.
  mutating func enter(_ visitor: String?, _ limits: HTTPServer.Configuration) -> Refusal? {
    guard count < limits.maxConnections else { return .full }
    if let visitor, let refusal = enter(guest: visitor, limits) { return refusal }
    count += 1
    return nil
  }

  mutating func leave(_ visitor: String?) {
    count -= 1
    if let visitor { leave(guest: visitor) }
  }

  /// Counts what a proxy carries for a visitor.
  mutating func enter(guest visitor: String, _ limits: HTTPServer.Configuration) -> Refusal? {
    let mine = perVisitor[visitor, default: 0]
    guard mine < limits.maxConnectionsPerAddress else { return .tooMany }
    perVisitor[visitor] = mine + 1
    return nil
  }

  mutating func leave(guest visitor: String) {
    let mine = perVisitor[visitor, default: 1] - 1
    perVisitor[visitor] = mine > 0 ? mine : nil
  }
}

extension HTTPServer {
  /// How many connections are open now.
  package var connectionCount: Int { lobby.withLock { $0.count } }

  func isProxy(_ peer: SocketAddress) -> Bool { configuration.trustedProxies.contains { $0.contains(peer.host) } }

  func enter(_ visitor: String?) -> Lobby.Refusal? { lobby.withLock { $0.enter(visitor, configuration) } }

  func leave(_ visitor: String?) {
    let waiters = lobby.withLock { lobby -> [CheckedContinuation<Void, Never>] in
      lobby.leave(visitor)
      guard lobby.count == 0 else { return [] }
      defer { lobby.waiters = [] }
      return lobby.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func enter(guest visitor: String) -> Lobby.Refusal? { lobby.withLock { $0.enter(guest: visitor, configuration) } }

  func leave(guest visitor: String) { lobby.withLock { $0.leave(guest: visitor) } }
}
