import BenchKit

/// An operation and its budget, measured in turns in the same run: each sample compares the operation with the units
/// right before and after it, so that a machine that changes its pace changes both.
struct Paired {
  /// Medians, in nanoseconds.
  let time: Double
  let budget: Double
  /// The median of the samples' own ratios, which need not be that of the medians.
  let ratio: Double

  /// A sum of so many times a unit.
  typealias Budget = [(times: Double, unit: Unit)]

  /// - Parameter sample: does the operation some times and returns the nanoseconds of one.
  init(samples: Int, budget: Budget, sample: () throws -> Double) rethrows {
    func cost() -> Double { budget.reduce(0) { $0 + $1.times * $1.unit.sample() } }
    _ = cost()
    var times: [Double] = []
    var budgets: [Double] = []
    var ratios: [Double] = []
    for _ in 0..<samples {
      let before = cost()
      let time = try sample()
      let around = (before + cost()) / 2
      times.append(time)
      budgets.append(around)
      ratios.append(time / around)
    }
    time = times.median
    self.budget = budgets.median
    ratio = ratios.median
  }

  /// Repeats an operation that can be repeated as it is, in samples of about two milliseconds.
  static func repeating(_ budget: Budget, samples: Int = 31, _ body: () throws -> Void) throws -> Paired {
    try body()
    let once = try Processor.time(body)
    let calls = max(1, min(2_000, Int(2_000_000 / max(1, once))))
    return try Paired(samples: once > 20_000_000 ? 7 : samples, budget: budget) {
      try Processor.time { for _ in 0..<calls { try body() } } / Double(calls)
    }
  }
}

extension [Double] {
  var median: Double { sorted()[count / 2] }
}
