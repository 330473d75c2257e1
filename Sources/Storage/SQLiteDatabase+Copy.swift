import CSQLite
import Glibc

extension SQLiteDatabase {
  /// Writes a copy of the database as it is at this moment into a new file of mode 0600. Others may go on reading and
  /// writing meanwhile; what was deleted is not in the copy.
  ///
  /// Throws `cannotOpen` if there is a file, `misuse` inside a transaction, `full` and `io` as the disk does.
  package func copy(to path: String) throws(StorageError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StorageError(.cannotOpen) }
    close(descriptor)
    do throws(StorageError) {
      // The copy is attached while it is written, the one time that anything may be.
      try allowAttached(1)
      try execute("VACUUM INTO \(path)")
      try allowAttached(0)
    } catch {
      try? allowAttached(0)
      unlink(path)
      throw error
    }
  }

  /// Reads every page, index and reference.
  ///
  /// Throws `corrupt` if anything is not as it should be.
  package func verify() throws {
    guard try first("PRAGMA integrity_check(1)", { try $0.text(0) }) == "ok",
      try first("PRAGMA foreign_key_check", { _ in true }) == nil
    else { throw StorageError(.corrupt) }
  }
}
