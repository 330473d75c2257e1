package import Observability
import RelayProtocol

/// A whole relay in this process: what `relay-server` runs, and what tests start on a free port.
package final class Relay: Sendable {
  package let configuration: RelayConfiguration

  package init(
    configuration: RelayConfiguration, log: LogSink = .standard,
    clock: @escaping @Sendable () -> UInt64 = Relay.wallClock
  ) {
    self.configuration = configuration
  }

  /// The system's clock, in milliseconds since 1970.
  package static let wallClock: @Sendable () -> UInt64 = {
    let (seconds, milliseconds) = LogSink.wallClock()
    return UInt64(max(0, seconds)) * 1000 + UInt64(max(0, milliseconds))
  }

  /// The port it listens on, once started.
  package var port: UInt16 { 0 }

  /// Opens the store and begins to listen.
  ///
  /// - Throws: `unavailable` when the data folder, the keys or the address cannot be had; nothing is left open then.
  package func start() async throws(RelayError) { throw RelayError(.unavailable, "not built yet") }

  /// Stops accepting, lets requests finish, tells sockets 1001, closes the store. Safe to call twice.
  package func shutdown(deadline: Duration? = nil) async {}
}
