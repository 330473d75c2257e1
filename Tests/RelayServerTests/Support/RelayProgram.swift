import Foundation
import Glibc
import Testing

@testable import RelayServer

/// The relay as a process of its own, for what one process with its clients could not show: its memory.
final class RelayProgram: Sendable {
  let fixture: RelayFixture
  let pid: pid_t

  static let path: String = {
    let arguments = ProcessInfo.processInfo.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    let folders = arguments + [Bundle.main.bundleURL, Peer.root.appending(path: ".build/debug")]
    let paths = folders.map { $0.appending(path: "relay-server").path }
    return paths.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "relay-server"
  }()

  /// Runs a body beside the process, which is gone afterwards.
  ///
  /// - Parameter before: what a shell does before it becomes the relay, such as to lower a limit.
  static func run(_ arguments: [String], before: String = ":", _ body: (RelayProgram) async throws -> Void) async throws
  {
    let folder = try RelayFixture.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let output = folder + "/output"
    try Data().write(to: URL(fileURLWithPath: output))
    let pid = try Peer.start(
      [
        "sh", "-c", "\(before); exec \"$@\"", "sh", path, "--listen", "127.0.0.1:0", "--data", folder + "/data",
        "--password-memory-kib", "8",
      ] + arguments,
      output: output, errors: folder + "/log")
    defer {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
    }
    var port: UInt16?
    let isListening = try await eventually {
      let text = try String(contentsOfFile: output, encoding: .utf8)
      port = text.split(separator: "\n").first { $0.hasPrefix("listening on ") }?
        .split(separator: ":").last.flatMap { UInt16($0) }
      return port != nil
    }
    try #require(isListening)
    try await body(RelayProgram(fixture: RelayFixture(port: try #require(port), folder: folder), pid: pid))
  }

  private init(fixture: RelayFixture, pid: pid_t) { (self.fixture, self.pid) = (fixture, pid) }

  /// What it has logged so far.
  func log() throws -> String { try String(contentsOfFile: fixture.folder + "/log", encoding: .utf8) }

  /// Its memory in RAM, in MiB.
  var residentMiB: Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map {
      $0 >> 10
    }
      ?? 0
  }
}
