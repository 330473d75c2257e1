// The checks reach into E2ECrypto, which only a debug build lets them.
#if DEBUG
import Foundation
import MLSVectors
import Testing

/// The runner of vectors itself, on files that are damaged, renamed or none of its business.
@Suite final class VectorRunnerTests {
  private let folder: VectorFolder

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("vectors-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    folder = VectorFolder(url)
  }

  deinit { try? FileManager.default.removeItem(at: folder.url) }

  private func run(_ data: Data, as name: String) throws -> VectorReport {
    let file = folder.url.appendingPathComponent(name)
    try data.write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    #expect(folder.names == [name])
    return folder.run(name)
  }

  private func run(_ text: String, as name: String) throws -> VectorReport { try run(Data(text.utf8), as: name) }

  private static let good = #"{"vlbytes_header":"4040","length":64}"#

  @Test func kindsAreKnownByTheirFields() throws {
    for name in ["deserialization.json", "something.json", "treekem.json", "no-ending"] {
      let report = try run("[\(Self.good), \(Self.good)]", as: name)
      #expect(report.line == "\(name): 2 passed, 0 failed, 0 skipped" && report.kinds == ["deserialization"])
    }
  }

  @Test func whatIsNoVectorIsUnknown() throws {
    for (text, name) in [
      ("# Notes", "README.md"), (#"[{"a":1}]"#, "other.json"), ("[]", "nothing.json"), ("{}", "something.json"),
      ("7", "x"), ("not JSON at all", "welcome.md"),
    ] {
      let report = try run(text, as: name)
      #expect(report.isUnknown && report.line.hasPrefix("\(name): UNKNOWN: "))
    }
  }

  @Test func damageIsAFailureAndNamed() throws {
    for (text, name) in [
      ("[", "treekem.json"), ("", "whatever.json"), (#"[{"a":1}]"#, "tree-math.json"), ("[7]", "messages.json"),
      ("{", "b.json.gz"), (#"[{"vlbytes_header":"4040","length":64},{"b":1}]"#, "a.json"),
      (#"{"vlbytes_header":1,"length":64}"#, "a.json"), (#"{"vlbytes_header":"404","length":64}"#, "a.json"),
      (#"{"vlbytes_header":"40zz","length":64}"#, "a.json"), (#"{"vlbytes_header":"4040","length":"64"}"#, "a.json"),
      (#"{"vlbytes_header":"4040","length":null}"#, "a.json"),
      (#"{"vlbytes_header":"4040","length":1e30}"#, "a.json"),
      (#"{"cipher_suite":70000,"psks":[],"psk_secret":""}"#, "a.json"),
    ] {
      let report = try run(text, as: name)
      #expect(report.failed == 1 && !report.isUnknown, "\(text)")
      #expect(report.remarks.contains { $0.contains("FAILED: malformed: ") }, "\(report.remarks)")
    }
    // Out of all proportion, without going down.
    for leaves in ["-1", "0", "65537", "9223372036854775807"] {
      let report = try run(
        #"{"n_leaves":\#(leaves),"n_nodes":1,"root":0,"left":[],"right":[],"parent":[],"sibling":[]}"#, as: "a.json")
      #expect(report.failed == 1)
    }
  }

  @Test func wrongAnswersFail() throws {
    let report = try run(
      #"[\#(Self.good), {"vlbytes_header":"4040","length":65}, {"vlbytes_header":"4001","length":1}]"#, as: "x.json")
    #expect(report.line == "x.json: 1 passed, 2 failed, 0 skipped")
  }

  @Test func otherSuitesAreSkipped() throws {
    let unsupported = #"{"cipher_suite":61234,"psks":[],"psk_secret":""}"#
    let zeros = String(repeating: "00", count: 32)
    let supported = #"{"cipher_suite":3,"psks":[],"psk_secret":"\#(zeros)"}"#
    #expect(try run("[\(unsupported),\(supported)]", as: "psk.json").line == "psk.json: 1 passed, 0 failed, 1 skipped")
    try Data("[\(supported)]".utf8).write(to: folder.url.appendingPathComponent("psk.json"))
    var filtered = folder
    filtered.suite = 1
    #expect(filtered.run("psk.json").line == "psk.json: 0 passed, 0 failed, 1 skipped")
    filtered.suite = 3
    #expect(filtered.run("psk.json").passed == 1)
  }

  /// In each field of an official case one digit is changed: a field that nothing reads would be a hole in its check.
  @Test(arguments: VectorTests.official.filter { $0.hasSuites })
  func everyFieldIsRead(_ file: VectorTests.File) throws {
    guard let published = Published.folder else { return print("SKIPPED: no folder of test vectors. Set KIN_VECTORS.") }
    let data = try Data(contentsOf: published.url.appendingPathComponent(file.name))
    let all = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    let vector = try #require(all.first { $0["cipher_suite"] as? Int == 1 })
    var changed = 0
    for field in vector.keys.sorted() {
      // The last digit; or the first, where the end is none of the check's business (a package's own signature, or
      // what lies behind the sample of a ciphertext).
      let broken = [true, false].compactMap { last in
        Self.turned(vector[field] as Any, last: last).map { vector.merging([field: $0]) { $1 } }
      }
      guard !broken.isEmpty else { continue }
      let isNoticed = try broken.contains {
        try run(try JSONSerialization.data(withJSONObject: [$0]), as: "x.json").failed == 1
      }
      #expect(isNoticed, "\(file.name): nothing reads \(field)")
      changed += 1
    }
    #expect(changed > 0)
  }

  /// The first text within, one of its digits changed.
  private static func turned(_ value: Any, last: Bool) -> Any? {
    switch value {
    case let text as String where !text.isEmpty:
      var digits = Array(text)
      let place = last ? digits.count - 1 : 0
      digits[place] = digits[place] == "0" ? "1" : "0"
      return String(digits)
    case var list as [Any]:
      for place in list.indices {
        guard let turned = turned(list[place], last: last) else { continue }
        list[place] = turned
        return list
      }
      return nil
    case var object as [String: Any]:
      for key in object.keys.sorted() {
        guard let turned = turned(object[key] as Any, last: last) else { continue }
        object[key] = turned
        return object
      }
      return nil
    default: return nil
    }
  }
}
#endif
