import Foundation
import Testing

/// The folder of official test vectors: `$KIN_VECTORS`, or `../shared/vectors` beside the checkout.
enum Vectors {
  private static let folder: URL? = {
    if let path = ProcessInfo.processInfo.environment["KIN_VECTORS"] { return URL(fileURLWithPath: path) }
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.deletingLastPathComponent().appendingPathComponent("shared/vectors")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  /// The values in a file, unpacked if its name ends in `.gz`.
  ///
  /// Where the folder exists, every file must too: a missing one fails the test. Elsewhere the skip is loud.
  static func load<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value? {
    guard let folder else {
      print("SKIPPED: no folder of test vectors; \(name) was not run. Set KIN_VECTORS.")
      return nil
    }
    let file = folder.appendingPathComponent(name)
    return try JSONDecoder().decode(type, from: name.hasSuffix(".gz") ? unpacked(file) : Data(contentsOf: file))
  }

  private static func unpacked(_ file: URL) throws -> Data {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/gzip")
    process.arguments = ["-dc", file.path]
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "gzip could not unpack \(file.lastPathComponent)")
    return data
  }
}

/// Bytes written as hexadecimal digits. Decodable, so that a vector's fields read as bytes.
struct Hex: Decodable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
  let bytes: [UInt8]

  init(stringLiteral text: String) { bytes = Self.parse(text) }

  init(from decoder: any Decoder) throws {
    bytes = Self.parse(try decoder.singleValueContainer().decode(String.self))
  }

  private static func parse(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.map { $0.hexDigitValue ?? -1 }
    precondition(digits.count.isMultiple(of: 2) && !digits.contains(-1), "not hexadecimal: \(text)")
    return (0..<digits.count / 2).map { UInt8(digits[2 * $0] * 16 + digits[2 * $0 + 1]) }
  }
}

func hex(_ value: Hex) -> [UInt8] { value.bytes }
