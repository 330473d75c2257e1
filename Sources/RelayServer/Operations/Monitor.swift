import Glibc
import Networking
import Observability
import RelayProtocol
import Synchronization

/// Watches the relay from within: looks at the store and the machine every second, refuses growth under strain, serves
/// the metrics, and knows when the relay is about to stop.
final class Monitor: Sendable {
  private struct State {
    var gate: LoadGate
    /// When the look at the store began that is not back yet.
    var probe: UInt64?
    /// How long the last one took.
    var storeNanoseconds: UInt64 = 0
    var isStopping = false
    var watch: Task<Void, Never>?
    var server: HTTPServer?
  }

  /// From this number of one-time key packages down a device counts as low.
  private static let fewKeyPackages = 10

  private let store: any RelayStore
  private let instruments: Instruments
  private let metrics: Metrics
  private let dataDirectory: String
  private let interval: Duration
  private let log: Log
  private let state: Mutex<State>

  init(
    configuration: RelayConfiguration, store: any RelayStore, instruments: Instruments, metrics: Metrics, log: Log
  ) {
    (self.store, self.instruments, self.metrics, self.log) = (store, instruments, metrics, log)
    (dataDirectory, self.interval) = (configuration.dataDirectory, configuration.watchInterval)
    state = Mutex(State(gate: LoadGate(LoadGate.Limits(configuration))))
  }

  // MARK: Life

  /// Begins to watch; and to serve the metrics, if an address for them is given.
  ///
  /// - Returns: the port of the metrics, 0 without them.
  /// - Throws: `unavailable` when the address cannot be had.
  func start(metricsAt address: ListenAddress?, on loop: EventLoop, connections: HTTPServer) async throws(RelayError)
    -> UInt16
  {
    ProcessMetrics.register(in: metrics)
    metrics.gauge("kin_connections", help: "Connections open now, sockets included.") { [weak connections] in
      Int64(connections?.connectionCount ?? 0)
    }
    metrics.gauge("kin_store_backlog_percent", help: "How full the queue of writes is.") { [weak self] in
      Int64((self?.store.backlog ?? 0) * 100)
    }
    var port: UInt16 = 0
    if let address {
      var configuration = HTTPServer.Configuration()
      (configuration.host, configuration.port) = (address.host, address.port)
      (configuration.maxConnections, configuration.maxBodyBytes) = (64, 0)
      let server = HTTPServer(configuration: configuration, loops: [loop], handler: MetricsPage(metrics: metrics))
      do { port = try await server.start().port } catch {
        throw RelayError(
          cannotListen: error, remedy: "the setting is metrics-listen; `ss -ltnp` shows who listens where")
      }
      state.withLock { $0.server = server }
    }
    let watch = Task { [weak self, interval] in
      var round = 0
      while !Task.isCancelled {
        await self?.look(round)
        round += 1
        try? await Task.sleep(for: interval)
      }
    }
    state.withLock { $0.watch = watch }
    return port
  }

  /// From now on ``checkReady()`` refuses, so that a load balancer sends nobody new.
  func beginStopping() { state.withLock { $0.isStopping = true } }

  func stop() async {
    let (watch, server) = state.withLock { state in
      defer { (state.watch, state.server) = (nil, nil) }
      return (state.watch, state.server)
    }
    watch?.cancel()
    await server?.drain(deadline: .milliseconds(100))
  }

  // MARK: What others ask

  /// Lets something in that makes the relay grow.
  ///
  /// - Throws: `unavailable` under strain: the caller tries again later.
  func admit() throws(RelayError) {
    let backlog = store.backlog
    guard let strain = state.withLock({ $0.gate.refusal(backlog: backlog) }) else { return }
    instruments.shed[strain].add()
    throw RelayError(.unavailable, "The relay is under strain and takes on nothing new.", retryAfter: 30)
  }

  /// Whether the relay should be sent anybody.
  ///
  /// - Throws: `unavailable` while it stops, or if the store does not answer.
  func checkReady() async throws(RelayError) {
    let (isStopping, probe) = state.withLock { ($0.isStopping, $0.probe) }
    let isStuck = probe.map { Monotonic.nanoseconds &- $0 > 5_000_000_000 } ?? false
    guard !isStopping else { throw RelayError(.unavailable, "The relay is stopping.") }
    // Not asked once more: whoever asks would wait as well.
    guard !isStuck else { throw RelayError(.unavailable, "The store does not answer.") }
    try await store.check()
  }

  // MARK: Looking

  private func look(_ round: Int) async {
    let now = Monotonic.nanoseconds
    let begins = state.withLock { state in
      guard state.probe == nil else { return false }
      state.probe = now
      return true
    }
    // Beside this task: a store that hangs must not stop the watch.
    if begins { Task { [weak self] in await self?.probe(countsPackages: round % 60 == 0) } }
    var reading = LoadGate.Reading()
    reading.backlog = store.backlog
    reading.freeMemory = Machine.freeMemory
    reading.freeDisk = Machine.freeDisk(at: dataDirectory)
    let (before, after) = state.withLock { state in
      reading.storeNanoseconds = max(state.storeNanoseconds, state.probe.map { now &- $0 } ?? 0)
      let before = state.gate.strains
      state.gate.take(reading)
      return (before, state.gate.strains)
    }
    guard before != after else { return }
    for strain in Strain.allCases {
      instruments.strain[strain].set(after.contains(strain) ? 1 : 0)
      guard before.contains(strain) != after.contains(strain) else { continue }
      if after.contains(strain) {
        log.warning("under strain: nothing new is taken on", ["of": strain])
      } else {
        log.info("the strain is over", ["of": strain])
      }
    }
  }

  private func probe(countsPackages: Bool) async {
    let begun = Monotonic.nanoseconds
    var isAnswered = false
    do {
      try await store.check()
      isAnswered = true
    } catch { log.warning("the store does not answer", ["code": error.code.number]) }
    let took = Monotonic.nanoseconds &- begun
    instruments.store[.probe].record(nanoseconds: took)
    state.withLock { state in
      state.probe = nil
      // A failure is as slow as an answer can be.
      state.storeNanoseconds = isAnswered ? took : .max
    }
    guard countsPackages, let low = try? await store.devicesLowOnKeyPackages(atMost: Self.fewKeyPackages) else {
      return
    }
    instruments.fewKeyPackages.set(Int64(low))
  }
}

extension Strain: LoggableCode {
  var logText: StaticString { labelValue }
}

/// What the machine has left.
enum Machine {
  /// Bytes of memory that could be had, by the machine's count and the control group's.
  static var freeMemory: UInt64? {
    let machine = SystemFile.number("MemAvailable:", in: "/proc/meminfo").map { UInt64(max(0, $0)) << 10 }
    guard let limit = SystemFile.number("", in: "/sys/fs/cgroup/memory.max"),
      let used = SystemFile.number("", in: "/sys/fs/cgroup/memory.current")
    else { return machine }
    // Pages of files count as used there and are given back when somebody needs them.
    let files = SystemFile.number("inactive_file", in: "/sys/fs/cgroup/memory.stat") ?? 0
    return min(machine ?? .max, UInt64(max(0, limit - used + files)))
  }

  /// Bytes that may still be written where the folder is.
  static func freeDisk(at folder: String) -> UInt64? {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) &* UInt64(status.f_frsize)
  }
}
