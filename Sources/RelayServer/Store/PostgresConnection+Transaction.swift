import CPostgres
import Storage

/// The connection broke while a transaction was being committed: only the server knows what became of it.
///
/// The server's own answer (`pg_xact_status`) is not good enough: after a crash it gives a number that was not yet written
/// down to another transaction. So each transaction begins by writing its number into a row of its connection's own, and
/// whoever locks that row afterwards has waited for its end and reads whether it was committed.
struct UncertainCommit: Error {
  /// What ``PostgresConnection/isCommitted(_:)`` asks about.
  let testimony: Int64
}

extension PostgresConnection {
  /// Throws ``UncertainCommit`` if the connection was lost while the server committed.
  @discardableResult
  func transaction<T>(_ body: () throws -> T) throws -> T {
    try begin()
    let result: T
    do {
      result = try body()
      try refuseFailure()
    } catch {
      rollBack()
      throw error
    }
    try commit()
    return result
  }

  /// Runs `body` on one unchanging view of the database.
  @discardableResult
  func snapshot<T>(_ body: () throws -> T) throws -> T {
    guard !isInTransaction else { throw StorageError(.misuse) }
    _ = try simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    do {
      let result = try body()
      _ = try simple("COMMIT")
      return result
    } catch {
      rollBack()
      throw error
    }
  }

  @discardableResult
  func savepoint<T>(_ body: () throws -> T) throws -> T {
    guard isInTransaction else { throw handle == nil ? StorageError(.io) : StorageError(.misuse) }
    _ = try simple("SAVEPOINT part")
    do {
      let result = try body()
      try refuseFailure()
      _ = try simple("RELEASE SAVEPOINT part")
      return result
    } catch {
      if isInTransaction {
        _ = takeFailure()
        _ = try simple("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
      }
      throw error
    }
  }

  private func begin() throws {
    guard !isInTransaction else { throw StorageError(.misuse) }
    guard hasWitness else {
      _ = try simple("BEGIN")
      return
    }
    testimony += 1
    // Numbers of our own: the simple protocol takes both statements at once.
    let result = try simple(
      "BEGIN; UPDATE witness SET number = \(testimony), time = now() WHERE session = \(witness)")
    guard result.changes == 1 else {
      disconnect()
      throw StorageError(.io)
    }
  }

  private func commit() throws {
    do {
      // A transaction that failed ends here without an error.
      guard try !simple("COMMIT").isRollback else { throw takeFailure() ?? StorageError(.statement) }
    } catch let error as StorageError {
      // A server that goes down may say so after it has committed.
      guard error.code == .io else {
        rollBack()
        throw error
      }
      disconnect()
      throw UncertainCommit(testimony: testimony)
    }
  }

  /// A statement that failed and was not cared about has undone everything all the same.
  private func refuseFailure() throws(StorageError) {
    if let failure = takeFailure() { throw failure }
  }

  /// Undoes the transaction under way; a connection that cannot is given up.
  func rollBack() {
    _ = takeFailure()
    guard isInTransaction else { return }
    do { _ = try simple("ROLLBACK") } catch { disconnect() }
    _ = takeFailure()
  }

  /// Whether a transaction of this connection's was committed, waiting for its end if the server has not noticed yet that
  /// its client is gone.
  func isCommitted(_ testimony: Int64) throws -> Bool {
    try first("SELECT number FROM witness WHERE session = \(witness) FOR UPDATE") { try $0.integer(0) } == testimony
  }
}
