import CryptoPrimitives
import Glibc
import RelayProtocol
import Synchronization

/// The keys of access tokens as a running relay has them: they can be rotated while it serves.
///
/// Relays that share a key file learn of a rotation by the first token under a key that they do not know: they read the
/// file again if it has changed.
final class TokenKeyRing: Sendable {
  private struct State {
    var keys: TokenKeys
    var stamp: Stamp?
    var looked: UInt64 = 0
  }

  private struct Stamp: Equatable {
    var inode: UInt64
    var seconds: Int
    var nanoseconds: Int
  }

  private let path: String?
  private let state: Mutex<State>

  /// Keys that stand in no file and stay as they are.
  init(_ keys: TokenKeys) {
    path = nil
    state = Mutex(State(keys: keys))
  }

  /// Throws as ``TokenKeys/load(file:)`` does.
  init(file path: String) throws(RelayError) {
    self.path = path
    let keys = try TokenKeys.load(file: path)
    state = Mutex(State(keys: keys, stamp: Self.stamp(path)))
  }

  var keys: TokenKeys { state.withLock { $0.keys } }

  func verifyingKey(id: String, now: UInt64) -> VerifyingKey? {
    state.withLock { state in
      if let key = state.keys.verifyingKey(id: id, now: now) { return key }
      // Anybody can send unknown names of keys: one look at the file a second is enough.
      guard let path, state.looked + 1000 <= now || state.looked > now else { return nil }
      state.looked = now
      guard let stamp = Self.stamp(path), stamp != state.stamp, let keys = try? TokenKeys.load(file: path) else {
        return nil
      }
      (state.keys, state.stamp) = (keys, stamp)
      return keys.verifyingKey(id: id, now: now)
    }
  }

  /// Makes a new key that signs from now on. Returns its name.
  ///
  /// - Throws: `unavailable` when the file cannot be written; then nothing has changed.
  func rotate(until: UInt64, now: UInt64) throws(RelayError) -> String {
    guard let path else { throw RelayError(.unavailable, "the token keys stand in no file") }
    let result: Result<String, RelayError> = state.withLock { state in
      do throws(RelayError) {
        // What another relay, or another program, has put there since.
        let keys = try TokenKeys.load(file: path).rotated(until: until, now: now)
        try keys.replace(file: path)
        (state.keys, state.stamp) = (keys, Self.stamp(path))
        return .success(keys.signingID)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func stamp(_ path: String) -> Stamp? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return Stamp(
      inode: UInt64(status.st_ino), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }
}
