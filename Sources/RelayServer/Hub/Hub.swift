import Networking
import Observability
import RelayProtocol
import WireCodec

/// The sockets of one event loop. Confined to it; wakes come in from any thread.
final class Hub: BusListener, @unchecked Sendable {
  struct Services: Sendable {
    let store: any RelayStore
    let writer: LogWriter
    let authenticator: Authenticator
    let counts: ConnectionCounts
    let instruments: Instruments
    let now: @Sendable () -> UInt64
  }

  /// Bytes of replay that are read at once for one room.
  private static let replayBytes = 1 << 20
  /// Bytes that may wait for one connection, besides the frame that is being added.
  private static let maxQueued = 4 << 20

  let loop: EventLoop
  private let services: Services
  private let log: Log
  private var machine: HubMachine
  private var sessions: [HubMachine.Connection: Session] = [:]
  private var lastConnection = 0
  private var outbox: [NewMessage] = []
  private var senders: [(connection: HubMachine.Connection, requestID: UInt32)] = []
  private var timer: EventLoop.Timer?

  init(loop: EventLoop, bounds: HubMachine.Bounds, services: Services, log: Log) {
    self.loop = loop
    self.services = services
    self.log = log
    machine = HubMachine(bounds: bounds)
  }

  func start() {
    timer = loop.schedule(every: .milliseconds(500)) { [weak self] in self?.perform(.tick) }
  }

  func stop() { timer?.cancel() }

  func hear(_ wakes: [Wake]) {
    loop.execute { for wake in wakes { self.perform(.wake(wake)) } }
  }

  // MARK: Sessions

  /// Takes a new socket in; `caller` if the upgrade request carried a token.
  func open(_ connection: WebSocketConnection, caller: Caller?) -> Session {
    lastConnection += 1
    let session = Session(number: lastConnection, connection: connection, hub: self)
    sessions[session.number] = session
    services.instruments.sockets.add()
    perform(.opened(session.number))
    if let caller {
      // The answer to the upgrade request goes out first.
      let number = session.number
      loop.execute { self.admit(number, .success(caller)) }
    }
    return session
  }

  func closed(_ session: Session) {
    guard sessions.removeValue(forKey: session.number) != nil else { return }
    services.instruments.sockets.subtract()
    if let user = session.user { services.counts.leave(user) }
    perform(.closed(session.number))
  }

  private func admit(_ number: HubMachine.Connection, _ result: Result<Caller, RelayError>) {
    guard let session = sessions[number] else { return }
    var result = result
    if case .success(let caller) = result, session.user == nil {
      if services.counts.enter(caller.user) {
        session.user = caller.user
      } else {
        result = .failure(RelayError(.rateLimited, "Too many connections."))
      }
    }
    perform(.authenticated(number, result))
  }

  // MARK: Driving the machine

  func perform(_ event: HubMachine.Event) {
    for action in machine.handle(event, now: services.now()) { obey(action) }
  }

  private func obey(_ action: HubMachine.Action) {
    switch action {
    case .send(let frame, let connection):
      deliver(.webSocketFrame(binary: frame.encoded), to: connection)
    case .broadcast(let stored, let connections):
      services.instruments.deliveries.add(UInt64(connections.count))
      for connection in connections { deliver(stored.frame, to: connection) }
    case .push(let entries, let connection):
      services.instruments.deliveries.add(UInt64(entries.count))
      for stored in entries { deliver(stored.frame, to: connection) }
    case .authenticate(let connection, let token):
      Task { [services, loop] in
        let result = await Result.of { () throws(RelayError) in try await services.authenticator.caller(token: token) }
        loop.execute { self.admit(connection, result) }
      }
    case .survey(let connection, let ticket, let caller):
      Task { [services, loop] in
        let result = await Result.of { () throws(RelayError) in try await services.store.rooms(of: caller.user) }
        loop.execute { self.perform(.surveyed(connection, ticket: ticket, result)) }
      }
    case .read(let connection, let ticket, let cursor, let caller):
      Task { [services, loop] in
        let result = await Result.of { () throws(RelayError) in
          try await services.store.entries(
            of: cursor.room, after: cursor.position.sequence, limit: Limits.entriesPerPage, bytes: Self.replayBytes,
            for: caller.user)
        }
        loop.execute { self.perform(.page(connection, ticket: ticket, result)) }
      }
    case .append(let connection, let requestID, let message):
      // All sends of this turn share one call to the store.
      if outbox.isEmpty { loop.execute { self.flush() } }
      outbox.append(message)
      senders.append((connection, requestID))
    case .pause(let connection): sessions[connection]?.connection.pause()
    case .resume(let connection): sessions[connection]?.connection.resume()
    case .close(let connection, let code):
      guard let session = sessions[connection] else { return }
      services.instruments.closes[CloseReason(code)].add()
      log.debug("socket closed", ["code": code.number])
      session.connection.close(WebSocketCloseCode(code.number))
    }
  }

  private func deliver(_ frame: SharedBytes, to number: HubMachine.Connection) {
    guard let session = sessions[number] else { return }
    if session.connection.queuedBytes > Self.maxQueued || !session.connection.send(frame: frame),
      session.connection.isOpen
    {
      // Not at once: others may be in the middle of being served.
      loop.execute { self.perform(.overrun(number)) }
    }
  }

  private func flush() {
    let senders = senders
    services.instruments.batches.record(outbox.count)
    services.writer.append(outbox) { [loop] results in
      loop.execute {
        for (sender, result) in zip(senders, results) {
          self.perform(.appended(sender.connection, requestID: sender.requestID, result))
        }
      }
    }
    outbox = []
    self.senders = []
  }
}

extension Result where Failure == RelayError {
  /// Awaits a body and keeps what it throws.
  static func of(_ body: () async throws(RelayError) -> Success) async -> Self {
    do { return .success(try await body()) } catch { return .failure(error) }
  }
}
