import Networking
import RelayProtocol

extension API {
  static let health: [Route: Endpoint] = [
    .live: { _, _ in text("live\n") },
    .ready: { api, _ async throws(RelayError) in
      try await api.services.monitor.checkReady()
      return text("ready\n")
    },
    .openAPI: { _, _ in
      HTTPResponse(status: 200, headers: ["Content-Type": "application/json"], body: Array(OpenAPIDocument.text.utf8))
    },
  ]

  private static func text(_ text: String) -> HTTPResponse {
    HTTPResponse(status: 200, headers: ["Content-Type": "text/plain"], body: Array(text.utf8))
  }
}
