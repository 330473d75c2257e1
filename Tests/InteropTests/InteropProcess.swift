import Foundation
import Glibc
import Testing

@testable import mls_interop

/// A client in a process of its own, spoken to over a pair of sockets as its standard input and output.
final class InteropProcess {
  /// What the program says when it refuses a call.
  struct Refusal: Error, CustomStringConvertible {
    let code: String
    let message: String
    let rule: String?
    var description: String { "\(code): \(message)\(rule.map { " [\($0)]" } ?? "")" }
  }

  private let pid: pid_t
  private let socket: Int32
  private var unread: [UInt8] = []
  private var lastID: UInt64 = 0

  init(_ arguments: [String] = []) throws {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Broken(what: "no sockets")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    let program = Self.folder.appending(path: "mls-interop").path
    let words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, nil, words, environ)
    close(ends[1])
    self.pid = pid
    socket = ends[0]
    guard code == 0 else { throw Broken(what: "\(program) does not start: \(code)") }
  }

  deinit {
    close(socket)
    // It ends with its input; should it hang, it must not hang the tests.
    if pid > 0 {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
  }

  /// The folder of the build: the test bundle stands in it.
  private static let folder: URL = {
    let arguments = ProcessInfo.processInfo.arguments
    let candidates = arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() } + [Bundle.main.bundleURL]
    let found = candidates.first {
      FileManager.default.isExecutableFile(atPath: $0.appending(path: "mls-interop").path)
    }
    return found ?? URL(fileURLWithPath: FileManager.default.currentDirectoryPath).appending(path: ".build/debug")
  }()

  struct Broken: Error { var what: String }

  /// Calls a method.
  /// - Throws: what the program refuses it with.
  func call(_ method: String, _ params: [String: JSON] = [:]) throws -> [String: JSON] {
    lastID += 1
    let request: [String: JSON] = ["id": .number(lastID), "method": .text(method), "params": .object(params)]
    let answer = try exchange([UInt8](JSONEncoder().encode(request)))
    guard answer["id"] == .number(lastID) else { throw Broken(what: "the answer is to another call") }
    switch (answer["result"], answer["error"]) {
    case (.object(let result)?, nil): return result
    case (nil, .object(let error)?): throw Refusal(error)
    default: throw Broken(what: "neither a result nor an error")
    }
  }

  /// Sends a line and reads one.
  func exchange(_ line: [UInt8]) throws -> [String: JSON] {
    var rest = (line + [UInt8(ascii: "\n")])[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Broken(what: "the program is gone") }
      rest = rest.dropFirst(count)
    }
    let decoded = try JSONDecoder().decode(JSON.self, from: Data(try nextLine()))
    guard case .object(let answer) = decoded else { throw Broken(what: "the answer is no object") }
    return answer
  }

  private func nextLine() throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        defer { unread.removeSubrange(...end) }
        return Array(unread[..<end])
      }
      var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 120_000) > 0 else { throw Broken(what: "no answer within two minutes") }
      let count = recv(socket, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Broken(what: "the program is gone") }
      unread += buffer[..<count]
    }
  }
}

extension InteropProcess.Refusal {
  init(_ error: [String: JSON]) {
    func text(_ name: String) -> String? {
      if case .text(let text)? = error[name] { text } else { nil }
    }
    self.init(code: text("code") ?? "", message: text("message") ?? "", rule: text("rule"))
  }
}

extension [String: JSON] {
  /// A field of bytes of an answer.
  func bytes(_ name: String) throws -> [UInt8] {
    guard case .text(let text)? = self[name], let data = Data(base64Encoded: text) else {
      throw InteropProcess.Broken(what: "the answer has no bytes \(name)")
    }
    return [UInt8](data)
  }

  func number(_ name: String) throws -> UInt64 {
    guard case .number(let number)? = self[name] else {
      throw InteropProcess.Broken(what: "the answer has no number \(name)")
    }
    return number
  }
}
