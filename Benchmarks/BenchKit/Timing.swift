import Glibc

/// What one operation costs, as the median of several samples.
package enum Timing {
  /// Nanoseconds of one call of `body`, the median of `samples`, each over as many calls as take about `budget`.
  package static func median(samples: Int = 9, budget: Duration = .milliseconds(40), _ body: () throws -> Void) rethrows
    -> Double
  {
    try body()
    let once = try elapsed { try body() }
    let calls = max(1, min(100_000, Int(Double(budget.nanoseconds) / max(1, once))))
    var results: [Double] = []
    for _ in 0..<samples {
      results.append(try elapsed { for _ in 0..<calls { try body() } } / Double(calls))
    }
    return results.sorted()[samples / 2]
  }

  /// Nanoseconds that `body` takes, once.
  package static func elapsed(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    return Double((ContinuousClock.now - start).nanoseconds)
  }
}

extension Duration {
  package var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
  package var seconds: Double { Double(nanoseconds) / 1e9 }
}

/// Text with so many digits after the point.
package func fixed(_ value: Double, _ digits: Int = 1) -> String {
  guard value.isFinite else { return "-" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let whole = (value * scale).rounded()
  let integral = Int(whole / scale)
  guard digits > 0 else { return String(integral) }
  let fraction = String(Int(whole) - integral * Int(scale))
  return "\(integral)." + String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
}

/// A row of a table, shown at once: the next may take a while.
package func row(_ cells: String...) { row(cells) }

package func row(_ cells: [String]) {
  print("| " + cells.joined(separator: " | ") + " |")
  fflush(nil)
}

package func header(_ cells: String...) { header(cells) }

package func header(_ cells: [String]) {
  print("| " + cells.joined(separator: " | ") + " |")
  print("|" + cells.map { _ in "---|" }.joined())
}

/// The facts of the machine that figures are read with.
package enum Machine {
  package static func describe() {
    let model =
      lines(of: "/proc/cpuinfo").first { $0.hasPrefix("model name") }?.split(separator: ":").last ?? " unknown"
    let kernel = lines(of: "/proc/sys/kernel/osrelease").first ?? "unknown"
    let load = lines(of: "/proc/loadavg").first?.split(separator: " ").first ?? "?"
    print("machine:\(model), \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) cores, Linux \(kernel), load \(load)")
  }

  package static func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var lines: [String] = []
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, Int32(buffer.count), file) != nil {
      let line = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
      lines.append(String(decoding: line, as: UTF8.self))
    }
    return lines
  }
}
