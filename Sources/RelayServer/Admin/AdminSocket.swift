import FoundationEssentials
import Glibc
import RelayProtocol

/// The way to a running relay for `relay-server admin`: a Unix-domain socket in the data folder, for its owner alone.
///
/// SQLite has one process, so whoever administers goes through it; and only a running relay can close sockets. One
/// request and one answer for each connection, as lines of JSON, one connection at a time.
final class AdminSocket: Sendable {
  typealias Handler = @Sendable (AdminRequest, _ actor: String) async -> AdminAnswer

  static let name = "admin.sock"
  static let maxRequest = 64 << 10

  private let descriptor: Int32
  private let folder: String
  private let done = Milestone(count: 1)

  /// - Throws: `unavailable` when the socket cannot be made: the folder is not writable, or another relay serves there.
  init(folder: String, handler: @escaping Handler) throws(RelayError) {
    self.folder = folder
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw RelayError(.unavailable, "the admin socket cannot be made") }
    // Left behind by a relay that was killed: the lock of the store says that none is alive.
    unlink(folder + "/" + Self.name)
    // The mode that bind makes the name with: there is no moment in which others could connect.
    guard fchmod(descriptor, 0o600) == 0,
      Self.withAddress(folder, { bind(descriptor, $0, $1) == 0 }) ?? false, listen(descriptor, 8) == 0
    else {
      Glibc.close(descriptor)
      throw RelayError(.unavailable, "the admin socket cannot be made")
    }
    self.descriptor = descriptor
    let done = done
    let isStarted = WorkThread.start {
      Self.serve(descriptor, handler)
      Glibc.close(descriptor)
      done.arrive()
    }
    guard isStarted else {
      Glibc.close(descriptor)
      throw RelayError(.unavailable, "no thread for the admin socket")
    }
  }

  func close() async {
    unlink(folder + "/" + Self.name)
    shutdown(descriptor, Int32(SHUT_RDWR))
    await done.wait()
  }

  private static func serve(_ listener: Int32, _ handler: @escaping Handler) {
    while true {
      let peer = accept(listener, nil, nil)
      guard peer >= 0 else {
        if errno == EINTR || errno == ECONNABORTED { continue }
        if errno == EMFILE || errno == ENFILE || errno == ENOMEM {
          usleep(100_000)
          continue
        }
        return
      }
      defer { Glibc.close(peer) }
      _ = fcntl(peer, F_SETFD, FD_CLOEXEC)
      setTimeouts(peer, seconds: 10)
      guard let actor = actor(of: peer), let line = readLine(peer, atMost: maxRequest),
        let request = try? JSONDecoder().decode(AdminRequest.self, from: Data(line))
      else { continue }
      let answer = Handed<AdminAnswer>()
      Task { answer.give(await handler(request, actor)) }
      if let data = try? JSONEncoder().encode(answer.take()) { write(peer, Array(data) + [10]) }
    }
  }

  /// Who is at the other end, as the kernel knows.
  private static func actor(of peer: Int32) -> String? {
    // struct ucred: three 32-bit numbers, pid, uid, gid (unix(7)).
    var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
    var length = socklen_t(MemoryLayout.size(ofValue: credentials))
    guard getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
    return "uid \(credentials.uid)"
  }

  // MARK: The other end

  /// Asks the relay that runs on a data folder; `nil` if none does.
  ///
  /// - Throws: a failure when a relay is there and does not answer.
  static func ask(_ request: AdminRequest, folder: String) throws(SubcommandFailure) -> AdminAnswer? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("no socket can be had") }
    defer { Glibc.close(descriptor) }
    setTimeouts(descriptor, seconds: 30)
    guard withAddress(folder, { connect(descriptor, $0, $1) == 0 }) ?? false else {
      if errno == EACCES || errno == EPERM { throw failure("the relay's data folder belongs to another user") }
      return nil
    }
    guard let data = try? JSONEncoder().encode(request), write(descriptor, Array(data) + [10]),
      let line = readLine(descriptor, atMost: 64 << 20),
      let answer = try? JSONDecoder().decode(AdminAnswer.self, from: Data(line))
    else { throw failure("the running relay does not answer") }
    return answer
  }

  private static func failure(_ text: String) -> SubcommandFailure {
    SubcommandFailure(text, exitCode: SubcommandFailure.environment)
  }

  // MARK: Bytes

  /// A socket's address by way of its folder's descriptor: the path of a folder may be longer than an address holds.
  private static func withAddress<T>(_ folder: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T? {
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return nil }
    defer { Glibc.close(directory) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array("/proc/self/fd/\(directory)/\(name)".utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // Closing the folder must not hide why the body failed.
    let reason = errno
    defer { errno = reason }
    return result
  }

  private static func setTimeouts(_ descriptor: Int32, seconds: Int) {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  private static func readLine(_ descriptor: Int32, atMost limit: Int) -> [UInt8]? {
    var line: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 << 10)
    while line.count <= limit {
      let count = recv(descriptor, &part, part.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      line += part.prefix(count)
      if line.last == 10 { return line.dropLast() }
    }
    return nil
  }

  @discardableResult
  private static func write(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

/// Something that a task gives to a thread, which waits for it.
private final class Handed<Value: Sendable>: @unchecked Sendable {
  // Unchecked: written before the semaphore is posted and read after it was waited for.
  private var value: Value?
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func give(_ value: Value) {
    self.value = value
    sem_post(semaphore)
  }

  func take() -> Value? {
    while sem_wait(semaphore) != 0 {}
    return value
  }
}
