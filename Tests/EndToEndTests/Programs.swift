import Foundation
import Testing

/// The programs under test, as this build made them.
enum Programs {
  /// The folder of the build: the test bundle stands in it.
  static let folder: URL = {
    let arguments = ProcessInfo.processInfo.arguments
    let candidates = arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() } + [Bundle.main.bundleURL]
    let found = candidates.first { FileManager.default.isExecutableFile(atPath: $0.appending(path: "chat-cli").path) }
    return found ?? URL(fileURLWithPath: FileManager.default.currentDirectoryPath).appending(path: ".build/debug")
  }()

  static func url(_ name: String) -> URL { folder.appending(path: name) }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "kin-e2e-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path }
}

struct TimedOut: Error, CustomStringConvertible {
  var what: String
  var description: String { "timed out waiting for \(what)" }
}

/// Waits until `condition` holds, looking every 50 ms.
func wait(
  for what: String, seconds: Double = 60, _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw TimedOut(what: what) }
    try await Task.sleep(for: .milliseconds(50))
  }
}
