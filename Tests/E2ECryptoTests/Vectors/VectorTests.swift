// The checks reach into E2ECrypto, which only a debug build lets them.
#if DEBUG
import CryptoPrimitives
import Foundation
import MLSVectors
import Testing

/// Where published vectors are.
enum Published {
  static let folder: VectorFolder? = {
    if let named = ProcessInfo.processInfo.environment["KIN_VECTORS"] {
      return VectorFolder(URL(fileURLWithPath: named))
    }
    // The package's root, and above it where clones of it may stand side by side.
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    for _ in 0..<3 {
      root.deleteLastPathComponent()
      let candidate = root.appendingPathComponent("shared/vectors")
      if FileManager.default.fileExists(atPath: candidate.path) { return VectorFolder(candidate) }
    }
    return nil
  }()
}

/// The official vectors of all kinds; each kind's check is in MLSVectors.
@Suite struct VectorTests {
  struct File: Sendable, CustomTestStringConvertible {
    let name: String
    let kind: String
    /// Whether the cases are of cipher suites.
    let hasSuites: Bool

    init(_ name: String, _ kind: String, hasSuites: Bool = true) {
      self.name = name
      self.kind = kind
      self.hasSuites = hasSuites
    }

    var testDescription: String { name }
  }

  static let official = [
    File("crypto-basics.json", "crypto-basics"), File("deserialization.json", "deserialization", hasSuites: false),
    File("key-schedule.json", "key-schedule"), File("message-protection.json", "message-protection"),
    File("messages.json", "messages", hasSuites: false),
    File("passive-client-handling-commit.json", "passive-client"),
    File("passive-client-welcome.json", "passive-client"), File("psk_secret.json", "psk_secret"),
    File("secret-tree.json", "secret-tree"), File("transcript-hashes.json", "transcript-hashes"),
    File("tree-math.json", "tree-math", hasSuites: false), File("tree-operations.json", "tree-operations"),
    File("tree-validation.json", "tree-validation"), File("treekem.json", "treekem"), File("welcome.json", "welcome"),
    File("hpke-rfc9180.json", "hpke", hasSuites: false),
    File("extra/wycheproof-x25519.json.gz", "x25519", hasSuites: false),
    File("extra/wycheproof-ed25519.json.gz", "ed25519", hasSuites: false),
  ]

  /// A file that is missing where the folder exists fails; without the folder the test says so.
  @Test(arguments: official)
  func officialVectorsPass(_ file: File) throws {
    guard let folder = Published.folder else {
      print("SKIPPED: no folder of test vectors, \(file.name) did not run. Set KIN_VECTORS.")
      return
    }
    let report = folder.run(file.name)
    print("vectors: \(report.line)")
    #expect(report.failed == 0, "\(report.remarks.joined(separator: "\n"))")
    #expect(report.passed > 0 && report.kinds == [file.kind])
    if file.hasSuites {
      let skipped = report.remarks.filter { !$0.contains("is not supported") }
      #expect(skipped.isEmpty, "a case of a supported suite was skipped")
    } else if file.kind != "hpke" {
      #expect(report.skipped == 0)
    }
  }

  @Test func everySupportedSuiteHasVectors() throws {
    guard let folder = Published.folder else { return print("SKIPPED: no folder of test vectors. Set KIN_VECTORS.") }
    for suite in CipherSuite.supported {
      var filtered = folder
      filtered.suite = Int(suite.rawValue)
      for name in ["crypto-basics.json", "transcript-hashes.json", "welcome.json"] {
        let report = filtered.run(name)
        #expect(report.passed > 0 && report.failed == 0, "\(name) of suite \(suite.rawValue)")
        #expect(report.skipped == report.verdicts.count - report.passed)
      }
    }
  }
}
#endif
