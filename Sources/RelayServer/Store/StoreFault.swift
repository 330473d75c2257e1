import Observability
import RelayProtocol
import Storage

/// How the store turns what went wrong below it into what its callers understand.
enum StoreFault {
  private static let log = Log("store")

  /// Whether the fault is one statement's alone, so that the others of a batch can go on.
  static func isLocal(_ error: StorageError) -> Bool {
    switch error.code {
    case .notUnique, .foreignKey, .constraint, .typeMismatch, .noRow, .misuse, .statement, .tooBig: true
    default: false
    }
  }

  /// Callers' errors as they are; faults of the database are logged and become `unavailable` or `internalError`.
  static func relayError(_ error: any Error) -> RelayError {
    if let error = error as? RelayError { return error }
    guard let error = error as? StorageError else {
      log.error("unexpected error")
      return RelayError(.internalError, "The store failed.")
    }
    if isLocal(error) {
      log.error("statement failed", ["code": error.code, "result": error.result, "line": error.line])
      return RelayError(.internalError, "The store failed.")
    }
    log.warning("database failed", ["code": error.code, "result": error.result])
    return RelayError(.unavailable, "The store does not answer.", retryAfter: 1)
  }

  static let overloaded = RelayError(.unavailable, "The store is busy or closed.", retryAfter: 1)
}

extension RelayProtocol.Identifier {
  /// As a bound parameter.
  var sqlValue: SQLValue { .blob(bytes) }
}

extension UserID: SQLBindable {}
extension DeviceID: SQLBindable {}
extension RoomID: SQLBindable {}
extension SendID: SQLBindable {}
extension InviteID: SQLBindable {}

extension Row {
  /// An identifier of exactly 16 bytes.
  borrowing func identifier<ID: RelayProtocol.Identifier>(_ column: Int, as type: ID.Type = ID.self) throws -> ID {
    let identifier = try withBlob(column) { ID(bytes: $0) }
    guard let identifier else { throw StorageError(.typeMismatch) }
    return identifier
  }
}
