import CPostgres
import Storage

/// A connection to a PostgreSQL server; it can be lost, and made anew with ``connect()``.
///
/// Statements are prepared once for each text, values and results travel in binary. Rows are read one at a time, so that
/// a result takes the memory of one row; while they are, the connection can do nothing else (`misuse`). Not `Sendable`: it
/// belongs to one thread.
final class PostgresConnection: SQLConnection {
  enum Purpose: Sendable {
    case reading
    case writing
  }

  private let settings: PostgresSettings
  private let purpose: Purpose
  /// Nil while there is no connection.
  private(set) var handle: OpaquePointer?
  /// The names of prepared statements by their texts.
  private var prepared: [String: String] = [:]
  private var isReading = false
  /// Why the transaction under way cannot be committed any more: what comes after says only that it cannot.
  private var failure: StorageError?

  private(set) var totalChanges = 0
  /// Times that this waited for an answer.
  private(set) var roundTrips: UInt64 = 0
  /// Statements that the server ran.
  private(set) var statements: UInt64 = 0

  /// This connection's row in the table of witnesses, the same through all its lives, and what it last wrote there.
  let witness = Int64.random(in: 1 ... .max)
  var testimony: Int64 = 0
  /// Whether the row is there: a database without tables has none.
  private(set) var hasWitness = false

  init(_ settings: PostgresSettings, for purpose: Purpose) { (self.settings, self.purpose) = (settings, purpose) }

  deinit { disconnect() }

  // MARK: Life

  var isConnected: Bool { handle != nil }

  /// Connects, or connects anew.
  ///
  /// Throws `cannotOpen` if the server does not answer or refuses us, `notADatabase` if its text is not UTF-8.
  func connect() throws(StorageError) {
    disconnect()
    guard let handle = settings.withKeywords({ PQconnectdbParams($0, $1, 1) }) else { throw StorageError(.outOfMemory) }
    guard PQstatus(handle) == CONNECTION_OK else {
      PQfinish(handle)
      throw StorageError(.cannotOpen)
    }
    self.handle = handle
    // Notices name tables and values: not for a log.
    PQsetNoticeProcessor(handle, { _, _ in }, nil)
    do throws(StorageError) {
      let encoding = PQparameterStatus(handle, "server_encoding").map { String(cString: $0) }
      // 14: pipelines were added to the library; the server's answer to what became of a transaction is older.
      guard encoding == "UTF8", PQserverVersion(handle) >= 140_000 else { throw StorageError(.notADatabase) }
      try script(Self.configuration(for: purpose))
    } catch {
      disconnect()
      throw error
    }
  }

  func disconnect() {
    if let handle { PQfinish(handle) }
    handle = nil
    prepared = [:]
    isReading = false
    failure = nil
    hasWitness = false
  }

  /// From here on each transaction leaves a sign of itself, so that a lost `COMMIT` can be told from one that never was.
  func callWitness() throws {
    try execute("DELETE FROM witness WHERE time < now() - interval '30 days'")
    try execute("INSERT INTO witness (session, number, time) VALUES (\(witness), 0, now()) ON CONFLICT DO NOTHING")
    hasWitness = true
  }

  /// What every session begins with. Whoever was told that something is stored relies on the disk, whatever the server's
  /// default is; and no transaction of a node that froze holds its locks for long. Everything that is written is found by an
  /// index: plans that were made while a table was small must not read it whole once it is large.
  private static func configuration(for purpose: Purpose) -> StaticString {
    switch purpose {
    case .reading:
      """
      SET default_transaction_read_only = on; SET statement_timeout = '30s';
      SET idle_in_transaction_session_timeout = '30s'
      """
    case .writing:
      """
      SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
      SET default_transaction_isolation = 'read committed'; SET statement_timeout = '30s'; SET lock_timeout = '10s';
      SET idle_in_transaction_session_timeout = '10s';
      SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
      SET plan_cache_mode = force_generic_plan
      """
    }
  }

  // MARK: Running statements

  @discardableResult
  func execute(_ sql: SQL) throws(StorageError) -> Int {
    let parameters = try PostgresParameters(sql.values)
    let (handle, name) = try prepare(sql.text, parameters.types)
    count(statements: 1)
    let result = parameters.withPointers { PQexecPrepared(handle, name, Int32(parameters.count), $0, $1, $2, 1) }
    let changes = try accept(result).changes
    totalChanges += changes
    return changes
  }

  func forEach(_ sql: SQL, _ body: (borrowing Row) throws -> Bool) throws {
    let parameters = try PostgresParameters(sql.values)
    let (handle, name) = try prepare(sql.text, parameters.types)
    count(statements: 1)
    guard parameters.withPointers({ PQsendQueryPrepared(handle, name, Int32(parameters.count), $0, $1, $2, 1) }) == 1
    else { throw lost() }
    PQsetSingleRowMode(handle)
    isReading = true
    defer { isReading = false }
    var isWanted = true
    var problem: (any Error)?
    // All results are taken even if nobody wants the rest: only then can the next statement run.
    while let pointer = PQgetResult(handle) {
      let result = PostgresResult(pointer)
      switch result.status {
      case PGRES_SINGLE_TUPLE:
        guard isWanted else { continue }
        do { isWanted = try body(Row(try result.values(ofRow: 0))) } catch { (isWanted, problem) = (false, error) }
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK: totalChanges += result.changes
      default: problem = fault(result)
      }
    }
    if PQstatus(handle) != CONNECTION_OK { throw lost() }
    if let problem { throw problem }
  }

  /// Runs statements separated by semicolons, without parameters: for schemas.
  func script(_ script: StaticString) throws(StorageError) { _ = try simple(script.description) }

  /// Runs text of the program's own by the simple protocol, in one round trip; returns the last result.
  func simple(_ text: String) throws(StorageError) -> PostgresResult {
    guard let handle, !isReading else { throw handle == nil ? StorageError(.io) : StorageError(.misuse) }
    count(statements: 1)
    return try accept(PQexec(handle, text))
  }

  /// Prepares a statement, unless that was done before.
  private func prepare(_ text: String, _ types: [Oid]) throws(StorageError) -> (OpaquePointer, String) {
    guard let handle, !isReading else { throw handle == nil ? StorageError(.io) : StorageError(.misuse) }
    if let name = prepared[text] { return (handle, name) }
    // Texts stand in the source, so there are few; the bound is for mistakes.
    if prepared.count >= 512 {
      _ = try simple("DEALLOCATE ALL")
      prepared = [:]
    }
    let name = "s\(prepared.count)"
    roundTrips += 1
    _ = try accept(PQprepare(handle, name, Self.translated(text), Int32(types.count), types))
    prepared[text] = name
    return (handle, name)
  }

  /// Parameters are `$1`, `$2` … here, and a lock is no comment.
  static func translated(_ text: String) -> String {
    let (open, close) = (Array("/*FOR NO KEY UPDATE OF ".utf8), Array("*/".utf8))
    var result: [UInt8] = []
    var number = 0
    var rest = Array(text.utf8)[...]
    var isLock = false
    while let byte = rest.first {
      if rest.starts(with: open) {
        result += open.dropFirst(2)
        rest = rest.dropFirst(open.count)
        isLock = true
      } else if isLock, rest.starts(with: close) {
        rest = rest.dropFirst(close.count)
        isLock = false
      } else {
        if byte == UInt8(ascii: "?") {
          number += 1
          result += Array("$\(number)".utf8)
        } else {
          result.append(byte)
        }
        rest = rest.dropFirst()
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private func count(statements: Int) {
    self.statements += UInt64(statements)
    roundTrips += 1
  }

  // MARK: Many statements in one round trip

  /// A statement of a pipeline, with `$1` for its first parameter.
  struct Step {
    let text: StaticString
    let parameters: PostgresParameters

    init(_ text: StaticString, _ parameters: PostgresParameters = PostgresParameters()) {
      (self.text, self.parameters) = (text, parameters)
    }
  }

  /// Sends all statements at once and calls `body` with the number and the result of each. The first that fails ends all
  /// that come after it.
  func pipeline(_ steps: [Step], _ body: (Int, borrowing PostgresResult) throws -> Void) throws {
    var names: [String] = []
    for step in steps { names.append(try prepare(step.text.description, step.parameters.types).1) }
    guard let handle else { throw StorageError(.io) }
    guard PQenterPipelineMode(handle) == 1 else { throw lost() }
    count(statements: steps.count)
    for (step, name) in zip(steps, names) {
      let isSent = step.parameters.withPointers {
        PQsendQueryPrepared(handle, name, Int32(step.parameters.count), $0, $1, $2, 1)
      }
      guard isSent == 1 else { throw lost() }
    }
    guard PQpipelineSync(handle) == 1 else { throw lost() }
    var index = 0
    var problem: (any Error)?
    reading: while PQstatus(handle) == CONNECTION_OK {
      guard let pointer = PQgetResult(handle) else {
        // The results of one statement end like this.
        index += 1
        guard index <= steps.count else { throw lost() }
        continue
      }
      let result = PostgresResult(pointer)
      switch result.status {
      case PGRES_PIPELINE_SYNC: break reading
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK:
        totalChanges += result.changes
        guard problem == nil else { continue }
        do { try body(index, result) } catch { problem = error }
      case PGRES_PIPELINE_ABORTED: if problem == nil { problem = failure ?? StorageError(.statement) }
      default: if problem == nil { problem = fault(result) }
      }
    }
    guard PQstatus(handle) == CONNECTION_OK, PQexitPipelineMode(handle) == 1 else { throw lost() }
    if let problem { throw problem }
  }

  // MARK: Faults

  private func accept(_ pointer: OpaquePointer?) throws(StorageError) -> PostgresResult {
    guard let pointer else { throw lost() }
    let result = PostgresResult(pointer)
    switch result.status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return result
    default: throw fault(result)
    }
  }

  /// What an error of the server means; the connection is given up if it is good for nothing any more.
  private func fault(_ result: borrowing PostgresResult) -> StorageError {
    // What the library says by itself has no state: the connection broke.
    guard let state = result.state, handle.map({ PQstatus($0) }) == CONNECTION_OK else { return lost(result.state) }
    // After a failure every statement fails, until the transaction ends.
    if state == "25P02", let failure { return failure }
    let error = StorageError(sqlState: state)
    if failure == nil, isInTransaction { failure = error }
    return error
  }

  /// Gives up a connection that is broken.
  private func lost(_ state: String? = nil) -> StorageError {
    disconnect()
    return StorageError(.io, result: state.map(StorageError.number(ofState:)) ?? 0)
  }

  // MARK: The state of a transaction

  var isInTransaction: Bool {
    guard let handle else { return false }
    let status = PQtransactionStatus(handle)
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
  }

  /// What undid the transaction, once.
  func takeFailure() -> StorageError? {
    defer { failure = nil }
    return failure
  }
}

extension StorageError {
  /// What five characters of the server mean (PostgreSQL documentation, appendix A).
  init(sqlState: String?, file: StaticString = #fileID, line: UInt = #line) {
    let state = sqlState ?? ""
    let code: Code =
      switch state {
      case "23505": .notUnique
      case "23503": .foreignKey
      // Others were in the way: the same again may succeed. Class 0A is a plan that a change of the schema outdated.
      case "40001", "40P01", "55P03", "57014", "0A000": .busy
      case "53100": .full
      case "53200": .outOfMemory
      // A standby, or a role that may not.
      case "25006", "42501": .readOnly
      case "XX001", "XX002": .corrupt
      default:
        switch state.prefix(2) {
        case "23", "22": .constraint
        case "08", "53", "57": .io
        case "54": .tooBig
        case "58": .io
        default: .statement
        }
      }
    self.init(code, result: Self.number(ofState: state), file: file, line: line)
  }

  /// The five characters as a number to the base 36, so that they can stand in a log: `Int("57P01", radix: 36)`.
  static func number(ofState state: String) -> Int32 { Int32(state, radix: 36) ?? 0 }
}
