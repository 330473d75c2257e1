import Foundation
import Testing

/// Clients and servers that others wrote, which `./dev test` installs. One that is missing fails the test that needs it.
enum Peer {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Peers")
  private static let python = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "../../.build/test-python/bin/python").standardized.path

  static func words(_ script: String, _ arguments: [String]) -> [String] {
    let path = folder.appending(path: script).path
    // Debian's packages for node stand where only Debian's own node looks by itself.
    let program =
      script.hasSuffix(".js") ? ["NODE_PATH=/usr/share/nodejs", "node"] : ["PYTHONDONTWRITEBYTECODE=1", python]
    return ["env"] + program + [path] + arguments
  }

  /// Runs a client against a port of ours until it has said that all is well.
  static func run(_ script: String, _ port: UInt16) async throws {
    let result = try await detached {
      try NetworkingTests.run(["timeout", "-s", "KILL", "100"] + words(script, ["\(port)"]))
    }
    #expect(result.status == 0 && result.output.hasSuffix("all well\n"), "\(script): \(result.output)")
  }
}

/// A server that somebody else wrote, in a process that ends with this object.
final class PeerServer: Sendable {
  private let process = Process()
  let ports: [UInt16]
  var port: UInt16 { ports[0] }

  init(_ script: String, _ arguments: String...) async throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    // What `env` runs takes its place, so that the process is the server's.
    process.arguments = Array(Peer.words(script, arguments).dropFirst())
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let handle = output.fileHandleForReading
    let line = try await detached { () throws -> String in
      var text = ""
      while !text.hasSuffix("\n"), let more = try handle.read(upToCount: 1), !more.isEmpty {
        text += String(decoding: more, as: UTF8.self)
      }
      return text
    }
    ports = line.split { $0 == " " || $0 == "\n" }.compactMap { UInt16($0) }
    try #require(!ports.isEmpty, "\(script) did not start: is it installed? ./dev test does that")
  }

  deinit {
    // Not SIGTERM: whoever was started from a thread that blocks it would not hear it.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
