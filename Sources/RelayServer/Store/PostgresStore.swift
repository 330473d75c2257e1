package import Observability
package import RelayProtocol
package import Storage

/// The relay's store in a PostgreSQL database, which several nodes share.
///
/// Rooms' logs are written in lanes, each by a thread with a connection of its own that gathers what waits into one
/// transaction; other writes and reads have threads and connections of theirs. All queues are bounded. A server that
/// goes away is waited for; what waits too long is refused with `unavailable`.
package final class PostgresStore: SQLStore {
  package struct Configuration: Sendable {
    package var server: PostgresSettings
    /// Connections that write to rooms' logs, and as many again for all other writes.
    package var writers = 2
    package var readers = 4
    /// Messages and other writes that may wait; more are refused with `unavailable`.
    package var pendingWrites = 65_536
    package var pendingBytes = 64 << 20
    /// How long a retry of a send is recognised, in milliseconds.
    package var sendRetention: UInt64 = 7 * 24 * 3600 * 1000
    /// How long work waits for a server that is away.
    package var patience = Duration.seconds(5)

    package init(_ server: PostgresSettings) { self.server = server }
  }

  /// What one transaction holds at most, so that the first of a burst does not wait for the last.
  static let batch = WorkQueue<Void>.Limits(jobs: 4096, bytes: 8 << 20)

  package let incarnation: UInt64
  private let lanes: PostgresLanes
  private let writes: WorkQueue<Work>
  private let reads: WorkQueue<Work>
  private let counters: StoreCounters
  private let server: ServerCounters
  private let lanesDone: Milestone
  private let restDone: Milestone

  /// One thing for a thread to do with its session.
  typealias Work = @Sendable (PostgresSession) -> Void

  /// Connects, and makes or migrates the tables as needed.
  ///
  /// Throws `cannotOpen` if the server cannot be reached or refuses us, `notADatabase` if it is too old or does not keep
  /// text in UTF-8, `tooNew` and `foreignFile` as ``PostgresMigrations/migrate(_:)`` does: all for the operator to mend.
  package init(_ configuration: Configuration, metrics: Metrics = Metrics()) throws {
    let connection = PostgresConnection(configuration.server, for: .writing)
    try connection.connect()
    try RelaySchema.postgres.migrate(connection)
    incarnation = try connection.incarnation()
    counters = StoreCounters(metrics)
    server = ServerCounters(metrics)
    let (writers, readers) = (max(1, configuration.writers), max(1, configuration.readers))
    lanes = PostgresLanes(
      count: writers, limits: .init(jobs: configuration.pendingWrites, bytes: configuration.pendingBytes))
    writes = WorkQueue(limits: .init(jobs: configuration.pendingWrites, bytes: configuration.pendingBytes))
    reads = WorkQueue(limits: .init(jobs: configuration.pendingWrites, bytes: .max))
    lanesDone = Milestone(count: writers)
    restDone = Milestone(count: writers + readers)
    let session = PostgresSession.Configuration(
      incarnation: incarnation, sendRetention: configuration.sendRetention, patience: configuration.patience)
    var isStarted = true
    for lane in 0..<writers where isStarted {
      let writer = PostgresLaneWriter(
        lane: lane, lanes: lanes, counters: counters, server: server, rest: writes, configuration: session)
      isStarted = WorkThread.start { [lanesDone, server = configuration.server] in
        writer.run(PostgresSession(server, for: .writing, session))
        lanesDone.arrive()
      }
    }
    for (queue, purpose, count) in [(writes, .writing, writers), (reads, .reading, readers)]
      as [(WorkQueue<Work>, PostgresConnection.Purpose, Int)]
    {
      for _ in 0..<count where isStarted {
        isStarted = WorkThread.start { [restDone, server = configuration.server] in
          let own = PostgresSession(server, for: purpose, session)
          while let work = queue.take(atMost: .init(jobs: 1, bytes: .max)).first { work(own) }
          restDone.arrive()
        }
      }
    }
    guard isStarted else {
      closeQueues()
      throw StorageError(.outOfMemory)
    }
  }

  deinit {
    // Without `close()` the threads finish what waits, and end.
    closeQueues()
  }

  private func closeQueues() {
    lanes.close()
    writes.close()
    reads.close()
  }

  /// Transactions of rooms' logs that were written.
  package var commits: UInt64 { counters.commits.value }
  /// Log entries that were stored.
  package var storedEntries: UInt64 { counters.entries.value }

  /// Times that logs' writers waited for the server, and statements that it ran for them.
  package var traffic: (roundTrips: UInt64, statements: UInt64) { (server.roundTrips.value, server.statements.value) }

  // MARK: The kinds of work

  package func write<T: Sendable>(
    in room: RoomID, bytes: Int, stored: @escaping @Sendable (T) -> Void,
    _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T {
    let result: Result<T, RelayError> = await withCheckedContinuation { continuation in
      let isTaken = lanes.write(in: room, bytes: bytes) { [counters] session in
        let outcome = Self.outcome { try session.transaction(body) }
        counters.entries.add(session.tables.takeStoredEntries())
        counters.commits.add()
        if case .success(let value) = outcome { stored(value) }
        continuation.resume(returning: outcome)
      }
      if !isTaken { continuation.resume(returning: .failure(StoreFault.overloaded)) }
    }
    return try result.get()
  }

  package func write<T: Sendable>(
    bytes: Int, _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T {
    try await work(on: writes, bytes: bytes) { try $0.transaction(body) }
  }

  package func read<T: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> T) async throws(RelayError)
    -> T
  {
    counters.reads.add()
    return try await work(on: reads, bytes: 0) { try $0.read(body) }
  }

  private func work<T: Sendable>(
    on queue: WorkQueue<Work>, bytes: Int, _ body: @escaping @Sendable (PostgresSession) throws -> T
  ) async throws(RelayError) -> T {
    let result: Result<T, RelayError> = await withCheckedContinuation { continuation in
      let isTaken = queue.push(
        { session in continuation.resume(returning: Self.outcome { try body(session) }) }, weight: 1, bytes: bytes)
      if !isTaken { continuation.resume(returning: .failure(StoreFault.overloaded)) }
    }
    return try result.get()
  }

  private static func outcome<T>(_ body: () throws -> T) -> Result<T, RelayError> {
    do { return .success(try body()) } catch { return .failure(StoreFault.relayError(error)) }
  }

  // MARK: Messages

  package func append(
    _ messages: [NewMessage], completion: @escaping @Sendable ([Result<Appended, RelayError>]) -> Void
  ) {
    guard !messages.isEmpty else { return completion([]) }
    if !lanes.append(PostgresLanes.Call(messages, completion)) {
      completion(Array(repeating: .failure(StoreFault.overloaded), count: messages.count))
    }
  }

  // MARK: Life

  package var backlog: Double { max(lanes.fill, writes.fill) }

  package func check() async throws(RelayError) {
    try await read { _ = try $0.first("SELECT key FROM relay") { try $0.integer(0) } }
    try await write { _ in }
  }

  package func scrub() async throws(RelayError) {
    try await work(on: writes, bytes: 0) { try $0.vacuum() }
  }

  package func close() async {
    lanes.close()
    await lanesDone.wait()
    writes.close()
    reads.close()
    await restDone.wait()
  }
}

/// What the writers of logs ask of the server.
struct ServerCounters: Sendable {
  let roundTrips: Counter
  let statements: Counter

  init(_ metrics: Metrics) {
    roundTrips = metrics.counter(
      "kin_store_round_trips_total", help: "Times that writers of logs waited for the database server.")
    statements = metrics.counter(
      "kin_store_statements_total", help: "Statements that the database server ran for writers of logs.")
  }
}

/// Does the work of one lane.
struct PostgresLaneWriter: Sendable {
  let lane: Int
  let lanes: PostgresLanes
  let counters: StoreCounters
  let server: ServerCounters
  /// Where work goes that need not be done in the lane.
  let rest: WorkQueue<PostgresStore.Work>
  let configuration: PostgresSession.Configuration

  /// Entries after which old sends are forgotten; as many as that come, twice as many may go.
  private static let trimEvery = 4096

  func run(_ session: PostgresSession) {
    var sinceTrim = 0
    while true {
      let jobs = lanes.take(lane, atMost: PostgresStore.batch)[...]
      guard !jobs.isEmpty else { break }
      let (roundTrips, statements) = (session.connection.roundTrips, session.connection.statements)
      var rest = jobs
      while let job = rest.popFirst() {
        switch job {
        case .write(let work): work(session)
        case .append(let call, let indices):
          var parts = [(call, indices)]
          while case .append(let call, let indices)? = rest.first {
            parts.append((call, indices))
            rest.removeFirst()
          }
          sinceTrim += append(parts, session)
        }
      }
      server.roundTrips.add(session.connection.roundTrips - roundTrips)
      server.statements.add(session.connection.statements - statements)
      if sinceTrim >= Self.trimEvery {
        trim(sinceTrim * 2)
        sinceTrim = 0
      }
    }
  }

  /// Stores messages of several calls in one transaction; returns how many.
  private func append(_ parts: [(PostgresLanes.Call, [Int])], _ session: PostgresSession) -> Int {
    var messages: [NewMessage] = []
    for (call, indices) in parts { for index in indices { messages.append(call.messages[index]) } }
    var outcomes: [Result<Appended, RelayError>]
    do { outcomes = try session.append(messages) } catch {
      outcomes = Array(repeating: .failure(StoreFault.relayError(error)), count: messages.count)
    }
    let stored = outcomes.count { if case .success(let appended) = $0 { appended.entry != nil } else { false } }
    if stored > 0 { counters.commits.add() }
    counters.entries.add(UInt64(stored))
    var start = 0
    for (call, indices) in parts {
      lanes.finish(call, indices, outcomes[start..<start + indices.count])
      start += indices.count
    }
    return stored
  }

  private func trim(_ count: Int) {
    let retention = configuration.sendRetention
    _ = rest.push(
      { session in
        // If it fails now, the next time does it.
        _ = try? session.transaction { tables in
          let newest = try tables.database.first("SELECT max(time) FROM sent") { try $0.optionalInteger(0) } ?? nil
          guard let newest, newest > 0 else { return }
          try tables.statements.forgetSends(before: UInt64(newest) - min(UInt64(newest), retention), atMost: count)
        }
      }, weight: 1, bytes: 0)
  }
}
