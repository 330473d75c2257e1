package import Glibc

/// Programs of the same build, run as processes of their own.
package struct Child: ~Copyable {
  package let pid: pid_t

  package struct Failed: Error {
    package var what: String
    package init(what: String) { self.what = what }
  }

  /// The folder in which this program and the others stand.
  package static let folder: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
  }()

  package init(_ program: String, _ arguments: [String], output: String = "/dev/null") throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    let path = program.hasPrefix("/") ? program : Child.folder + "/" + program
    let words = ([path] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var child: pid_t = 0
    guard posix_spawn(&child, path, &actions, nil, words, environ) == 0 else { throw Failed(what: program) }
    pid = child
  }

  /// The port that a server says it listens on, within ten seconds.
  package static func port(from output: String) -> UInt16? {
    for _ in 0..<400 {
      let line = Machine.lines(of: output).first { $0.hasPrefix("listening on ") }
      if let port = line?.split(separator: ":").last.flatMap({ UInt16($0) }) { return port }
      usleep(25_000)
    }
    return nil
  }

  /// Waits for the end of a program that must succeed.
  package consuming func succeed() throws {
    var status: Int32 = 0
    guard waitpid(pid, &status, 0) == pid, status == 0 else { throw Failed(what: "exit status \(status)") }
  }

  package consuming func stop(_ signal: Int32 = SIGTERM) {
    kill(pid, signal)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }

  /// Seconds of processor time that the process has used, in user and kernel mode.
  package var processorSeconds: Double {
    guard let line = Machine.lines(of: "/proc/\(pid)/stat").first, let end = line.lastIndex(of: ")") else { return 0 }
    let fields = line[end...].split(separator: " ")
    guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Bytes of the process in memory.
  package var residentBytes: Int {
    let line = Machine.lines(of: "/proc/\(pid)/status").first { $0.hasPrefix("VmRSS:") } ?? ""
    return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
