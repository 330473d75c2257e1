import BenchKit

/// All that `./dev bench mls` shows.
enum MLSBench {
  static func run() throws {
    section("Budgets")
    let over = try BudgetTable.print()
    print(over == 0 ? "\nAll within their budgets." : "\nOver their budget: \(over).")
  }

  private static func section(_ title: String) { print("\n### \(title)\n") }
}
