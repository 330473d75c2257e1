import CPostgres
import Storage

/// The connection broke while a transaction was being committed: only the server knows what became of it.
struct UncertainCommit: Error {
  /// What ``PostgresConnection/outcome(of:)`` asks about.
  let transaction: Int64
}

extension PostgresConnection {
  /// Throws ``UncertainCommit`` if the connection was lost while the server committed.
  @discardableResult
  func transaction<T>(_ body: () throws -> T) throws -> T {
    let transaction = try begin()
    let result: T
    do {
      result = try body()
      try refuseFailure()
    } catch {
      rollBack()
      throw error
    }
    try commit(transaction)
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

  /// Begins a transaction and returns its number.
  func begin() throws -> Int64 {
    guard !isInTransaction else { throw StorageError(.misuse) }
    let result = try simple("BEGIN; SELECT pg_current_xact_id()::text")
    return try result.withBytes(row: 0, column: 0) { text in
      guard let number = Int64(String(decoding: text, as: UTF8.self)) else { throw StorageError(.typeMismatch) }
      return number
    }
  }

  private func commit(_ transaction: Int64) throws {
    do {
      // A transaction that failed ends here without an error.
      guard try !simple("COMMIT").isRollback else { throw takeFailure() ?? StorageError(.statement) }
    } catch let error as StorageError {
      rollBack()
      // A server that goes down may say so after it has committed.
      guard error.code == .io else { throw error }
      disconnect()
      throw UncertainCommit(transaction: transaction)
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

  enum Outcome {
    case committed
    case undone
    /// The server has not noticed yet that its client is gone.
    case underWay
  }

  /// What became of a transaction.
  func outcome(of transaction: Int64) throws -> Outcome {
    let status = try first("SELECT pg_xact_status(\(String(transaction))::xid8)") { try $0.optionalText(0) } ?? nil
    switch status {
    case "committed": return .committed
    case "in progress": return .underWay
    // Nil: it began too long ago to be known, which none of ours does. Without proof it was not stored.
    default: return .undone
    }
  }
}
