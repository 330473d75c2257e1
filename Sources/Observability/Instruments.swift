import Synchronization

/// A number that only grows.
package final class Counter: Sendable {
  private let count = Atomic<UInt64>(0)

  /// Adds to the count; it wraps after 2⁶⁴ and Prometheus takes that as a restart.
  package func add(_ amount: UInt64 = 1) { count.wrappingAdd(amount, ordering: .relaxed) }

  package var value: UInt64 { count.load(ordering: .relaxed) }
}

/// A number that rises and falls.
package final class Gauge: Sendable {
  private let level = Atomic<Int64>(0)

  package func add(_ amount: Int64 = 1) { level.wrappingAdd(amount, ordering: .relaxed) }
  package func subtract(_ amount: Int64 = 1) { level.wrappingSubtract(amount, ordering: .relaxed) }
  package func set(_ value: Int64) { level.store(value, ordering: .relaxed) }

  package var value: Int64 { level.load(ordering: .relaxed) }
}

/// One instrument for each case of a label.
///
/// All exist from the start, so looking one up takes no lock.
package struct Labelled<Label: MetricLabel, Instrument: Sendable>: Sendable {
  private let instruments: [Label: Instrument]
  private let spare: Instrument

  init(_ make: () -> Instrument) {
    instruments = Dictionary(Label.allCases.map { ($0, make()) }, uniquingKeysWith: { first, _ in first })
    spare = make()
  }

  /// The instrument of a case.
  ///
  /// A case that its own `allCases` leaves out falls on an instrument that nobody sees, rather than end the process.
  package subscript(label: Label) -> Instrument { instruments[label] ?? spare }

  /// In the order of `allCases`, so that the text does not change between two looks.
  var all: [(Label, Instrument)] { Label.allCases.map { ($0, self[$0]) } }
}

/// Counts values by the bucket they fall in.
package final class Histogram: Sendable {
  /// Upper bounds, in a unit.
  package struct Buckets: Sendable {
    let bounds: [UInt64]
    /// How many of the stored units make one of the shown.
    let scale: UInt64

    /// Durations, shown in seconds as Prometheus asks; the bounds are in microseconds.
    package static func microseconds(_ bounds: [UInt64]) -> Self {
      Self(bounds: bounds.sorted().map { $0 * 1000 }, scale: 1_000_000_000)
    }

    /// Plain numbers: sizes, lengths of batches.
    package static func counts(_ bounds: [UInt64]) -> Self { Self(bounds: bounds.sorted(), scale: 1) }

    /// From a tenth of a millisecond to ten seconds: good for anything that a person waits for.
    package static let latency = microseconds([
      100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
      10_000_000,
    ])
  }

  private let buckets: Buckets
  /// One cell per bound and one for what lies above.
  ///
  /// Atomics cannot stand in an array; this memory lives with the object.
  private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>
  private let sum = Atomic<UInt64>(0)

  init(_ buckets: Buckets) {
    self.buckets = buckets
    cells = .allocate(capacity: buckets.bounds.count + 1)
    for index in 0...buckets.bounds.count { (cells + index).initialize(to: Atomic(0)) }
  }

  deinit {
    cells.deinitialize(count: buckets.bounds.count + 1)
    cells.deallocate()
  }

  /// Records a duration; a negative one counts as none.
  package func record(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    guard seconds >= 0, attoseconds >= 0 else { return record(nanoseconds: 0) }
    record(nanoseconds: UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000))
  }

  /// Records a plain number; a negative one counts as none.
  package func record(_ count: Int) { add(UInt64(clamping: count)) }

  /// Records a duration.
  package func record(nanoseconds: UInt64) { add(nanoseconds / (1_000_000_000 / buckets.scale)) }

  private func add(_ value: UInt64) {
    // A dozen bounds: a straight search beats a clever one.
    let index = buckets.bounds.firstIndex { value <= $0 } ?? buckets.bounds.count
    cells[index].wrappingAdd(1, ordering: .relaxed)
    sum.wrappingAdd(value, ordering: .relaxed)
  }

  func write(name: String, labels: String, into text: inout String) {
    let prefix = labels.isEmpty ? "" : labels + ","
    let suffix = labels.isEmpty ? "" : "{\(labels)}"
    var total: UInt64 = 0
    for (index, bound) in buckets.bounds.enumerated() {
      total &+= cells[index].load(ordering: .relaxed)
      text += "\(name)_bucket{\(prefix)le=\"\(decimal(bound))\"} \(total)\n"
    }
    total &+= cells[buckets.bounds.count].load(ordering: .relaxed)
    text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(total)\n"
    text += "\(name)_sum\(suffix) \(decimal(sum.load(ordering: .relaxed)))\n\(name)_count\(suffix) \(total)\n"
  }

  /// Exact, because a bound is a name: 0.00025 must not become 2.5e-04.
  private func decimal(_ value: UInt64) -> String {
    let (whole, part) = value.quotientAndRemainder(dividingBy: buckets.scale)
    guard part > 0 else { return "\(whole)" }
    var digits = String(part + buckets.scale).dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return "\(whole).\(digits)"
  }
}
