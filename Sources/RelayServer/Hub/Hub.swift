import Networking
import Observability
import RelayProtocol
import WireCodec

/// The sockets of one event loop. Confined to it; wakes come in from any thread.
final class Hub: BusListener, Lookouts, @unchecked Sendable {
  struct Services: Sendable {
    let store: any RelayStore
    let writer: LogWriter
    let authenticator: Authenticator
    let counts: ConnectionCounts
    let instruments: Instruments
    let throttles: Throttles
    let now: @Sendable () -> UInt64
    var fetch: @Sendable (RoomID, _ after: UInt64) -> Void = { _, _ in }
  }

  /// Bytes of replay that are read at once for one room.
  private static let replayBytes = 1 << 20
  /// Bytes that may wait for one connection, besides the frame that is being added.
  private static let maxQueued = 4 << 20
  /// How many bytes of small frames are joined.
  private static let pieceBytes = 64 << 10

  let loop: EventLoop
  private let services: Services
  private let log: Log
  private var machine: HubMachine
  /// The sessions by slot. A connection's number names its slot and how often a slot had been given out before.
  // Read for each delivery, on the loop only; changed where nothing else is under way.
  @exclusivity(unchecked) private var slots: [Session?] = []
  private var freeSlots: [Int] = []
  private var opened = 0
  /// Kept for its memory.
  private var spareActions: [HubMachine.Action] = []
  private var outbox: [NewMessage] = []
  private var senders: [(connection: HubMachine.Connection, requestID: UInt32)] = []
  private var timer: EventLoop.Timer?
  private var ticks = 0
  private var queued = 0

  init(loop: EventLoop, bounds: HubMachine.Bounds, services: Services, log: Log) {
    self.loop = loop
    self.services = services
    self.log = log
    machine = HubMachine(bounds: bounds)
  }

  func start() {
    timer = loop.schedule(every: .milliseconds(500)) { [weak self] in
      self?.perform(.tick)
      self?.measure()
    }
  }

  func stop() { timer?.cancel() }

  func hear(_ wakes: [Wake]) {
    let heard = Monotonic.nanoseconds
    loop.execute {
      self.services.instruments.bus.record(nanoseconds: Monotonic.nanoseconds &- heard)
      self.perform(.wakes(wakes))
    }
  }

  /// Adds up what waits for this loop's sockets, every few seconds.
  private func measure() {
    ticks += 1
    guard ticks % 6 == 0 else { return }
    let queued = slots.reduce(into: 0) { $0 += $1?.connection.queuedBytes ?? 0 }
    services.instruments.queued.add(Int64(queued - self.queued))
    self.queued = queued
  }

  func served() async -> Served {
    await withCheckedContinuation { continuation in
      loop.execute { continuation.resume(returning: self.machine.served) }
    }
  }

  // MARK: Sessions

  /// Takes a new socket in; `caller` if the upgrade request carried a token.
  func open(_ connection: WebSocketConnection, caller: Caller?) -> Session {
    let session = Session(number: takeSlot(), connection: connection, hub: self)
    slots[session.number & Self.slotMask] = session
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
    guard self.session(session.number) != nil else { return }
    slots[session.number & Self.slotMask] = nil
    freeSlots.append(session.number & Self.slotMask)
    services.instruments.sockets.subtract()
    if let user = session.user { services.counts.leave(user) }
    perform(.closed(session.number))
  }

  private static let slotBits = 24
  private static let slotMask = 1 << slotBits - 1

  private func takeSlot() -> HubMachine.Connection {
    opened += 1
    if let slot = freeSlots.popLast() { return opened << Self.slotBits | slot }
    slots.append(nil)
    return opened << Self.slotBits | (slots.count - 1)
  }

  /// The session of that number, unless it is closed.
  private func session(_ number: HubMachine.Connection) -> Session? {
    let slot = number & Self.slotMask
    guard slot < slots.count, let session = slots[slot], session.number == number else { return nil }
    return session
  }

  private func admit(_ number: HubMachine.Connection, _ result: Result<Caller, RelayError>) {
    guard let session = session(number) else { return }
    var result = result
    if case .success(let caller) = result, session.user == nil {
      if services.counts.enter(caller.user) {
        session.user = caller.user
      } else {
        services.instruments.limits[.connections].add()
        result = .failure(RelayError(.rateLimited, "Too many connections."))
      }
    }
    perform(.authenticated(number, result))
  }

  // MARK: Driving the machine

  func perform(_ event: HubMachine.Event) {
    // To obey may lead to the next event at once, which then finds no spare list and makes its own.
    var actions: [HubMachine.Action] = []
    swap(&actions, &spareActions)
    machine.handle(event, now: services.now(), into: &actions)
    for action in actions { obey(action) }
    actions.removeAll(keepingCapacity: true)
    swap(&actions, &spareActions)
  }

  private func obey(_ action: HubMachine.Action) {
    switch action {
    case .send(let frame, let connection):
      if case .refused(_, let number, _) = frame { count(number) }
      var writer = Writer(reserving: 64)
      writer.write(frame)
      let bytes = writer.bytes
      deliver(to: connection) { $0.send(binary: bytes) }
    case .broadcast(let entries, let connections):
      services.instruments.deliveries.add(UInt64(entries.count * connections.count))
      for piece in Self.pieces(of: entries) {
        for connection in connections { deliver(to: connection) { $0.send(frame: piece) } }
      }
      let now = Monotonic.nanoseconds
      for stored in entries { services.instruments.lag.record(nanoseconds: now &- stored.stored) }
    case .push(let entries, let connection):
      services.instruments.deliveries.add(UInt64(entries.count))
      for stored in entries { deliver(to: connection) { $0.send(frame: stored.frame) } }
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
      do throws(RelayError) {
        try services.throttles.send(
          by: message.sender, message.device, to: message.room, bytes: message.request.message.bytes.count,
          now: message.now)
      } catch {
        return loop.execute { self.perform(.appended(connection, requestID: requestID, .failure(error))) }
      }
      if outbox.isEmpty { loop.execute { self.flush() } }
      outbox.append(message)
      senders.append((connection, requestID))
    case .fetch(let room, let after): services.fetch(room, after)
    case .pause(let connection): session(connection)?.connection.pause()
    case .resume(let connection): session(connection)?.connection.resume()
    case .close(let connection, let code):
      guard let session = session(connection) else { return }
      services.instruments.closes[CloseReason(code)].add()
      log.debug("socket closed", ["code": code.number])
      session.connection.close(WebSocketCloseCode(code.number))
    }
  }

  /// Frames behind one another, in pieces that are each handed to every recipient.
  ///
  /// They are this loop's own: loops that counted references to the same bytes would wait for each other.
  private static func pieces(of entries: [StoredEntry]) -> [SharedBytes] {
    var pieces: [SharedBytes] = []
    var start = 0
    while start < entries.count {
      var end = start + 1
      var count = entries[start].frame.count
      while end < entries.count, count + entries[end].frame.count <= pieceBytes {
        count += entries[end].frame.count
        end += 1
      }
      // What is large is not copied.
      pieces.append(
        count > pieceBytes ? entries[start].frame : SharedBytes(joining: entries[start..<end].lazy.map(\.frame)))
      start = end
    }
    return pieces
  }

  private func deliver(to number: HubMachine.Connection, _ send: (WebSocketConnection) -> Bool) {
    guard let session = session(number) else { return }
    if session.connection.queuedBytes > Self.maxQueued || !send(session.connection), session.connection.isOpen {
      // Not at once: others may be in the middle of being served.
      loop.execute { self.perform(.overrun(number)) }
    }
  }

  private func count(_ number: UInt16) {
    guard let code = RelayCode(number: number) else { return }
    services.instruments.count(code)
    // The store refuses nobody for coming too often.
    if code == .rateLimited { services.instruments.limits[.frames].add() }
  }

  private func flush() {
    let senders = senders
    services.instruments.batches.record(outbox.count)
    services.writer.append(outbox, for: loop) { [loop] results in
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
