import Glibc

/// Keeps a store to one process: held for as long as this object lives, released by the kernel at a crash.
package final class FileLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock, by a file of its own at `path` with mode 0600, which stays.
  ///
  /// Throws `inUse` if another holds it, `cannotOpen` if the file cannot be made.
  package init(path: String) throws(StorageError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StorageError(.cannotOpen) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let isHeld = errno == EWOULDBLOCK
      close(descriptor)
      throw StorageError(isHeld ? .inUse : .cannotOpen)
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}
