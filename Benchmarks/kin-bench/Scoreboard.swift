import BenchKit

/// The relay's table: each figure with what it is held against, and whether it is there.
struct Scoreboard {
  static func begin() { header("what", "Kin", "beside it", "ratio", "target", "verdict") }

  /// A figure that is to be at least so many times another's.
  static func atLeast(_ target: Double, _ what: String, _ ours: String, _ other: String, ratio: Double) {
    row(what, ours, other, fixed(ratio, 2), "≥ \(fixed(target, 2))", ratio >= target ? "OK" : "MISSES")
  }

  /// A figure that is to be at most some bound.
  static func atMost(
    _ target: String, _ what: String, _ ours: String, _ other: String = "", ratio: String = "", isWithin: Bool
  ) {
    row(what, ours, other, ratio, "≤ \(target)", isWithin ? "OK" : "MISSES")
  }

  /// A figure that is only shown.
  static func show(_ what: String, _ ours: String, _ other: String = "", ratio: Double? = nil) {
    row(what, ours, other, ratio.map { fixed($0, 2) } ?? "", "", "")
  }

  static func failed(_ what: String, _ why: String) { row(what, "not measured: \(why)", "", "", "", "MISSES") }

  static func median(_ values: [Double]) -> Double {
    values.isEmpty ? .nan : values.sorted()[values.count / 2]
  }

  /// Thousands, or millions.
  static func short(_ value: Double) -> String {
    value >= 1e6 ? "\(fixed(value / 1e6, 2))M" : value >= 1e4 ? "\(fixed(value / 1e3, 0))k" : fixed(value, 0)
  }
}
