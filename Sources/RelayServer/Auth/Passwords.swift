import CryptoPrimitives
import Observability
import RelayProtocol

/// Hashes and checks passwords with Argon2id on threads of their own, a bounded number at a time.
final class Passwords: Sendable {
  private typealias Job = @Sendable () -> Void

  private let queue: WorkQueue<Job>
  private let parameters: PasswordHash.Parameters
  /// What a login under an unknown name is checked against, so that it takes as long as any other.
  private let dummy: String
  /// Hashes computed: the two kinds of failed login must not differ in it.
  let computed: Counter

  /// - Throws: `unavailable` when the system has no memory or thread left.
  init(passes: Int, memoryKiB: Int, workers: Int, waiting: Int, metrics: Metrics) throws(RelayError) {
    do {
      parameters = try PasswordHash.Parameters(passes: passes, memoryKiB: memoryKiB)
      dummy = try PasswordHash.hash(password: Random.bytes(32), parameters)
    } catch {
      throw RelayError(.unavailable, "no memory for password hashing")
    }
    queue = WorkQueue(limits: .init(jobs: waiting, bytes: .max))
    computed = metrics.counter("kin_password_hashes_total", help: "Argon2id hashes computed.")
    for _ in 0..<workers {
      let isStarted = WorkThread.start { [queue] in
        while let job = queue.take(atMost: .init(jobs: 1, bytes: .max)).first { job() }
      }
      guard isStarted else {
        queue.close()
        throw RelayError(.unavailable, "no thread for password hashing")
      }
    }
  }

  deinit { queue.close() }

  func close() { queue.close() }

  /// A PHC text for a new password.
  ///
  /// - Throws: `rateLimited` when too many wait: come back later.
  func hash(_ password: String) async throws(RelayError) -> String {
    let parameters = parameters
    let hash: String? = try await run { try? PasswordHash.hash(password: Array(password.utf8), parameters) }
    guard let hash else { throw RelayError(.unavailable, "No memory for a password hash.", retryAfter: 1) }
    return hash
  }

  /// Whether the password is right, and a better hash of it if the stored one was made with other parameters. Without
  /// a stored hash (``AccountRecord/noPassword`` is none) the answer is no, after the same work.
  func check(_ password: String, against stored: String?) async throws(RelayError) -> (isRight: Bool, better: String?) {
    let stored = stored == AccountRecord.noPassword ? nil : stored
    let (parameters, reference) = (parameters, stored ?? dummy)
    return try await run {
      let bytes = Array(password.utf8)
      guard PasswordHash.verify(password: bytes, against: reference), stored != nil else { return (false, nil) }
      guard (try? PasswordHash.needsRehash(reference, parameters)) == true else { return (true, nil) }
      return (true, try? PasswordHash.hash(password: bytes, parameters))
    }
  }

  private func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async throws(RelayError) -> T {
    let result: T? = await withCheckedContinuation { continuation in
      let isTaken = queue.push({ continuation.resume(returning: body()) }, weight: 1, bytes: 0)
      if !isTaken { continuation.resume(returning: nil) }
    }
    guard let result else { throw RelayError(.rateLimited, "Too many logins at once.", retryAfter: 2) }
    computed.add()
    return result
  }
}
