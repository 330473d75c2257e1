import Foundation
import Testing

@testable import E2ECrypto

/// docs/validation.md against the code: nothing in it is dead, and nothing is missing from it.
@Suite struct RuleTableTests {
  private static var root: URL {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return root
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
  }

  private func swiftFiles(under folder: String) throws -> [String] {
    let all = FileManager.default.enumerator(atPath: Self.root.appendingPathComponent(folder).path)
    return try #require(all).compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
  }

  /// What a row says: of a rule, of a code of its own, or of a duty, which has no name.
  private struct Row {
    let number: String
    let name: String?
    let files: [String]
    let tests: [String]

    init?(_ line: Substring) throws {
      guard line.hasPrefix("| ") else { return nil }
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      func quoted(_ cell: String) -> [String] { cell.matches(of: /`([^`]+)`/).map { String($0.output.1) } }
      guard let number = cells.first, number.firstMatch(of: /^E?\d+(\.\d+)*-\d+$/) != nil else { return nil }
      self.number = number
      #expect((4...5).contains(cells.count), "\(line)")
      guard (4...5).contains(cells.count) else { return nil }
      let isDuty = cells.count == 4
      name = isDuty ? nil : quoted(cells[1]).first
      #expect(isDuty || name != nil, "\(number) has no name")
      files = quoted(cells[cells.count - 2])
      tests = quoted(cells[cells.count - 1])
      #expect(!files.isEmpty && !tests.isEmpty, "\(number) has no file or no test")
    }
  }

  private func rows() throws -> [Row] {
    try text("docs/validation.md").split(separator: "\n").compactMap(Row.init)
  }

  /// The sources by the name of their file.
  private func sources() throws -> [String: String] {
    var sources: [String: String] = [:]
    for path in try swiftFiles(under: "Sources/E2ECrypto") + swiftFiles(under: "Sources/WireCodec") {
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      #expect(sources[name] == nil, "two files are called \(name)")
      sources[name] = try text(path)
    }
    return sources
  }

  /// The bodies of the tests, each by suite and name.
  private func tests() throws -> [String: String] {
    var tests: [String: String] = [:]
    for file in try swiftFiles(under: "Tests/E2ECryptoTests") + swiftFiles(under: "Tests/WireCodecTests") {
      for suite in try text(file).components(separatedBy: "@Suite").dropFirst() {
        guard let suiteName = suite.firstMatch(of: /(?:struct|class) (\w+)/)?.output.1 else { continue }
        for part in suite.components(separatedBy: "@Test").dropFirst() {
          guard let name = part.firstMatch(of: /func (\w+)/)?.output.1 else { continue }
          // What follows a test and is no test belongs to several of them.
          tests["\(suiteName)/\(name)"] = part.components(separatedBy: "\n  private ").first ?? ""
        }
      }
    }
    return tests
  }

  private func mentions(_ text: String, _ name: String) throws -> Bool {
    try text.firstMatch(of: Regex(#"\.\#(name)(?!\w)"#)) != nil
  }

  /// Whether a source refuses something for a rule, and does not just have a property of that name.
  private func refuses(_ text: String, _ name: String) throws -> Bool {
    try text.firstMatch(of: Regex(#"Rule\.\#(name)(?!\w)|rejected\([^)]*\.\#(name)(?!\w)"#)) != nil
  }

  @Test func tableIsTrue() throws {
    let declaration = try Regex(
      #"public static let (\w+) = Rule\("([^"]+)"\)"#, as: (Substring, Substring, Substring).self)
    let rules = try text("Sources/E2ECrypto/Rule.swift").matches(of: declaration).map {
      (name: String($0.output.1), number: String($0.output.2))
    }
    #expect(rules.count > 60)
    #expect(Set(rules.map(\.name)).count == rules.count, "a rule is declared twice")
    let codes = try ["Sources/E2ECrypto/MLSError.swift", "Sources/WireCodec/WireError.swift"].flatMap { path in
      try text(path).matches(of: /public static let (\w+) = Code\(/).map { String($0.output.1) }
    }
    #expect(codes.count > 20)

    let rows = try rows()
    let (sources, tests) = (try sources(), try tests())
    #expect(Set(rows.map(\.number)).count == rows.count, "a number stands for two things")
    let listed = Dictionary(rows.map { ($0.name ?? $0.number, $0) }) { first, _ in first }
    for rule in rules {
      let row = listed[rule.name]
      #expect(row?.number == rule.number, "\(rule.name) is not in the table as \(rule.number)")
      // Every file in which the rule is checked, and no other.
      let files = try sources.filter { try $0.key != "Rule.swift" && refuses($0.value, rule.name) }.keys
      #expect(Set(files) == Set(row?.files ?? []), "the files of \(rule.number)")
    }
    for row in rows {
      let isRule = rules.contains { $0.name == row.name }
      #expect(row.name == nil || isRule || codes.contains(row.name ?? ""), "\(row.number) names nothing in the code")
      for file in row.files {
        let source = try #require(sources[file], "\(row.number): there is no \(file)")
        if let name = row.name { #expect(try mentions(source, name), "\(file) does not check \(row.number)") }
      }
      for test in row.tests {
        let body = try #require(tests[test], "\(row.number): there is no test \(test)")
        if let name = row.name { #expect(try mentions(body, name), "\(test) does not break \(row.number)") }
      }
    }
    print("validation: \(rules.count) rules, \(rows.count - rules.count) codes and duties")
  }
}
