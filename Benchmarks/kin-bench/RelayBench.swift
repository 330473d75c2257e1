import BenchKit

/// The relay as a process of its own, storing each message durably before it is broadcast, on one loop if nothing else is
/// said; clients in other processes, or in this one.
enum RelayBench {
  static let parts: [(name: String, what: String, run: @Sendable (StoreKind) async throws -> Void)] = [
    ("fanout", "deliveries per CPU-second beside uWebSockets, nats-server and mosquitto", FanOutBench.run),
    ("loops", "two loops against one", FanOutBench.loops),
    ("idle", "what idle connections cost an active room", { try await FanOutBench.beside(idle: 5000, $0) }),
    ("latency", "from send to delivery, below saturation", FanOutBench.latency),
    ("sends", "durable sends beside raw inserts", SendBench.run),
    ("memory", "an idle WebSocket's memory", MemoryBench.run),
    ("storm", "5,000 clients come back after a kill", StormBench.run),
    ("counts", "allocations and system calls", FanOutBench.counts),
  ]

  static func run(_ words: [String], store: StoreKind) async throws {
    Scoreboard.begin()
    for part in parts where words.isEmpty || words.contains(part.name) {
      // What could not be measured must not cost the rest of the table.
      do { try await part.run(store) } catch { Scoreboard.failed(part.what, "\(error)") }
    }
  }
}
