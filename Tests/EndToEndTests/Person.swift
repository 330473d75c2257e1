import Foundation
import Glibc
import Synchronization

/// Somebody who uses chat-cli on a data folder of their own.
final class Person: Sendable {
  struct Result: Sendable {
    var exit: Int32
    var output: String
    var errors: String
    /// The objects of `--json`, one a line.
    var objects: [[String: Any]] { get throws { try Person.objects(output) } }
  }

  let name: String
  let folder: TemporaryFolder
  let password: String
  /// Kept alive as long as somebody uses it.
  private let server: any AnyObject & Sendable
  private let count = Atomic<Int>(0)

  /// Somebody who has no account yet.
  ///
  /// - Parameter server: what is to live as long as this person.
  init(unregistered name: String, keeping server: any AnyObject & Sendable) throws {
    (self.name, self.server) = (name, server)
    folder = try TemporaryFolder()
    password = "secret of \(name) \(UUID().uuidString)"
  }

  convenience init(_ name: String, at relay: RelayProcess, invite: String? = nil) async throws {
    try await self.init(name, at: relay.url, invite: invite, keeping: relay)
  }

  convenience init(
    _ name: String, at url: String, _ options: String..., invite: String? = nil,
    keeping server: any AnyObject & Sendable
  ) async throws {
    try self.init(unregistered: name, keeping: server)
    let file = folder.path("password")
    try password.write(toFile: file, atomically: true, encoding: .utf8)
    var words = ["register", name, "--relay", url, "--key-file", folder.path("key"), "--password-file", file]
    if let invite {
      try invite.write(toFile: folder.path("invite"), atomically: true, encoding: .utf8)
      words += ["--invite-token-file", folder.path("invite")]
    }
    let result = try await start(words + options).result()
    guard result.exit == 0 else { throw TimedOut(what: "\(name) to register: \(result.errors)") }
  }

  /// Runs a command to its end.
  @discardableResult
  func run(_ arguments: String..., input: String? = nil, data: String? = nil) async throws -> Result {
    try await start(arguments, input: input, data: data).result()
  }

  /// Runs a command that must succeed.
  @discardableResult
  func must(_ arguments: String..., input: String? = nil) async throws -> Result {
    let result = try await start(arguments, input: input).result()
    guard result.exit == 0 else { throw TimedOut(what: "\(name) \(arguments): \(result.exit) \(result.errors)") }
    return result
  }

  /// Starts a command, on another data folder if one is given.
  func start(_ arguments: [String], input: String? = nil, data: String? = nil) throws -> Running {
    let number = count.add(1, ordering: .relaxed).newValue
    let output = folder.path("out.\(number)")
    let errors = folder.path("err.\(number)")
    var pipe: [Int32] = [-1, -1]
    // Close-on-exec, so that no other child holds the writing end open.
    guard Glibc.pipe(&pipe) == 0 else { throw Spawned.Failed(code: errno) }
    for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    let pid = try Spawned.start(
      Programs.url("chat-cli").path, arguments + ["--data", data ?? folder.path("data")], input: pipe[0],
      output: output,
      errors: errors)
    close(pipe[0])
    let running = Running(pid: pid, input: pipe[1], output: output, errors: errors)
    if let input { running.write(input) }
    if arguments.first != "chat" && !arguments.contains("--lines") { running.closeInput() }
    return running
  }

  /// The texts of the room's whole history, in order, as this person has them.
  func history(_ room: String) async throws -> [(sequence: Int, sender: String, text: String)] {
    let objects = try await must("history", room, "--json", "--limit", "100000").objects
    return objects.map { object in
      let sender = (object["sender"] as? [String: Any])?["username"] as? String
      return (object["sequence"] as? Int ?? -1, sender ?? "", object["text"] as? String ?? "")
    }
  }

  static func objects(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").compactMap {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
  }
}

/// A process of chat-cli.
final class Running: Sendable {
  let pid: pid_t
  let output: String
  let errors: String
  private let input: Mutex<Int32>
  private let ended = Mutex<Int32?>(nil)

  init(pid: pid_t, input: Int32, output: String, errors: String) {
    (self.pid, self.output, self.errors) = (pid, output, errors)
    self.input = Mutex(input)
  }

  deinit {
    closeInput()
    _ = poll(killing: true)
  }

  func write(_ text: String) {
    input.withLock { descriptor in
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty && descriptor >= 0 {
        let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written > 0 else { return }
        rest = rest.dropFirst(written)
      }
    }
  }

  func closeInput() {
    input.withLock { descriptor in
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
    }
  }

  func kill(_ signal: Int32 = SIGKILL) {
    ended.withLock { if $0 == nil { _ = Glibc.kill(pid, signal) } }
  }

  var text: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }

  func result() async throws -> Person.Result {
    try await wait(for: "chat-cli to end", seconds: 180) { poll(killing: false) != nil }
    let errors = (try? String(contentsOfFile: self.errors, encoding: .utf8)) ?? ""
    return Person.Result(exit: poll(killing: false) ?? -1, output: text, errors: errors)
  }

  /// The exit code, or `nil` while it runs; of a signal, 128 and its number.
  private func poll(killing: Bool) -> Int32? {
    ended.withLock { ended in
      if let ended { return ended }
      var status: Int32 = 0
      if killing { _ = Glibc.kill(pid, SIGKILL) }
      guard waitpid(pid, &status, killing ? 0 : WNOHANG) == pid else { return nil }
      ended = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
      return ended
    }
  }
}
