import CryptoPrimitives
import Observability
import RelayProtocol
import Storage

/// One thing to do in the next transaction.
struct WriteJob: Sendable {
  /// Does it, inside the transaction. Returns what to call when the transaction is on disk, or has failed.
  ///
  /// Throws only what makes the whole transaction worthless; what concerns the job alone goes into its completion.
  let perform: @Sendable (StoreTables) throws -> Completion

  /// Called after the commit with nil, or with the fault that undid everything.
  typealias Completion = @Sendable (RelayError?) -> Void
  /// Called instead, if the transaction failed before this job had its turn.
  let refuse: @Sendable (RelayError) -> Void
}

/// Gathers all pending writes into one transaction (group commit), on a thread of its own.
///
/// A sync to disk costs the same for one row and for a thousand, so whatever arrived during the last one shares the
/// next. Jobs complete in the order in which they were given.
final class StoreWriter {
  /// What one transaction holds at most, so that the first of a burst does not wait for the last.
  static let batch = WorkQueue<WriteJob>.Limits(jobs: 4096, bytes: 16 << 20)

  private let tables: StoreTables
  private let counters: StoreCounters

  init(tables: StoreTables, counters: StoreCounters) { (self.tables, self.counters) = (tables, counters) }

  func run(_ queue: WorkQueue<WriteJob>) {
    while true {
      let jobs = queue.take(atMost: Self.batch)
      guard !jobs.isEmpty else { break }
      perform(jobs)
    }
  }

  private func perform(_ jobs: [WriteJob]) {
    var completions: [WriteJob.Completion] = []
    completions.reserveCapacity(jobs.count)
    do {
      let before = tables.database.totalChanges
      try tables.database.transaction {
        for job in jobs { completions.append(try job.perform(tables)) }
        try tables.finishTransaction()
      }
      if tables.database.totalChanges != before { counters.commits.add() }
      counters.entries.add(tables.takeStoredEntries())
      for completion in completions { completion(nil) }
    } catch {
      // Caches may hold what was just undone.
      tables.forget()
      let fault = StoreFault.relayError(error)
      let refusal = fault.code == .internalError ? fault : StoreFault.overloaded
      for completion in completions { completion(refusal) }
      for job in jobs.dropFirst(completions.count) { job.refuse(refusal) }
    }
  }
}

/// What the store counts.
struct StoreCounters: Sendable {
  /// Transactions that changed something, each one sync to disk.
  let commits: Counter
  /// Entries of logs stored.
  let entries: Counter
  /// Questions that were asked of the database, whatever they found.
  let reads: Counter

  init(_ metrics: Metrics) {
    commits = metrics.counter("kin_store_commits_total", help: "Database transactions written.")
    entries = metrics.counter("kin_store_entries_total", help: "Log entries stored.")
    reads = metrics.counter("kin_store_reads_total", help: "Questions asked of the database.")
  }
}
