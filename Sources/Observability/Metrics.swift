import Synchronization

/// The instruments of one process (or of one relay in a test), and their Prometheus text.
///
/// Make every instrument once at start and keep it; recording is then one atomic addition. Names and label values are
/// literals of the source, so no user, room or address can become a series.
package final class Metrics: Sendable {
  /// The media type of ``exposition()``.
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private struct Family: Sendable {
    let name: String
    let help: StaticString
    let kind: StaticString
    let samples: @Sendable (_ name: String, _ into: inout String) -> Void
  }

  private let families = Mutex<[Family]>([])

  package init() {}

  /// A number that only grows.
  ///
  /// By custom the name ends in `_total`.
  package func counter(_ name: StaticString, help: StaticString) -> Counter {
    let counter = Counter()
    register(name, help, "counter") { $1 += "\($0) \(counter.value)\n" }
    return counter
  }

  /// A counter that is read when somebody looks: microseconds, shown in seconds as Prometheus asks.
  ///
  /// `reading` may run on any thread.
  package func counter(_ name: StaticString, help: StaticString, microseconds reading: @escaping @Sendable () -> UInt64)
  {
    register(name, help, "counter") { name, text in
      let (seconds, rest) = reading().quotientAndRemainder(dividingBy: 1_000_000)
      text += "\(name) \(seconds).\(String(rest + 1_000_000).dropFirst())\n"
    }
  }

  /// A counter for each case of a closed set of labels.
  package func counters<Label: MetricLabel>(
    _ name: StaticString, help: StaticString, by label: Label.Type
  ) -> Labelled<Label, Counter> {
    let counters = Labelled<Label, Counter> { Counter() }
    register(name, help, "counter") { name, text in
      for (label, counter) in counters.all { text += "\(name){\(label.rendered)} \(counter.value)\n" }
    }
    return counters
  }

  /// A number that rises and falls.
  package func gauge(_ name: StaticString, help: StaticString) -> Gauge {
    let gauge = Gauge()
    register(name, help, "gauge") { $1 += "\($0) \(gauge.value)\n" }
    return gauge
  }

  /// A gauge that is read when somebody looks.
  ///
  /// `reading` may run on any thread.
  package func gauge(_ name: StaticString, help: StaticString, reading: @escaping @Sendable () -> Int64) {
    register(name, help, "gauge") { $1 += "\($0) \(reading())\n" }
  }

  /// A gauge for each case of a closed set of labels.
  package func gauges<Label: MetricLabel>(
    _ name: StaticString, help: StaticString, by label: Label.Type
  ) -> Labelled<Label, Gauge> {
    let gauges = Labelled<Label, Gauge> { Gauge() }
    register(name, help, "gauge") { name, text in
      for (label, gauge) in gauges.all { text += "\(name){\(label.rendered)} \(gauge.value)\n" }
    }
    return gauges
  }

  /// How often values fell below each bound.
  package func histogram(_ name: StaticString, help: StaticString, _ buckets: Histogram.Buckets) -> Histogram {
    let histogram = Histogram(buckets)
    register(name, help, "histogram") { histogram.write(name: $0, labels: "", into: &$1) }
    return histogram
  }

  /// A histogram for each case of a closed set of labels.
  package func histograms<Label: MetricLabel>(
    _ name: StaticString, help: StaticString, _ buckets: Histogram.Buckets, by label: Label.Type
  ) -> Labelled<Label, Histogram> {
    let histograms = Labelled<Label, Histogram> { Histogram(buckets) }
    register(name, help, "histogram") { name, text in
      for (label, histogram) in histograms.all {
        histogram.write(name: name, labels: label.rendered, into: &text)
      }
    }
    return histograms
  }

  /// Everything in the Prometheus text format, version 0.0.4.
  package func exposition() -> String {
    let families = families.withLock { $0 }
    var text = ""
    for family in families {
      text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind)\n"
      family.samples(family.name, &text)
    }
    return text
  }

  /// Two instruments of one name are a bug that shows at the first start, hence the precondition.
  private func register(
    _ name: StaticString, _ help: StaticString, _ kind: StaticString,
    _ samples: @escaping @Sendable (String, inout String) -> Void
  ) {
    let name = "\(name)"
    families.withLock { families in
      precondition(!families.contains { $0.name == name }, "two instruments of one name")
      families.append(Family(name: name, help: help, kind: kind, samples: samples))
    }
  }
}

/// A closed set of label values: an enum of the source.
package protocol MetricLabel: CaseIterable, Hashable, Sendable {
  /// The label's name.
  static var labelName: StaticString { get }
  /// This case's value.
  var labelValue: StaticString { get }
  /// `name="value"`; composed labels write several.
  var rendered: String { get }
}

extension MetricLabel {
  package var rendered: String { "\(Self.labelName)=\"\(labelValue)\"" }
}

/// Two labels at once, for instance a route and its outcome.
package struct LabelPair<First: MetricLabel, Second: MetricLabel>: MetricLabel {
  package let first: First
  package let second: Second

  package init(_ first: First, _ second: Second) {
    self.first = first
    self.second = second
  }

  package static var allCases: [Self] {
    First.allCases.flatMap { first in Second.allCases.map { Self(first, $0) } }
  }

  package static var labelName: StaticString { First.labelName }
  package var labelValue: StaticString { first.labelValue }
  package var rendered: String { "\(first.rendered),\(second.rendered)" }
}
