import BenchKit
import CryptoPrimitives

/// What `./dev bench mls` shows, part by part.
enum MLSBench {
  static let parts: [(name: String, title: String, run: @Sendable () throws -> Void)] = [
    (
      "budgets", "Budgets, suite 3",
      {
        let over = try BudgetTable.print()
        print(over == 0 ? "\nAll are within their budgets." : "\nOver their budget: \(over).")
      }
    ),
    ("peers", "Beside peers", { try PeerTable.print() }),
    ("growth", "Growth, suite 3", { try GrowthTable.print() }),
    ("suites", "All suites", { try SuiteTable.print() }),
    ("sizes", "Sizes, suite 3", { try SizeTable.print() }),
  ]

  static func run(_ chosen: [String]) throws {
    Machine.describe()
    settleAllocator()
    for part in parts where chosen.isEmpty || chosen.contains(part.name) {
      print("\n### \(part.title)\n")
      try part.run()
    }
  }

  /// The C library hands freed memory back to the system at every turn, until a block too large for that was freed once, as
  /// in any client that has opened its database. Without it, buffers of 64 KiB would cost page faults instead of copies.
  private static func settleAllocator() {
    _ = Random.bytes(4 << 20)
  }
}
