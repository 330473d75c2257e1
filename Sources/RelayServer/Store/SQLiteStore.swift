package import Observability
package import RelayProtocol
package import Storage

/// The relay's store in one SQLite file: the default, for one box.
///
/// One thread writes, gathering all that waits into one transaction; a few read on connections of their own. Both are
/// the store's own threads, so that neither event loops nor tasks ever block.
package final class SQLiteStore: SQLStore {
  package struct Configuration: Sendable {
    /// Memory for pages on the writing connection; a reading one has a quarter.
    package var cacheBytes = 64 << 20
    /// How long the write-ahead log grows between checkpoints, in pages of 4 KiB.
    package var checkpointPages = 16_384
    package var readers = 2
    /// Messages and other writes that may wait; more are refused with `unavailable`.
    package var pendingWrites = 65_536
    package var pendingBytes = 64 << 20
    /// How long a retry of a send is recognised, in milliseconds.
    package var sendRetention: UInt64 = 7 * 24 * 3600 * 1000

    package init() {}
  }

  package let incarnation: UInt64
  private let path: String
  private let writes: WorkQueue<WriteJob>
  private let reads: WorkQueue<ReadJob>
  private let counters: StoreCounters
  private let readersDone: Milestone
  private let writerDone = Milestone(count: 1)

  /// Opens the store at `path`, making or migrating it as needed.
  ///
  /// Throws `inUse` if another process has it open, `tooNew` and `foreignFile` as ``Migrations/migrate(_:)`` does, and
  /// what opening a file can fail with: all for the operator to mend before the relay starts.
  package init(
    path: String, configuration: Configuration = Configuration(), metrics: Metrics = Metrics()
  ) throws {
    self.path = path
    let lock = try FileLock(path: path + ".lock")
    var options = SQLiteDatabase.Configuration()
    options.cacheBytes = configuration.cacheBytes
    options.checkpointPages = configuration.checkpointPages
    // What is erased is overwritten.
    options.secureDelete = true
    let database = try SQLiteDatabase(path: path, configuration: options)
    try RelaySchema.sqlite.migrate(database)
    incarnation = try database.incarnation()
    counters = StoreCounters(metrics)
    writes = WorkQueue(limits: .init(jobs: configuration.pendingWrites, bytes: configuration.pendingBytes))
    reads = WorkQueue(limits: .init(jobs: configuration.pendingWrites, bytes: .max))
    readersDone = Milestone(count: max(1, configuration.readers))
    let tables = StoreTables(
      database: database, statements: try SQLiteStatements(database), incarnation: incarnation,
      sendRetention: configuration.sendRetention)
    options.isReadOnly = true
    options.cacheBytes = configuration.cacheBytes / 4
    var readers: [Handover<SQLiteDatabase>] = []
    for _ in 0..<max(1, configuration.readers) {
      readers.append(Handover(try SQLiteDatabase(path: path, configuration: options)))
    }
    let writer = Writer(queue: StoreWriter(tables: tables, counters: counters), database: database, lock: lock)
    try start(writer: Handover(writer), readers: readers)
  }

  /// What the writing thread owns.
  private struct Writer {
    let queue: StoreWriter
    let database: SQLiteDatabase
    // Held until this thread is done with the file.
    let lock: FileLock
  }

  private func start(writer: Handover<Writer>, readers: [Handover<SQLiteDatabase>]) throws {
    let (writes, reads, writerDone, readersDone) = (writes, reads, writerDone, readersDone)
    var isStarted = WorkThread.start {
      if let writer = writer.take() {
        writer.queue.run(writes)
        // The write-ahead log is replayed at the next start if this does not succeed.
        try? writer.database.checkpoint()
      }
      writerDone.arrive()
    }
    for reader in readers where isStarted {
      isStarted = WorkThread.start {
        if let database = reader.take() {
          while let job = reads.take(atMost: .init(jobs: 1, bytes: .max)).first { job(database) }
        }
        // The connection is closed by now: the writer's last checkpoint finds the file free.
        readersDone.arrive()
      }
    }
    guard isStarted else {
      writes.close()
      reads.close()
      throw StorageError(.outOfMemory)
    }
  }

  deinit {
    // Without `close()` the threads finish what waits, and end.
    reads.close()
    writes.close()
  }

  /// Transactions that were written, each one sync to disk.
  package var commits: UInt64 { counters.commits.value }
  /// Log entries that were stored.
  package var storedEntries: UInt64 { counters.entries.value }

  // MARK: The two kinds of work

  typealias ReadJob = @Sendable (SQLiteDatabase) -> Void

  package func write<T: Sendable>(
    bytes: Int, _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T {
    try await write(bytes: bytes, stored: { _ in }, body)
  }

  package func write<T: Sendable>(
    in room: RoomID, bytes: Int, stored: @escaping @Sendable (T) -> Void,
    _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T {
    // One thread writes: it keeps the order of all rooms.
    try await write(bytes: bytes, stored: stored, body)
  }

  private func write<T: Sendable>(
    bytes: Int, stored: @escaping @Sendable (T) -> Void, _ body: @escaping @Sendable (StoreTables) throws -> T
  ) async throws(RelayError) -> T {
    let result: Result<T, RelayError> = await withCheckedContinuation { continuation in
      let refuse: @Sendable (RelayError) -> Void = { continuation.resume(returning: .failure($0)) }
      let job = WriteJob(
        perform: { tables in
          let outcome: Result<T, RelayError>
          do { outcome = .success(try tables.part { try body(tables) }) } catch {
            if let fault = error as? StorageError, !StoreFault.isLocal(fault) { throw fault }
            outcome = .failure(StoreFault.relayError(error))
          }
          return { fault in
            if fault == nil, case .success(let value) = outcome { stored(value) }
            continuation.resume(returning: fault.map { .failure($0) } ?? outcome)
          }
        }, refuse: refuse)
      if !writes.push(job, weight: 1, bytes: bytes) { refuse(StoreFault.overloaded) }
    }
    return try result.get()
  }

  package func read<T: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> T) async throws(RelayError)
    -> T
  {
    counters.reads.add()
    let result: Result<T, RelayError> = await withCheckedContinuation { continuation in
      let job: ReadJob = { database in
        do { continuation.resume(returning: .success(try body(database))) } catch {
          continuation.resume(returning: .failure(StoreFault.relayError(error)))
        }
      }
      if !reads.push(job, weight: 1, bytes: 0) { continuation.resume(returning: .failure(StoreFault.overloaded)) }
    }
    return try result.get()
  }

  // MARK: Messages

  package func append(
    _ messages: [NewMessage], completion: @escaping @Sendable ([Result<Appended, RelayError>]) -> Void
  ) {
    guard !messages.isEmpty else { return completion([]) }
    let count = messages.count
    let refuse: @Sendable (RelayError) -> Void = { completion(Array(repeating: .failure($0), count: count)) }
    let job = WriteJob(
      perform: { tables in
        var outcomes: [Result<Appended, RelayError>] = []
        outcomes.reserveCapacity(count)
        for message in messages { outcomes.append(try tables.append(message)) }
        let stored = outcomes
        return { fault in if let fault { refuse(fault) } else { completion(stored) } }
      }, refuse: refuse)
    let bytes = messages.reduce(0) { $0 + $1.request.message.bytes.count }
    if !writes.push(job, weight: count, bytes: bytes) { refuse(StoreFault.overloaded) }
  }

  // MARK: Life

  package var backlog: Double { writes.fill }

  package func check() async throws(RelayError) {
    try await read { _ = try $0.first("SELECT key FROM relay") { try $0.integer(0) } }
    try await write { _ in }
  }

  package func scrub() async throws(RelayError) {
    // A connection and a thread of its own: it waits for readers.
    let result: Result<Void, RelayError> = await withCheckedContinuation { continuation in
      let isStarted = WorkThread.start { [path] in
        do { continuation.resume(returning: .success(try SQLiteDatabase(path: path).checkpoint())) } catch {
          continuation.resume(returning: .failure(StoreFault.relayError(error)))
        }
      }
      if !isStarted { continuation.resume(returning: .failure(StoreFault.overloaded)) }
    }
    try result.get()
  }

  package func close() async {
    reads.close()
    await readersDone.wait()
    writes.close()
    await writerDone.wait()
  }
}

/// Carries something that belongs to one thread to the thread that it is to belong to.
private final class Handover<Value>: @unchecked Sendable {
  // Unchecked: given up by the thread that makes it and taken once by the one that keeps it.
  private var value: Value?

  init(_ value: Value) { self.value = value }

  func take() -> Value? {
    defer { value = nil }
    return value
  }
}
