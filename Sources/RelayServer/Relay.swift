import Glibc
import Networking
package import Observability
import RelayProtocol
import Synchronization

/// A whole relay in this process: what `relay-server` runs, and what tests start on a free port.
package final class Relay: Sendable {
  package let configuration: RelayConfiguration
  package let metrics = Metrics()
  private let sink: LogSink
  private let log: Log
  private let clock: @Sendable () -> UInt64
  private let running = Mutex<Running?>(nil)

  /// All that lives between start and shutdown.
  private struct Running: Sendable {
    let loops: EventLoopGroup
    let store: any RelayStore
    let neighbours: Neighbours
    let passwords: Passwords
    let external: ExternalIssuer?
    let issuerKeys: Task<Void, Never>?
    let admin: AdminSocket
    let polls: PollBoard
    let hubs: [Hub]
    let server: HTTPServer
    let tls: TLSServerContext?
    let api: API
    let port: UInt16
    let monitor: Monitor
    let metricsPort: UInt16
    let sweeper: Task<Void, Never>
    let presence: Task<Void, Never>
  }

  /// - Parameter clock: milliseconds since 1970; tests may give their own.
  package init(
    configuration: RelayConfiguration, log: LogSink = .standard,
    clock: @escaping @Sendable () -> UInt64 = Relay.wallClock
  ) {
    self.configuration = configuration
    self.clock = clock
    sink = log
    self.log = Log("relay", to: log)
  }

  /// The system's clock, in milliseconds since 1970.
  package static let wallClock: @Sendable () -> UInt64 = {
    let (seconds, milliseconds) = LogSink.wallClock()
    return UInt64(max(0, seconds)) * 1000 + UInt64(max(0, milliseconds))
  }

  /// The port it listens on, once started.
  package var port: UInt16 { running.withLock { $0?.port ?? 0 } }

  /// The port of the metrics, once started; 0 without them.
  package var metricsPort: UInt16 { running.withLock { $0?.metricsPort ?? 0 } }

  /// What tests put into the store by another way than the interface.
  var storeForTests: (any RelayStore)? { running.withLock { $0?.store } }

  /// Password hashes computed so far: both kinds of failed login must cost the same.
  package var passwordHashes: UInt64 { running.withLock { $0?.passwords.computed.value ?? 0 } }

  /// Opens the store and begins to listen.
  ///
  /// - Throws: `unavailable` when the data folder, the keys or the address cannot be had; nothing is left open then.
  package func start() async throws(RelayError) {
    guard running.withLock({ $0 == nil }) else { throw RelayError(.internalError, "the relay runs already") }
    let data = configuration.dataDirectory
    let connections = try OpenFiles.connections(configuration)
    guard mkdir(data, 0o700) == 0 || errno == EEXIST else {
      throw RelayError(
        .unavailable, "the data folder cannot be made", remedy: "the setting is data; the folder above it must be there"
      )
    }
    let keys = try TokenKeyRing(file: data + "/token-keys")
    let store = try configuration.openStore(metrics: metrics)
    do {
      let running = try await assemble(store, keys, connections: connections)
      self.running.withLock { $0 = running }
      log.info("listening", ["port": running.port, "loops": running.loops.loops.count])
      if connections < configuration.maxConnections {
        if connections < 1000 {
          log.warning("open files bound the connections: raise LimitNOFILE", ["connections": connections])
        } else {
          log.info("open files bound the connections", ["connections": connections])
        }
      }
      if configuration.isOpenToTheNetwork {
        log.warning("listening without TLS where others can reach it: set tls-certificate, or listen on loopback")
      }
    } catch {
      await store.close()
      throw error
    }
  }

  /// Leaves nothing open, if it throws, but the store.
  private func assemble(_ store: any RelayStore, _ keys: TokenKeyRing, connections: Int) async throws(RelayError)
    -> Running
  {
    var opened: [@Sendable () async -> Void] = []
    do throws(RelayError) {
      return try await assemble(store, keys, connections: connections, &opened)
    } catch {
      for close in opened.reversed() { await close() }
      throw error
    }
  }

  /// - Parameter opened: gets what closes each thing that it opens.
  private func assemble(
    _ store: any RelayStore, _ keys: TokenKeyRing, connections: Int, _ opened: inout [@Sendable () async -> Void]
  ) async throws(RelayError) -> Running {
    let settings = configuration
    let tls = try makeTLS()
    let loops = EventLoopGroup(count: settings.loopCount)
    opened.append { await loops.shutdown() }
    let passwords = try Passwords(
      passes: settings.passwordPasses, memoryKiB: settings.passwordMemoryKiB, workers: settings.passwordWorkers,
      waiting: settings.passwordQueue, metrics: metrics)
    opened.append { passwords.close() }
    let external = try ExternalIssuer(
      settings, loop: loops.loops[0], metrics: metrics, log: Log("issuer", to: sink), now: clock)
    if let external { opened.append { await external.close() } }
    let neighbours = try await Neighbours(settings, store: store, metrics: metrics, log: sink)
    opened.append { await neighbours.close() }
    let bus = neighbours.bus
    let live = LiveSessions(store: store)
    let tokens = AccessTokens(ring: keys, issuer: settings.issuer, audience: settings.audience)
    let authenticator = Authenticator(tokens: tokens, sessions: live, now: clock)
    let presence = PresenceKeeper(
      store: store, leases: neighbours.presence, bus: bus, lease: settings.presenceLease.wholeMilliseconds, now: clock)
    let counts = ConnectionCounts(limit: settings.connectionsPerAccount, presence: presence)
    let instruments = Instruments(metrics)
    let writer = LogWriter(store: store, bus: bus, instruments: instruments)
    let monitor = Monitor(
      configuration: settings, store: store, instruments: instruments, metrics: metrics, log: Log("monitor", to: sink))
    let throttles = Throttles(settings, hits: instruments.limits)
    let polls = PollBoard()
    var bounds = HubMachine.Bounds()
    bounds.authenticationTimeout = settings.authenticationTimeout.wholeMilliseconds
    (bounds.framesPerSecond, bounds.frameBurst) = (settings.framesPerSecond, settings.frameBurst)
    bounds.isShared = neighbours.lookout != nil
    let hubs = loops.loops.map { loop in
      Hub(
        loop: loop, bounds: bounds,
        services: Hub.Services(
          store: store, writer: writer, authenticator: authenticator, counts: counts, instruments: instruments,
          throttles: throttles, now: clock, fetch: { [lookout = neighbours.lookout] in lookout?.fetch($0, after: $1) }),
        log: Log("hub", to: sink))
    }
    // The cache of sessions first, so that nobody woken by an ending finds the session alive.
    neighbours.local.add(live)
    for hub in hubs { neighbours.local.add(hub) }
    neighbours.local.add(polls)
    neighbours.local.add(presence)
    let api = API(
      API.Services(
        configuration: settings, store: store, bus: bus, writer: writer, tokens: tokens, authenticator: authenticator,
        passwords: passwords, external: external, polls: polls, counts: counts, presence: presence,
        throttles: throttles, instruments: instruments, monitor: monitor,
        hubs: Dictionary(uniqueKeysWithValues: hubs.map { (ObjectIdentifier($0.loop), $0) }), timers: loops.loops[0],
        now: clock),
      log: Log("api", to: sink))
    let server = HTTPServer(configuration: serverConfiguration(tls, connections), loops: loops.loops, handler: api)
    let admin = try adminSocket(
      Admin(
        store: store, bus: bus, keys: keys, tokenLifetime: settings.accessTokenLifetime.wholeMilliseconds, now: clock)
    )
    opened.append { await admin.close() }
    opened.append { await monitor.stop() }
    let (port, metricsPort): (UInt16, UInt16)
    do {
      metricsPort = try await monitor.start(
        metricsAt: settings.metricsAddress, on: loops.loops[0], connections: server)
      port = try await server.start().port
    } catch {
      if let error = error as? RelayError { throw error }
      throw RelayError(cannotListen: error, remedy: "the setting is listen; `ss -ltnp` shows who listens where")
    }
    for hub in hubs { hub.start() }
    neighbours.start(hubs + [polls], sharing: throttles, on: loops.loops[0]) { presence.tell(.retell) }
    let sweeper = Sweeper(
      store: store, retention: Retention(settings), interval: settings.retentionInterval,
      erased: instruments.erased, log: Log("sweep", to: sink), now: clock)
    return Running(
      loops: loops, store: store, neighbours: neighbours, passwords: passwords, external: external,
      issuerKeys: external.map { external in Task { await external.keys.run() } }, admin: admin, polls: polls,
      hubs: hubs, server: server, tls: tls, api: api, port: port, monitor: monitor, metricsPort: metricsPort,
      sweeper: Task { await sweeper.run() }, presence: Task { await presence.run() })
  }

  private func adminSocket(_ admin: Admin) throws(RelayError) -> AdminSocket {
    try AdminSocket(folder: configuration.dataDirectory) { await admin.answer($0, actor: $1) }
  }

  private func makeTLS() throws(RelayError) -> TLSServerContext? {
    guard let certificate = configuration.tlsCertificateFile, let key = configuration.tlsKeyFile else { return nil }
    do { return try TLSServerContext(certificateFile: certificate, keyFile: key) } catch {
      throw RelayError(.unavailable, error.text, remedy: "the settings are tls-certificate and tls-key")
    }
  }

  private func serverConfiguration(_ tls: TLSServerContext?, _ connections: Int) -> HTTPServer.Configuration {
    var server = HTTPServer.Configuration()
    (server.host, server.port, server.tls) = (configuration.host, configuration.port, tls)
    server.maxConnections = connections
    server.maxConnectionsPerAddress = configuration.connectionsPerAddress
    server.trustedProxies = configuration.trustedProxies
    server.maxHeadBytes = configuration.maxHeadBytes
    (server.headTimeout, server.keepAliveTimeout) = (configuration.headTimeout, configuration.idleTimeout)
    (server.bodyTimeout, server.writeTimeout) = (configuration.bodyTimeout, configuration.writeTimeout)
    server.minimumRate = configuration.minimumRate
    server.maxBodyBytes = API.maxBody
    server.maxBodyMemory = configuration.bodyMemoryMiB << 20
    server.webSocket.maxMessageBytes = Limits.frame
    // Room for the largest commit; the hub gives a connection up long before, if it only lags.
    server.webSocket.maxQueuedBytes = Limits.commitRequest + (8 << 20)
    return server
  }

  /// What a process is asked to do by signals.
  package enum Order: Sendable {
    /// SIGTERM, SIGINT.
    case stop
    /// SIGHUP.
    case reload
  }

  /// Yields what the process is asked by signals from now on, instead of the process ending at once.
  package static func orders() -> AsyncStream<Order> {
    AsyncStream { continuation in
      let signals = Signals([.terminate, .interrupt, .hangup]) { continuation.yield($0 == .hangup ? .reload : .stop) }
      continuation.onTermination = { _ in signals.cancel() }
    }
  }

  /// Reads the certificate and its key again, for the connections that begin from now on, and the other issuer's keys.
  ///
  /// What cannot be used is logged, and changes nothing.
  package func reload() {
    let (tls, external) = running.withLock { ($0?.tls, $0?.external) }
    if let external { Task { await external.keys.reload() } }
    guard let tls else {
      if external == nil { log.info("nothing to read again") }
      return
    }
    do {
      try tls.reload()
      log.info("certificate read again")
    } catch {
      log.warning("the new certificate or its key cannot be used, the old one stays")
    }
  }

  /// Serves on for `drain-delay` but says that it is not ready, so that load balancers send nobody new.
  ///
  /// - Parameter hurry: returns when there is no more time for that.
  package func drain(until hurry: @escaping @Sendable () async -> Void) async {
    guard let running = running.withLock({ $0 }) else { return }
    running.monitor.beginStopping()
    let delay = configuration.drainDelay
    guard delay > .zero else { return }
    log.info("draining", ["for": delay])
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await Task.sleep(for: delay) }
      group.addTask { await hurry() }
      await group.next()
      group.cancelAll()
    }
  }

  /// Stops accepting, lets requests finish, tells sockets 1001, closes the store.
  ///
  /// Safe to call twice. What is not done at the deadline is cut; nothing that was acknowledged is lost.
  package func shutdown(deadline: Duration? = nil) async {
    let running = running.withLock { running in
      defer { running = nil }
      return running
    }
    guard let running else { return }
    running.monitor.beginStopping()
    log.info("stopping")
    await running.admin.close()
    running.sweeper.cancel()
    running.presence.cancel()
    running.polls.close()
    await running.server.drain(deadline: deadline ?? configuration.shutdownTimeout)
    for hub in running.hubs { hub.stop() }
    running.passwords.close()
    running.issuerKeys?.cancel()
    await running.external?.close()
    await running.monitor.stop()
    await running.store.close()
    await running.neighbours.close()
    await running.loops.shutdown()
    log.info("stopped")
  }
}
