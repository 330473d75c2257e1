import Foundation
import Glibc
import Synchronization

/// A folder that goes with the test.
package final class ServerFolder: Sendable {
  package let path: String

  package init() throws {
    var template = Array("/tmp/kin-server-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ServerFailure("no temporary folder") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Makes a certificate that signs itself, and its key: files of the folder.
  package func makeCertificate(
    _ name: String = "certificate", for hosts: String = "DNS:localhost"
  ) throws -> (certificate: String, key: String) {
    let made = (certificate: "\(path)/\(name).pem", key: "\(path)/\(name)-key.pem")
    let openssl = try ServerProcess(
      "openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=\(hosts)", "-keyout", made.key, "-out", made.certificate,
      ], name: "openssl", in: self)
    while !openssl.hasEnded { usleep(5000) }
    return made
  }
}

package struct ServerFailure: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// A server of others in a process of its own, which ends with this object, and with the tests' process however that ends.
package final class ServerProcess: Sendable {
  private struct State: Sendable {
    var guardian: pid_t = 0
    var pid: pid_t = 0
    var pipe: Int32 = -1
  }

  package let output: String
  private let state = Mutex(State())

  /// The guardian ends the server when the pipe from here is closed, whoever closed it; and itself when the server ends.
  private static let script = """
    out=$1; shift
    "$@" </dev/null >>"$out" 2>&1 3<&- &
    server=$!
    echo "pid $server" >"$out.pid"
    { cat <&3 >/dev/null; kill -9 $server; } 2>/dev/null &
    watch=$!
    wait $server
    kill $watch 2>/dev/null
    """

  /// Starts a program; what it prints goes to a file in `folder`.
  package init(_ program: String, _ arguments: [String], name: String, in folder: ServerFolder) throws {
    output = "\(folder.path)/\(name).out"
    unlink(output + ".pid")
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw ServerFailure("no pipe") }
    // Another child with the writing end would keep the guardian waiting.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    // What the shell says of killed children is nobody's business.
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    // Through another number first: a descriptor that is copied onto itself would stay closed for the child.
    posix_spawn_file_actions_adddup2(&actions, ends[0], 30)
    posix_spawn_file_actions_adddup2(&actions, 30, 3)
    posix_spawn_file_actions_addclose(&actions, 30)
    let words = ["sh", "-c", Self.script, "sh", output, program] + arguments
    let pointers = words.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    // The threads of tests block signals, and children inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var guardian: pid_t = 0
    let code = posix_spawn(&guardian, "/bin/sh", &actions, &attributes, pointers, environ)
    close(ends[0])
    guard code == 0 else {
      close(ends[1])
      throw ServerFailure("cannot start \(program): \(code)")
    }
    let pipe = ends[1]
    state.withLock { ($0.guardian, $0.pipe) = (guardian, pipe) }
    for _ in 0..<500 {
      if let text = try? String(contentsOfFile: output + ".pid", encoding: .utf8),
        let pid = pid_t(text.dropFirst(4).trimmingCharacters(in: .whitespacesAndNewlines))
      {
        state.withLock { $0.pid = pid }
        return
      }
      usleep(10_000)
    }
    throw ServerFailure("\(program) did not start")
  }

  deinit { kill(SIGKILL) }

  package var text: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }

  /// Sends a signal and does not wait.
  package func signal(_ signal: Int32) {
    let pid = state.withLock { $0.pid }
    if pid > 0 { Glibc.kill(pid, signal) }
  }

  /// Whether the server has ended by itself.
  package var hasEnded: Bool {
    state.withLock { state in
      guard state.guardian > 0 else { return true }
      var status: Int32 = 0
      guard waitpid(state.guardian, &status, WNOHANG) == state.guardian else { return false }
      Self.forget(&state)
      return true
    }
  }

  /// Waits until the server listens.
  ///
  /// - Throws: what it said, if it has ended or takes longer than a minute.
  package func untilItListens(on port: UInt16) throws {
    for _ in 0..<3000 {
      if Loopback.isServed(port) { return }
      if hasEnded { throw ServerFailure("the server for port \(port) has ended: \(text)") }
      usleep(20_000)
    }
    throw ServerFailure("nobody listens on port \(port): \(text)")
  }

  /// Sends a signal and waits for the end.
  package func kill(_ signal: Int32) {
    state.withLock { state in
      guard state.guardian > 0 else { return }
      if state.pid > 0 { Glibc.kill(state.pid, signal) }
      var status: Int32 = 0
      waitpid(state.guardian, &status, 0)
      Self.forget(&state)
    }
  }

  private static func forget(_ state: inout State) {
    close(state.pipe)
    state = State()
  }
}

/// Ports of this machine.
package enum Loopback {
  /// A port on which nobody listens, and which the system gives to no outgoing connection meanwhile.
  package static func lastingPort() throws -> UInt16 {
    for _ in 0..<200 {
      let port = UInt16.random(in: 10_000..<30_000)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      defer { close(descriptor) }
      var address = address(port)
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if result == 0 { return port }
    }
    throw ServerFailure("no free port")
  }

  /// A connected descriptor, or `nil`.
  static func connect(_ port: UInt16) -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = address(port)
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  /// Whether somebody listens.
  static func isServed(_ port: UInt16) -> Bool {
    guard let descriptor = connect(port) else { return false }
    close(descriptor)
    return true
  }
}
