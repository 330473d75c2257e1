import Foundation
import Glibc

/// A program that somebody else wrote, or our own, run to its end beside the test.
enum Peer {
  struct Result: Sendable {
    var exit: Int32
    var output: String
  }

  /// The repository.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
  /// Python with what Scripts/test-python.txt lists; `./dev test` installs it.
  static let python = root.appending(path: ".build/test-python/bin/python").path

  /// - Returns: the exit code (128 and the number of a signal) and what it wrote to both outputs.
  static func run(
    _ words: [String], input: String = "", environment: [String: String] = [:], seconds: Double = 120
  ) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kin-peer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (given, written) = (folder.appending(path: "in"), folder.appending(path: "out"))
    try Data(input.utf8).write(to: given)
    try Data().write(to: written)
    // Some leave things where they run.
    let pid = try start(
      ["env", "-C", folder.path] + words, input: given.path, output: written.path, environment: environment)
    let deadline = ContinuousClock.now + .seconds(seconds)
    var status: Int32 = 0
    while waitpid(pid, &status, WNOHANG) == 0 {
      if ContinuousClock.now > deadline { kill(pid, SIGKILL) }
      try? await Task.sleep(for: .milliseconds(20))
    }
    let text = String(decoding: try Data(contentsOf: written), as: UTF8.self)
    return Result(exit: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f), output: text)
  }

  /// Starts a program with files as its inputs and outputs; the caller waits for it.
  static func start(
    _ words: [String], input: String = "/dev/null", output: String, errors: String? = nil,
    environment: [String: String] = [:]
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    if let errors {
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    } else {
      posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    }
    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, mine in mine }
    var arguments = words.map { strdup($0) } + [nil]
    var pairs = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { (arguments + pairs).forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, words[0], &actions, nil, &arguments, &pairs)
    guard code == 0 else { throw Refusal(code: "cannot start \(words[0]): \(code)") }
    return pid
  }
}
