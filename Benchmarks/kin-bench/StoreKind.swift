import PostgresFixture
import RelayServer

/// Where a relay keeps its rooms.
enum StoreKind: String, CaseIterable, Sendable {
  case sqlite
  case postgres

  /// A PostgreSQL server of this run's own, made when it is first asked for; it syncs to disk.
  private static let server = Result<PostgresServer, any Error> { try PostgresServer(durable: true) }

  var name: String {
    switch self {
    case .sqlite: "SQLite"
    case .postgres: "PostgreSQL"
    }
  }

  /// What makes `relay-server` use it, with a database of its own.
  func relayArguments(in folder: Folder) throws -> [String] {
    guard self == .postgres else { return [] }
    try folder.write("postgres-url", try Self.server.get().makeDatabase() + "\n")
    return ["--store", "postgres", "--postgres-url-file", folder.path + "/postgres-url"]
  }

  /// The relay's store, in this process.
  func makeStore(in folder: Folder) throws -> any RelayStore {
    switch self {
    case .sqlite: try SQLiteStore(path: folder.path + "/relay.db")
    case .postgres: try PostgresStore(.init(PostgresSettings(try Self.server.get().makeDatabase())))
    }
  }

  func makeBareInserts(in folder: Folder) throws -> any BareInserts {
    switch self {
    case .sqlite: try SQLiteInserts(in: folder)
    case .postgres: try PostgresInserts(at: try Self.server.get().makeDatabase())
    }
  }
}
