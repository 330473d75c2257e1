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

  /// - Parameters:
  ///   - environment: `NAME=value`, beside what this process has.
  ///   - quiet: what it says on standard error is not wanted.
  package init(
    _ program: String, _ arguments: [String], output: String = "/dev/null", environment: [String] = [],
    quiet: Bool = false
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    if quiet { posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) }
    let path = program.hasPrefix("/") ? program : Child.folder + "/" + program
    let words = ([path] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var inherited: [UnsafeMutablePointer<CChar>?] = []
    var variable = environ
    while let value = variable.pointee {
      inherited.append(value)
      variable += 1
    }
    let added = environment.map { strdup($0) }
    defer { added.forEach { free($0) } }
    var child: pid_t = 0
    guard posix_spawn(&child, path, &actions, nil, words, added + inherited + [nil]) == 0 else {
      throw Failed(what: program)
    }
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

  package consuming func stop(_ signal: Int32 = SIGTERM) { end(signal) }

  /// Ends it and waits until it has ended.
  package borrowing func end(_ signal: Int32 = SIGTERM) {
    kill(pid, signal)
    // One that was stopped hears nothing.
    kill(pid, SIGCONT)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }
}

extension Machine {
  /// Seconds of processor time that a process has used on all its threads, in user and kernel mode.
  ///
  /// From the scheduler's nanoseconds; the usual figures count in hundredths of a second.
  package static func processorSeconds(of pid: pid_t) -> Double {
    guard let folder = opendir("/proc/\(pid)/task") else { return 0 }
    defer { closedir(folder) }
    var nanoseconds = 0.0
    while let entry = readdir(folder) {
      let thread = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard let line = lines(of: "/proc/\(pid)/task/\(thread)/schedstat").first else { continue }
      nanoseconds += line.split(separator: " ").first.flatMap { Double($0) } ?? 0
    }
    return nanoseconds / 1e9
  }

  /// Bytes of a process in memory.
  package static func residentBytes(of pid: pid_t) -> Int {
    let line = lines(of: "/proc/\(pid)/status").first { $0.hasPrefix("VmRSS:") } ?? ""
    return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
