import Foundation
import Glibc
import Synchronization

/// A relay in a process of its own, on loopback, which ends with this object.
final class RelayProcess: Sendable {
  let folder: TemporaryFolder
  private let state = Mutex<State>(State())

  private struct State: Sendable {
    var pid: pid_t = 0
    var port: UInt16 = 0
  }

  var port: UInt16 { state.withLock { $0.port } }
  var url: String { "http://127.0.0.1:\(port)" }
  var dataPath: String { folder.path("relay") }
  var logPath: String { folder.path("relay.log") }

  /// What it is started with beside its address and its folder.
  let arguments: [String]

  init(_ arguments: [String] = []) async throws {
    folder = try TemporaryFolder()
    self.arguments = arguments
    try await start()
  }

  deinit { kill(SIGKILL) }

  /// Starts the relay; again on the port that it had, if it ran before.
  func start() async throws {
    let output = folder.path("relay.out")
    try Data().write(to: URL(fileURLWithPath: output))
    let pid = try Spawned.start(
      Programs.url("relay-server").path, ["--listen", "127.0.0.1:\(port)", "--data", dataPath] + arguments,
      output: output, errors: logPath)
    state.withLock { $0.pid = pid }
    var found: UInt16?
    try await wait(for: "the relay to listen", seconds: 60) {
      let text = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
      found = text.split(separator: "\n").first { $0.hasPrefix("listening on ") }?
        .split(separator: ":").last.flatMap { UInt16($0) }
      return found != nil
    }
    state.withLock { $0.port = found ?? 0 }
  }

  /// What the kernel allows it.
  func limits() throws -> String {
    try String(contentsOfFile: "/proc/\(state.withLock { $0.pid })/limits", encoding: .utf8)
  }

  func signal(_ signal: Int32) { _ = Glibc.kill(state.withLock { $0.pid }, signal) }

  /// Its exit code once it has ended by itself.
  func ended() async throws -> Int32 {
    let pid = state.withLock { state in
      defer { state.pid = 0 }
      return state.pid
    }
    var status: Int32 = 0
    try await wait(for: "the relay to end", seconds: 30) { waitpid(pid, &status, WNOHANG) == pid }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }

  /// Runs the program with a verb beside the relay, on its data folder unless another is named.
  func perform(_ words: String..., data: String? = nil) async throws -> (exit: Int32, output: String) {
    try await perform(words, data: data)
  }

  /// What names its store to a verb.
  var storeArguments: [String] {
    arguments.firstIndex(of: "--store").map { Array(arguments[$0..<($0 + 4)]) } ?? []
  }

  func perform(_ words: [String], data: String? = nil) async throws -> (exit: Int32, output: String) {
    let output = folder.path("verb.\(UUID().uuidString)")
    let pid = try Spawned.start(
      Programs.url("relay-server").path, words + ["--data", data ?? dataPath], output: output, errors: output)
    var status: Int32 = 0
    try await wait(for: "relay-server \(words) to end") { waitpid(pid, &status, WNOHANG) == pid }
    return ((status >> 8) & 0xff, try String(contentsOfFile: output, encoding: .utf8))
  }

  /// Ends the relay by a signal and waits until it is gone.
  func kill(_ signal: Int32) {
    let pid = state.withLock { state in
      defer { state.pid = 0 }
      return state.pid
    }
    guard pid > 0 else { return }
    Glibc.kill(pid, signal)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }

  /// All that the relay has written anywhere: database, write-ahead log, shared memory, keys and log.
  func everything() throws -> [String: Data] {
    var files = [logPath: try Data(contentsOf: URL(fileURLWithPath: logPath))]
    for name in try FileManager.default.subpathsOfDirectory(atPath: dataPath) {
      let path = dataPath + "/" + name
      var isFolder: ObjCBool = false
      // A socket has no content of its own.
      let kind = try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue, kind == .typeRegular
      {
        files[path] = try Data(contentsOf: URL(fileURLWithPath: path))
      }
    }
    return files
  }
}

/// Starts processes with files as their outputs, in the plain POSIX way: no thread of ours watches them.
enum Spawned {
  struct Failed: Error { var code: Int32 }

  static func start(
    _ program: String, _ arguments: [String], input: Int32? = nil, output: String, errors: String
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    } else {
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, nil, words, environ)
    guard code == 0 else { throw Failed(code: code) }
    return pid
  }
}
