import Testing

@testable import Observability

@Suite("Metrics")
struct MetricsTests {
  enum Route: String, MetricLabel {
    case login, send
    static var labelName: StaticString { "route" }
    var labelValue: StaticString {
      switch self {
      case .login: "login"
      case .send: "send"
      }
    }
  }

  enum Outcome: MetricLabel {
    case done, refused
    static var labelName: StaticString { "outcome" }
    var labelValue: StaticString {
      switch self {
      case .done: "done"
      case .refused: "refused"
      }
    }
  }

  @Test("the exposition follows the Prometheus text format")
  func exposition() {
    let metrics = Metrics()
    let sends = metrics.counter("kin_sends_total", help: "Messages stored.")
    let sockets = metrics.gauge("kin_sockets", help: "Open sockets.")
    metrics.gauge("kin_answer", help: "Read at a look.") { 42 }
    let requests = metrics.counters(
      "kin_requests_total", help: "Requests.", by: LabelPair<Route, Outcome>.self)
    sends.add()
    sends.add(2)
    sockets.add(5)
    sockets.subtract()
    requests[LabelPair(.send, .refused)].add()
    #expect(
      metrics.exposition() == """
        # HELP kin_sends_total Messages stored.
        # TYPE kin_sends_total counter
        kin_sends_total 3
        # HELP kin_sockets Open sockets.
        # TYPE kin_sockets gauge
        kin_sockets 4
        # HELP kin_answer Read at a look.
        # TYPE kin_answer gauge
        kin_answer 42
        # HELP kin_requests_total Requests.
        # TYPE kin_requests_total counter
        kin_requests_total{route="login",outcome="done"} 0
        kin_requests_total{route="login",outcome="refused"} 0
        kin_requests_total{route="send",outcome="done"} 0
        kin_requests_total{route="send",outcome="refused"} 1

        """)
  }

  @Test("a histogram's buckets are cumulative, its bounds exact and its sum in seconds")
  func histogram() {
    let metrics = Metrics()
    let delays = metrics.histograms(
      "kin_delay_seconds", help: "Delays.", .microseconds([250, 1000, 1_000_000]), by: Route.self)
    delays[.send].record(.microseconds(250))
    delays[.send].record(.microseconds(251))
    delays[.send].record(.seconds(3))
    delays[.send].record(.seconds(-1))
    let lines = metrics.exposition().split(separator: "\n").filter { $0.contains("send") }
    #expect(
      lines == [
        #"kin_delay_seconds_bucket{route="send",le="0.00025"} 2"#,
        #"kin_delay_seconds_bucket{route="send",le="0.001"} 3"#,
        #"kin_delay_seconds_bucket{route="send",le="1"} 3"#,
        #"kin_delay_seconds_bucket{route="send",le="+Inf"} 4"#,
        #"kin_delay_seconds_sum{route="send"} 3.000501"#,
        #"kin_delay_seconds_count{route="send"} 4"#,
      ])
  }

  @Test("plain numbers are shown as they are")
  func counts() {
    let metrics = Metrics()
    let batches = metrics.histogram("kin_batch", help: "Rows in a commit.", .counts([10, 1]))
    for size in [1, 2, 10, 11, -4] { batches.record(size) }
    #expect(
      metrics.exposition().hasSuffix(
        """
        kin_batch_bucket{le="1"} 2
        kin_batch_bucket{le="10"} 4
        kin_batch_bucket{le="+Inf"} 5
        kin_batch_sum 24
        kin_batch_count 5

        """))
  }

  @Test("nothing is lost when many count at once")
  func concurrent() async {
    let metrics = Metrics()
    let counter = metrics.counter("kin_total", help: "Total.")
    let histogram = metrics.histogram("kin_sizes", help: "Sizes.", .counts([1]))
    await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          for size in 0..<10_000 {
            counter.add()
            histogram.record(size & 1)
          }
        }
      }
    }
    #expect(counter.value == 80_000)
    #expect(metrics.exposition().contains("kin_sizes_sum 40000\nkin_sizes_count 80000\n"))
  }
}
