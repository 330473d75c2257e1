import Foundation
import Testing

/// The folder of official test vectors: `$KIN_VECTORS`, or `../shared/vectors` beside the checkout.
enum VectorFolder {
  static let url: URL? = {
    if let path = ProcessInfo.processInfo.environment["KIN_VECTORS"] { return URL(fileURLWithPath: path) }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.deletingLastPathComponent().appendingPathComponent("shared/vectors")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  /// Where the folder exists, every file in it must too: a missing one fails the test. Elsewhere the skip is loud.
  static func data(_ name: String) throws -> Data? {
    guard let url else {
      print("SKIPPED: no folder of test vectors; \(name) was not run. Set KIN_VECTORS.")
      return nil
    }
    return try Data(contentsOf: url.appendingPathComponent(name))
  }
}

func bytes(hex: String) -> [UInt8] {
  let digits = Array(hex.utf8).map { Int(String(UnicodeScalar($0)), radix: 16) ?? 0 }
  return (0..<digits.count / 2).map { UInt8(digits[2 * $0] * 16 + digits[2 * $0 + 1]) }
}
