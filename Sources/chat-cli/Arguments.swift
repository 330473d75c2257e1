/// An option of a command, as the table of commands declares it.
struct Option: Sendable {
  var name: String
  /// What stands for the value in the help, or `nil` for a switch.
  var value: String?
  var help: String

  init(_ name: String, value: String? = nil, _ help: String) {
    (self.name, self.value, self.help) = (name, value, help)
  }
}

/// A command line taken apart by a command's declaration.
struct Arguments: Sendable {
  var positional: [String] = []
  private var values: [String: String] = [:]
  private var switches: Set<String> = []

  subscript(_ name: String) -> String? { values[name] }
  func has(_ name: String) -> Bool { switches.contains(name) }

  /// Reads a whole number that an option gives.
  func number(_ name: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let text = values[name] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw Failure.usage("--\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// Options may stand anywhere, as `--name value` or `--name=value`; after `--` everything is positional.
  init(_ words: [String], options: [Option]) throws(Failure) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        positional += rest
        return
      }
      guard word.hasPrefix("-"), word != "-" else {
        positional.append(word)
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let name = parts[0] == "-h" ? "help" : String(parts[0].drop { $0 == "-" })
      guard let option = options.first(where: { $0.name == name }) else {
        let nearest = Suggestion.nearest(to: name, in: options.map(\.name)).map { "did you mean --\($0)?" }
        throw Failure.usage("there is no option \(parts[0])", hint: nearest)
      }
      if option.value == nil {
        guard parts.count == 1 else { throw Failure.usage("--\(name) takes no value") }
        switches.insert(name)
      } else if parts.count == 2 {
        values[name] = parts[1]
      } else if let value = rest.popFirst() {
        values[name] = value
      } else {
        throw Failure.usage("--\(name) needs a value")
      }
    }
  }
}

/// The word that was probably meant.
enum Suggestion {
  static func nearest(to word: String, in candidates: [String]) -> String? {
    let ranked = candidates.map { (distance(word, $0), $0) }.min { $0.0 < $1.0 }
    guard let ranked, ranked.0 <= max(1, word.count / 3) else { return nil }
    return ranked.1
  }

  /// Insertions, deletions, changes and swaps of neighbours that lead from one word to the other.
  static func distance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left.prefix(64)), Array(right.prefix(64)))
    var rows = [Array(0...right.count)]
    for (i, a) in left.enumerated() {
      var row = [i + 1]
      for (j, b) in right.enumerated() {
        var least = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a == b ? 0 : 1))
        if i > 0, j > 0, a == right[j - 1], left[i - 1] == b { least = min(least, rows[i - 1][j - 1] + 1) }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[left.count][right.count]
  }
}
