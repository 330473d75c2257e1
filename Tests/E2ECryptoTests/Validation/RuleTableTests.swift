import Foundation
import Testing

@testable import E2ECrypto

/// docs/validation.md against the code: rules, files and tests that it names are there.
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

  @Test func tableIsTrue() throws {
    let declaration = try Regex(
      #"public static let (\w+) = Rule\("([^"]+)"\)"#, as: (Substring, Substring, Substring).self)
    let rules = try text("Sources/E2ECrypto/Rule.swift").matches(of: declaration).map {
      (name: String($0.output.1), number: String($0.output.2))
    }
    #expect(rules.count > 50)
    #expect(Set(rules.map(\.number)).count == rules.count, "a number stands for two rules")

    var rows: [String: [String]] = [:]
    for line in try text("docs/validation.md").split(separator: "\n") where line.hasPrefix("| ") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      if cells.count == 5, cells[0] != "Rule" { rows[cells[0]] = cells }
    }
    #expect(Set(rows.keys) == Set(rules.map(\.number)))

    var tests: [String: String] = [:]
    for file in try swiftFiles(under: "Tests/E2ECryptoTests") {
      let content = try text(file)
      let suite = file.split(separator: "/").last?.replacingOccurrences(of: ".swift", with: "") ?? ""
      for part in content.components(separatedBy: "@Test").dropFirst() {
        guard let name = part.firstMatch(of: /func (\w+)/)?.output.1 else { continue }
        // What follows a test and is no test belongs to several of them.
        tests["\(suite)/\(name)"] = part.components(separatedBy: "\n  private ").first ?? ""
      }
    }
    var sources: [String: String] = [:]
    for path in try swiftFiles(under: "Sources/E2ECrypto") {
      sources[path.split(separator: "/").last.map(String.init) ?? ""] = try text(path)
    }
    for rule in rules {
      guard let row = rows[rule.number] else { continue }
      #expect(row[1] == "`\(rule.name)`")
      for file in row[3].matches(of: /`([^`]+)`/).map({ String($0.output.1) }) {
        #expect(
          try #require(sources[file]).contains(".\(rule.name)"), "\(file) does not check \(rule.number)")
      }
      for test in row[4].matches(of: /`([^`]+)`/).map({ String($0.output.1) }) {
        #expect(tests[test]?.contains(".\(rule.name)") == true, "\(test) does not break \(rule.number)")
      }
      #expect(row[3] != "NOWHERE")
    }
  }
}
