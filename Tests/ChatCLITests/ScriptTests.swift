import Foundation
import Testing

/// Runs the scripts of `Scripts/`: a line `$ command`, the lines that it prints, and `= N` for its exit code.
@Suite struct ScriptTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Scripts")

  static var scripts: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".txt") }.sorted()
  }

  private static var program: String {
    let folders = ProcessInfo.processInfo.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    let built = folders.map { $0.appending(path: "chat-cli").path }
    return built.first { FileManager.default.isExecutableFile(atPath: $0) } ?? ".build/debug/chat-cli"
  }

  @Test(arguments: scripts) func script(_ name: String) throws {
    let data = FileManager.default.temporaryDirectory.appending(path: "kin-script-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: data) }
    var command: String?
    var expected: [String] = []
    var steps = 0
    for line in try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8).components(separatedBy: "\n")
    {
      if line.hasPrefix("$ ") {
        command = String(line.dropFirst(2))
        expected = []
      } else if line.hasPrefix("= "), let text = command {
        let result = try run(text, in: data)
        #expect(result.output == expected, "\(name): \(text)")
        #expect("\(result.exit)" == line.dropFirst(2), "\(name): \(text)")
        command = nil
        steps += 1
      } else if command != nil {
        expected.append(line)
      }
    }
    #expect(steps > 0 && command == nil, "\(name) has a command without an exit code")
  }

  /// Both streams together, as a person sees them.
  private func run(_ command: String, in folder: URL) throws -> (output: [String], exit: Int32) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    process.currentDirectoryURL = folder
    var environment = ["PATH": "/usr/bin:/bin", "HOME": folder.path, "TZ": "UTC"]
    environment["PATH"] = URL(fileURLWithPath: Self.program).deletingLastPathComponent().path + ":/usr/bin:/bin"
    process.environment = environment
    let pipe = Pipe()
    (process.standardOutput, process.standardError, process.standardInput) = (pipe, pipe, FileHandle.nullDevice)
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    var lines = String(decoding: data, as: UTF8.self).components(separatedBy: "\n")
    if lines.last == "" { lines.removeLast() }
    return (lines, process.terminationStatus)
  }
}
