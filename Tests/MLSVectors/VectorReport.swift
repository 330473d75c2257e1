#if DEBUG
public import Foundation

/// What came of one file.
public struct VectorReport: Sendable {
  /// The file's name, with the folders below the one that was asked for.
  public let name: String
  /// The kinds of the cases; empty if the file is of none that is known.
  public let kinds: Set<String>
  /// One for each case, in their order.
  public let verdicts: [Verdict]

  public var passed: Int { verdicts.count { $0 == .passed } }
  public var failed: Int { verdicts.count { if case .failed = $0 { true } else { false } } }
  public var skipped: Int { verdicts.count { if case .skipped = $0 { true } else { false } } }
  public var isUnknown: Bool { kinds.isEmpty && failed == 0 }

  /// The line that stands for the file.
  public var line: String {
    isUnknown
      ? "\(name): UNKNOWN: neither its name nor its fields are those of a kind of test vector; nothing ran"
      : "\(name): \(passed) passed, \(failed) failed, \(skipped) skipped"
  }

  /// Each failure, and each reason for skipping with how often it was met.
  public var remarks: [String] {
    var remarks: [String] = []
    var reasons: [String: Int] = [:]
    for (place, verdict) in verdicts.enumerated() {
      switch verdict {
      case .passed: break
      case .failed(let what): remarks.append("\(name)[\(place)] FAILED: \(what)")
      case .skipped(let why): reasons[why, default: 0] += 1
      }
    }
    return remarks + reasons.keys.sorted().map { "\(name): \(reasons[$0] ?? 0) skipped: \($0)" }
  }
}

/// The files of test vectors below a folder.
public struct VectorFolder: Sendable {
  public let url: URL
  /// If given, cases of other cipher suites are skipped.
  public var suite: Int?

  public init(_ url: URL, suite: Int? = nil) {
    self.url = url
    self.suite = suite
  }

  /// All files, hidden ones apart, in the order of their names.
  public var names: [String] {
    let all = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
    return all.filter { name in
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(
        atPath: url.appendingPathComponent(name).path, isDirectory: &isFolder)
      return exists && !isFolder.boolValue && !name.split(separator: "/").contains { $0.hasPrefix(".") }
    }.sorted()
  }

  /// Runs all cases of a file. Never throws: what cannot be read has failed, unless nothing says that it is a vector.
  public func run(_ name: String) -> VectorReport {
    do {
      return run(name, cases: try Self.cases(in: read(name)))
    } catch {
      let claims = name.hasSuffix(".json") || name.hasSuffix(".json.gz")
      return VectorReport(name: name, kinds: [], verdicts: claims ? [verdict { throw error }] : [])
    }
  }

  private func run(_ name: String, cases: [JSON]) -> VectorReport {
    let expected = VectorKind.named(name)
    let found = cases.map(VectorKind.of)
    guard expected != nil || found.contains(where: { $0 != nil }) else {
      return VectorReport(name: name, kinds: [], verdicts: [])
    }
    var kinds = Set(found.compactMap { $0?.name })
    if kinds.isEmpty, let expected { kinds = [expected.name] }
    let verdicts = zip(cases, found).map { vector, kind in
      verdict {
        guard let kind else {
          let lacking = expected.map { $0.fields.subtracting(vector.fields).sorted().joined(separator: ", ") }
          throw Finding.failed("malformed: " + (lacking.map { "it lacks \($0)" } ?? "it is of no known kind"))
        }
        if let suite, let number = vector.optional("cipher_suite"), try number.int != suite {
          throw Finding.skipped("of another cipher suite than \(suite)")
        }
        try kind.check(vector)
      }
    }
    return VectorReport(name: name, kinds: kinds, verdicts: verdicts)
  }

  // MARK: Reading

  private func read(_ name: String) throws -> Any {
    let file = url.appendingPathComponent(name)
    guard let data = try? name.hasSuffix(".gz") ? unpacked(file) : Data(contentsOf: file) else {
      throw Finding.failed("malformed: the file cannot be read")
    }
    guard let value = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) else {
      throw Finding.failed("malformed: the file is not JSON")
    }
    return value
  }

  private func unpacked(_ file: URL) throws -> Data {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "-dc", file.path]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try require(process.terminationStatus == 0, "malformed: the file cannot be unpacked")
    return data
  }

  /// A list of cases, or Wycheproof's groups of tests, of which each then has its group as a field.
  private static func cases(in value: Any) throws -> [JSON] {
    if let list = value as? [Any] { return list.map { JSON($0) } }
    guard let groups = (value as? [String: Any])?["testGroups"] as? [[String: Any]] else { return [JSON(value)] }
    return groups.flatMap { group in
      var alone = group
      let tests = alone.removeValue(forKey: "tests") as? [Any] ?? []
      return tests.map { test in
        guard var fields = test as? [String: Any] else { return JSON(test) }
        fields["group"] = alone
        return JSON(fields)
      }
    }
  }
}
#endif
