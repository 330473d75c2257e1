import Glibc
import Observability
import RelayProtocol
import Storage

/// Which database the relay keeps its data in.
package enum StoreChoice: String, Sendable {
  case sqlite
  case postgres
}

extension RelayConfiguration {
  /// Opens the store that the settings name, whose file, if it has one, is in the data folder.
  ///
  /// - Throws: `unavailable`; the operator finds what to mend in the text.
  func openStore(metrics: Metrics) throws(RelayError) -> any RelayStore {
    switch store {
    case .sqlite:
      do { return try SQLiteStore(path: dataDirectory + "/relay.db", metrics: metrics) } catch {
        throw StoreFault.sqliteStart(error)
      }
    case .postgres:
      var settings = PostgresStore.Configuration(try postgresServer())
      (settings.writers, settings.readers) = (postgresWriters, postgresReaders)
      do { return try PostgresStore(settings, metrics: metrics) } catch { throw StoreFault.postgresStart(error) }
    }
  }

  /// Where the server is. The text may hold a password, so it comes from a file.
  func postgresServer() throws(RelayError) -> PostgresSettings {
    guard let path = postgresURLFile else {
      // Without a name libpq looks where it always looks.
      return PostgresSettings(postgresService.map { "service=" + $0 } ?? "")
    }
    guard let file = fopen(path, "re") else { throw RelayError(.unavailable, "postgres-url-file cannot be read") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0, count < bytes.count, let text = String(validating: bytes.prefix(count), as: UTF8.self)
    else {
      throw RelayError(.unavailable, "postgres-url-file cannot be read, or is no text of less than 4 KiB")
    }
    let line = text.prefix { $0 != "\n" && $0 != "\r\n" }
    guard !line.isEmpty else { throw RelayError(.unavailable, "postgres-url-file is empty") }
    let settings = PostgresSettings(String(line))
    guard settings.isWellFormed else {
      throw RelayError(
        .unavailable, "postgres-url-file holds no address of a database",
        remedy: "its first line is as postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full")
    }
    return settings
  }
}

extension StoreFault {
  /// Why a SQLite store cannot be opened, for whoever starts the relay.
  static func sqliteStart(_ error: any Error) -> RelayError {
    switch (error as? StorageError)?.code {
    case .inUse:
      RelayError(
        .unavailable, "another process has the database open",
        remedy: "one relay at a time uses a data folder: end the other, or name another folder with data")
    case .cannotOpen, .readOnly:
      RelayError(
        .unavailable, "the database cannot be opened",
        remedy: "relay.db and the files beside it must belong to the user that the relay runs as")
    case .full, .io, .tooBig:
      RelayError(
        .unavailable, "the database cannot be read or written",
        remedy: "is the disk of the data folder full, or its quota used up?")
    case .corrupt, .notADatabase:
      RelayError(
        .unavailable, "the database is damaged",
        remedy: "move relay.db, relay.db-wal and relay.db-shm away and restore a backup: relay-server restore --help")
    default: anyStart(error)
    }
  }

  /// Why a PostgreSQL store cannot be opened, for whoever starts the relay.
  static func postgresStart(_ error: any Error) -> RelayError {
    switch (error as? StorageError)?.code {
    case .cannotOpen:
      RelayError(
        .unavailable, "the PostgreSQL server is not reached, or refuses this relay",
        remedy: #"`psql -d "$(head -n 1 FILE)" -c 'SELECT 1'` says why; FILE is that of postgres-url-file"#)
    case .notADatabase:
      RelayError(
        .unavailable, "the PostgreSQL server is older than 14, or the database's encoding is not UTF8",
        remedy: "CREATE DATABASE kin ENCODING 'UTF8' TEMPLATE template0 makes one that fits")
    case .readOnly:
      RelayError(
        .unavailable, "the PostgreSQL database may not be written",
        remedy: "the role must own the database, and the server be no standby")
    case .full, .io, .busy, .corrupt:
      RelayError(
        .unavailable, "the PostgreSQL server does not do what is asked",
        remedy: "its own log says why: is its disk full?")
    default: anyStart(error)
    }
  }

  private static func anyStart(_ error: any Error) -> RelayError {
    switch (error as? StorageError)?.code {
    case .tooNew:
      return RelayError(
        .unavailable, "the database belongs to a newer relay",
        remedy: "run that version again, or let it go back first: docs/operations.md, Stopping and upgrading")
    case .foreignFile:
      return RelayError(
        .unavailable, "the database belongs to another program", remedy: "give the relay one of its own")
    default: return relayError(error)
    }
  }
}
