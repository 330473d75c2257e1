import Networking
import Observability

/// Serves the metrics, and nothing else, on an address of their own: they are the operator's and no client's.
struct MetricsPage: HTTPHandler {
  let metrics: Metrics

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    guard request.path == "/metrics" else { return HTTPResponse(status: 404) }
    guard request.method == .get || request.method == .head else {
      return HTTPResponse(status: 405, headers: ["Allow": "GET, HEAD"])
    }
    return HTTPResponse(
      status: 200, headers: ["Content-Type": Metrics.contentType, "Cache-Control": "no-store"],
      body: request.method == .head ? [] : Array(metrics.exposition().utf8))
  }
}
