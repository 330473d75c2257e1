import Glibc
import Observability
import RelayProtocol

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
        throw RelayError(.unavailable, "the database cannot be opened, or another relay has it open")
      }
    case .postgres:
      var settings = PostgresStore.Configuration(try postgresServer())
      (settings.writers, settings.readers) = (postgresWriters, postgresReaders)
      do { return try PostgresStore(settings, metrics: metrics) } catch {
        _ = StoreFault.relayError(error)
        throw RelayError(
          .unavailable,
          "the PostgreSQL database cannot be used: not reached, too old, not UTF8, of another program, or of a newer relay"
        )
      }
    }
  }

  /// Where the server is. The text may hold a password, so it comes from a file.
  private func postgresServer() throws(RelayError) -> PostgresSettings {
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
    return PostgresSettings(String(line))
  }
}
