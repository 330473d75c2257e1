import CSQLite
import Observability

/// Why the database did not do what was asked.
///
/// Two errors are equal if their codes are. Texts are static and nothing of the data is kept, so an error is safe to
/// log.
package struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  package struct Code: Hashable, Sendable {
    package let text: StaticString
    let number: UInt8

    /// Another connection holds the lock for longer than the busy timeout; try again.
    package static let busy = Code(text: "the database is locked by another", number: 1)
    /// The file is damaged; restore a backup.
    package static let corrupt = Code(text: "the database is damaged", number: 2)
    /// The file holds something else, or is encrypted by other means.
    package static let notADatabase = Code(text: "the file is not a database", number: 3)
    /// The disk is full.
    package static let full = Code(text: "the disk is full", number: 4)
    /// Reading, writing or syncing failed.
    package static let io = Code(text: "input or output failed", number: 5)
    /// The file cannot be opened or created, or the server not be reached: check path and permissions.
    package static let cannotOpen = Code(text: "the database cannot be opened", number: 6)
    /// The file or its folder may not be written.
    package static let readOnly = Code(text: "the database is read-only", number: 7)
    /// A value that must be unique exists already.
    package static let notUnique = Code(text: "a unique value exists already", number: 8)
    /// A row refers to one that does not exist, or is still referred to.
    package static let foreignKey = Code(text: "a reference leads nowhere", number: 9)
    /// A CHECK, NOT NULL or type constraint refused a value.
    package static let constraint = Code(text: "a constraint refused a value", number: 10)
    /// The schema is newer than this program; update the program.
    package static let tooNew = Code(text: "the schema is newer than this program", number: 11)
    /// A database of some other program, or of another part of Kin.
    package static let foreignFile = Code(text: "the database belongs to another program", number: 12)
    /// A column holds another type than its reader asked for, or text that is not UTF-8.
    package static let typeMismatch = Code(text: "a column has an unexpected type", number: 13)
    /// A statement that must give a row gave none.
    package static let noRow = Code(text: "no row was found", number: 14)
    /// Another process (or another part of this one) uses the store.
    package static let inUse = Code(text: "the store is in use", number: 15)
    /// A value exceeds the size limit.
    package static let tooBig = Code(text: "a value is too big", number: 16)
    /// Memory ran out.
    package static let outOfMemory = Code(text: "memory ran out", number: 17)
    /// The caller broke a rule of this interface, for example by nesting transactions.
    package static let misuse = Code(text: "the database was misused", number: 18)
    /// Anything else: a mistake in a statement, which is a bug.
    package static let statement = Code(text: "a statement failed", number: 19)

    /// The connection was lost while a transaction was committed, and the server has not said what became of it.
    package static let unknownOutcome = Code(text: "it is not known whether it was stored", number: 20)

    package static func == (left: Code, right: Code) -> Bool { left.number == right.number }
    package func hash(into hasher: inout Hasher) { hasher.combine(number) }
  }

  package let code: Code
  /// The database's own number for it (SQLite's extended result code, PostgreSQL's SQLSTATE to the base 36), or zero.
  package let result: Int32
  package let file: StaticString
  package let line: UInt

  package init(_ code: Code, result: Int32 = 0, file: StaticString = #fileID, line: UInt = #line) {
    (self.code, self.result) = (code, result)
    (self.file, self.line) = (file, line)
  }

  /// An error from SQLite's extended result code.
  init(result: Int32, file: StaticString = #fileID, line: UInt = #line) {
    self.init(Self.code(of: result), result: result, file: file, line: line)
  }

  private static func code(of result: Int32) -> Code {
    switch result {
    // UNIQUE, PRIMARY KEY and ROWID of the extended codes, whose macros Swift does not import.
    case 2067, 1555, 2579: return .notUnique
    case 787: return .foreignKey
    default: break
    }
    switch result & 0xFF {
    case SQLITE_BUSY, SQLITE_LOCKED: return .busy
    case SQLITE_CORRUPT: return .corrupt
    case SQLITE_NOTADB: return .notADatabase
    case SQLITE_FULL: return .full
    case SQLITE_IOERR, SQLITE_PROTOCOL: return .io
    case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: return .cannotOpen
    case SQLITE_READONLY: return .readOnly
    case SQLITE_CONSTRAINT, SQLITE_MISMATCH: return .constraint
    case SQLITE_TOOBIG: return .tooBig
    case SQLITE_NOMEM: return .outOfMemory
    case SQLITE_MISUSE, SQLITE_RANGE: return .misuse
    default: return .statement
    }
  }

  package static func == (left: StorageError, right: StorageError) -> Bool { left.code == right.code }
  package var description: String { "\(code.text) [\(result)] (\(file):\(line))" }
}

extension StorageError.Code: LoggableCode {
  package var logText: StaticString { text }
}
