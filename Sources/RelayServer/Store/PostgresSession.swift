import Glibc
import RelayProtocol
import Storage

/// What one thread of the store works with: its connection, which it makes anew when it is lost, and its tables.
///
/// Tries again what others' transactions were in the way of. A transaction whose end was lost with the connection is
/// looked up, so that it is neither done twice nor reported as failed.
final class PostgresSession {
  let connection: PostgresConnection
  let tables: StoreTables
  private let log: PostgresLog
  private let purpose: PostgresConnection.Purpose
  private let patience: Duration
  /// Set once a server was waited for in vain: until it is back nobody waits again.
  private var isDown = false

  /// How often a transaction is tried that others' transactions undo.
  private static let conflicts = 8

  init(_ settings: PostgresSettings, for purpose: PostgresConnection.Purpose, _ configuration: Configuration) {
    connection = PostgresConnection(settings, for: purpose)
    log = PostgresLog(connection)
    tables = StoreTables(
      database: connection, statements: PostgresStatements(connection), incarnation: configuration.incarnation,
      sendRetention: configuration.sendRetention)
    patience = configuration.patience
    self.purpose = purpose
  }

  struct Configuration: Sendable {
    let incarnation: UInt64
    let sendRetention: UInt64
    /// How long work waits for a server that is away.
    let patience: Duration
  }

  // MARK: Work

  func read<T>(_ body: (any SQLConnection) throws -> T) throws -> T {
    try persist { try body(connection) }
  }

  /// Runs `body` in a transaction of its own.
  func transaction<T>(_ body: (StoreTables) throws -> T) throws -> T {
    try persist {
      tables.forget()
      var result: T?
      do {
        try connection.transaction {
          result = try body(tables)
          try tables.finishTransaction()
        }
      } catch let uncertain as UncertainCommit {
        try settle(uncertain)
      }
      guard let result else { throw StorageError(.noRow) }
      return result
    }
  }

  /// Has the server take dead rows out of its tables. Its write-ahead log, replicas and backups are the operator's.
  func vacuum() throws {
    try persist {
      // It takes as long as it takes, and no transaction.
      try connection.script("SET statement_timeout = 0")
      defer { _ = try? connection.script("RESET statement_timeout") }
      try connection.script("VACUUM entry, welcome")
    }
  }

  /// Stores messages, and returns the outcome of each.
  ///
  /// Throws if none of them could be stored for want of a server.
  func append(_ messages: [NewMessage]) throws -> [Result<Appended, RelayError>] {
    var repetitions = 0
    while true {
      do {
        return try persist {
          var batch = PostgresBatch(messages, incarnation: tables.incarnation)
          do { try log.store(&batch, isWary: repetitions > 0) } catch let uncertain as UncertainCommit {
            try settle(uncertain)
          }
          return batch.outcomes.map { $0 ?? .failure(RelayError(.internalError, "A message was not decided.")) }
        }
      } catch let fault as StorageError {
        guard StoreFault.isLocal(fault) else { throw fault }
        repetitions += 1
        // Something was sent before, or just now to another node: the next attempt finds it.
        if fault.code == .notUnique, repetitions < 3 { continue }
        return try appendApart(messages, fault)
      }
    }
  }

  /// Stores each room's messages by themselves, so that a damaged one takes no others with it.
  private func appendApart(_ messages: [NewMessage], _ fault: StorageError) throws -> [Result<Appended, RelayError>] {
    let rooms = Dictionary(grouping: messages.indices, by: { messages[$0].room })
    guard rooms.count > 1 else {
      return Array(repeating: .failure(StoreFault.relayError(fault)), count: messages.count)
    }
    var outcomes = [Result<Appended, RelayError>](
      repeating: .failure(StoreFault.relayError(fault)), count: messages.count)
    for indices in rooms.values {
      for (index, outcome) in zip(indices, try append(indices.map { messages[$0] })) { outcomes[index] = outcome }
    }
    return outcomes
  }

  // MARK: Persistence

  private func persist<T>(_ body: () throws -> T) throws -> T {
    let deadline = ContinuousClock.now + (isDown ? .zero : patience)
    var conflicts = 0
    var pause: useconds_t = 5_000
    while true {
      do {
        try connect()
        isDown = false
        return try body()
      } catch let fault as StorageError {
        tables.forget()
        switch fault.code {
        case .busy:
          conflicts += 1
          guard conflicts < Self.conflicts else { throw fault }
          // Of two that were in each other's way one should be first.
          usleep(.random(in: 0...2_000) << useconds_t(conflicts))
        case .io, .cannotOpen:
          guard ContinuousClock.now < deadline else {
            isDown = true
            throw fault
          }
          usleep(pause)
          pause = min(pause * 2, 200_000)
        case .readOnly:
          // This server is a standby now, or was told to be: the next attempt asks for one that can be written.
          connection.disconnect()
          throw fault
        default: throw fault
        }
      }
    }
  }

  private func connect() throws {
    guard !connection.isConnected else { return }
    try connection.connect()
    if purpose == .writing { try connection.callWitness() }
  }

  /// Returns if the transaction was committed; throws what makes ``persist(_:)`` try again if it was undone.
  private func settle(_ uncertain: UncertainCommit) throws {
    let deadline = ContinuousClock.now + patience + .seconds(5)
    while true {
      do {
        try connect()
        if try connection.isCommitted(uncertain.testimony) { return }
        break
      } catch {
        // Away again. Its sends are answered when their senders try again: by then the database knows.
        guard ContinuousClock.now < deadline else { throw StorageError(.unknownOutcome) }
        usleep(50_000)
      }
    }
    throw StorageError(.io)
  }
}
