import CryptoPrimitives
import Foundation
import Testing

@testable import E2ECrypto

/// A published vector file. A file that is missing where the folder exists fails; without the folder the test says so.
enum VectorFile {
  struct Missing: Error {}

  static var folder: URL? {
    if let named = ProcessInfo.processInfo.environment["KIN_VECTORS"] { return URL(fileURLWithPath: named) }
    // The package's root, and above it where clones of it may stand side by side.
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    for _ in 0..<3 {
      root.deleteLastPathComponent()
      let candidate = root.appendingPathComponent("shared/vectors")
      if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
    }
    return nil
  }

  /// Runs `body` on each vector for the suites that Kin has, or on all of a file without suites.
  static func each(_ name: String, bySuite: Bool = true, _ body: (JSON) throws -> Void) throws {
    guard let folder else {
      print("SKIPPED: no vectors folder, \(name) did not run")
      return
    }
    let data = try Data(contentsOf: folder.appendingPathComponent("\(name).json"))
    let all = try #require(JSONSerialization.jsonObject(with: data) as? [Any]).map(JSON.init)
    let ours = bySuite ? all.filter { [1, 3].contains($0["cipher_suite"].int) } : all
    for (place, vector) in ours.enumerated() {
      do { try body(vector) } catch { Issue.record("\(name)[\(place)]: \(error)") }
    }
    print("vectors: \(name): ran \(ours.count) of \(all.count)\(bySuite ? ", the suites 0x0001 and 0x0003" : "")")
    #expect(!ours.isEmpty, "no vector of \(name) ran")
  }
}

/// A value of a vector file. Absent or mistyped values read as empty, so that the comparison with them fails.
struct JSON {
  let value: Any

  init(_ value: Any) { self.value = value }

  subscript(key: String) -> JSON { JSON((value as? [String: Any])?[key] ?? NSNull()) }
  subscript(index: Int) -> JSON { list[index] }

  var int: Int { (value as? NSNumber)?.intValue ?? -1 }
  var uint64: UInt64 { (value as? NSNumber)?.uint64Value ?? 0 }
  var string: String { value as? String ?? "" }
  var list: [JSON] { (value as? [Any] ?? []).map(JSON.init) }
  var isNull: Bool { value is NSNull }
  var hex: [UInt8] { [UInt8](hex: string) }
  var secret: Secret { Secret(copying: hex) }

  func suite() throws -> Suite { try CipherSuite.algorithms(of: UInt16(self["cipher_suite"].int)) }
}

extension [UInt8] {
  init(hex: String) {
    let digits = Array<UInt8>(hex.utf8).map { $0 < 58 ? $0 - 48 : ($0 | 32) - 87 }
    self = stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension Secret {
  var exposed: [UInt8] { withBytes { Array($0) } }
}

func expectEqual(_ found: Secret, _ expected: [UInt8], _ what: Comment, _ place: SourceLocation = #_sourceLocation) {
  #expect(found.exposed == expected, what, sourceLocation: place)
}
